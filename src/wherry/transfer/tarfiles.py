"""A tar archive of images, looked into by name. It may be compressed, and come through a pipe; nothing is unpacked."""

from __future__ import annotations

import os

from wherry.base.errors import Corrupt, HostileArchive, NotFound, Unavailable
from wherry.base.files import write_all
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from wherry.layer.tarreader import Entry, TarReader

__all__ = ["Archive", "Slice", "open_archive"]

_MOST_ENTRIES = 100_000
_MOST_LINKS = 10
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz"}


class _Place(NamedTuple):
    offset: int
    size: int


class Slice:
    """A part of an open file, read by position, so that many may be read at once. The file stays open."""

    def __init__(self, fd: int, offset: int, size: int) -> None:
        self._fd = fd
        self._offset = offset
        self._left = size

    def read(self, count: int) -> bytes:
        """At most `count` bytes; empty at the end."""
        data = os.pread(self._fd, min(count, self._left), self._offset)
        self._offset += len(data)
        self._left -= len(data)
        if not data and self._left and count:
            raise Corrupt("the archive is cut off", hint="make or fetch it again")
        return data

    def __enter__(self) -> Slice:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Archive:
    """The regular files of an archive by their names; what the archive calls a link leads to another of them."""

    def __init__(self, file: BinaryIO, where: str) -> None:
        self._file = file
        self.where = where
        self._places: dict[str, _Place] = {}
        self._links: dict[str, str] = {}
        self._read_table()

    def _read_table(self) -> None:
        from wherry.layer.tarreader import TarReader

        def read(count: int) -> bytes:
            return self._file.read(count)

        reader = TarReader(read, skip=lambda count: self._file.seek(count, os.SEEK_CUR))
        for entry in self._entries(reader):
            name = _normal(os.fsdecode(entry.name))
            if entry.kind in (b"0", b"\0", b"7"):
                self._places[name] = _Place(self._file.tell(), entry.size)
            elif entry.kind == b"1":
                self._links[name] = _normal(os.fsdecode(entry.link))
            elif entry.kind == b"2":
                self._links[name] = _normal(os.path.join(os.path.dirname(name), os.fsdecode(entry.link)))
            if len(self._places) + len(self._links) > _MOST_ENTRIES:
                raise HostileArchive(f"{self.where} has more than {_MOST_ENTRIES} entries")

    def _entries(self, reader: TarReader) -> Iterator[Entry]:
        try:
            yield from reader
        except Corrupt as error:
            if self._places:
                raise
            raise Corrupt(f"{self.where} is not a tar archive: {error.message}") from None

    def __contains__(self, name: str) -> bool:
        return _normal(name) in self._places or _normal(name) in self._links

    def _place(self, name: str) -> _Place:
        name = _normal(name)
        for _ in range(_MOST_LINKS):
            if name in self._places:
                return self._places[name]
            if name not in self._links:
                break
            name = self._links[name]
        raise NotFound(f"{self.where} does not hold {name}", hint="is it whole?")

    def size(self, name: str) -> int:
        """Bytes of a file. Raises NotFound."""
        return self._place(name).size

    def open(self, name: str) -> Slice:
        """A file's bytes. Raises NotFound."""
        return Slice(self._file.fileno(), *self._place(name))

    def read(self, name: str, limit: int) -> bytes:
        """The whole of a small file. Raises NotFound, or Corrupt where it is larger than `limit` bytes."""
        if self.size(name) > limit:
            raise Corrupt(f"{name} of {self.where} is larger than {limit} bytes")
        with self.open(name) as file:
            data = b""
            while piece := file.read(limit):
                data += piece
        return data

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _normal(name: str) -> str:
    """Without `./`, `//` and the like; it is only compared, never opened."""
    return os.path.normpath(name).lstrip("/")


def open_archive(file: BinaryIO, where: str, spool: str) -> Archive:
    """The archive in `file`. What is compressed, or comes through a pipe, goes to a nameless file in `spool` first.

    Raises Corrupt for what is no tar archive, Unavailable where the disk is full.
    """
    head = b""
    while len(head) < 6 and (more := file.read(6 - len(head))):
        head += more
    kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), "")
    if not kind and file.seekable():
        file.seek(0)
        return Archive(file, where)
    return Archive(_spooled(_plain(_Again(head, file), kind), spool), where)


class _Again:
    """A stream whose first bytes were read already."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self._head = head
        self._file = file

    def read(self, count: int = -1) -> bytes:
        head, self._head = self._head, b""
        if not head:
            return self._file.read(count)
        if 0 <= count < len(head):
            self._head = head[count:]
            return head[:count]
        return head

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    @property
    def closed(self) -> bool:
        return False


def _plain(stream: _Again, kind: str) -> Callable[[int], bytes]:
    from wherry.layer.decompressing import open_layer

    if kind in ("gzip", "zstd", ""):
        return open_layer(stream, kind or "none")
    read: Callable[[int], bytes]
    if kind == "bzip2":
        import bz2

        read = bz2.BZ2File(stream).read  # type: ignore[call-overload]
    else:
        import lzma

        read = lzma.LZMAFile(stream).read  # type: ignore[arg-type]

    def checked(count: int) -> bytes:
        import lzma

        try:
            return read(count)
        except (OSError, EOFError, lzma.LZMAError) as error:
            raise Corrupt(f"the compressed archive is damaged: {error}") from None

    return checked


def _spooled(read: Callable[[int], bytes], directory: str) -> BinaryIO:
    from tempfile import TemporaryFile

    file: BinaryIO = TemporaryFile(dir=directory)  # noqa: SIM115
    try:
        while piece := read(1 << 20):
            write_all(file.fileno(), piece)
    except OSError as error:
        file.close()
        raise Unavailable(f"cannot write to {directory}: {error.strerror}", hint="free space there") from None
    file.seek(0)
    return file
