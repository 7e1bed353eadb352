"""Tar archives written fast: one formatted header an entry, one large write for many small entries.

The format is POSIX.1-2001 pax (`ustar` headers, and an extended header where a value does not fit): what Docker,
BuildKit and GNU tar read. The same entries in the same order give the same bytes.
"""

from __future__ import annotations

import os

from wherry.base.errors import WherryError
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["CHUNK", "Meta", "TarWriter", "pax_records"]

CHUNK = 1 << 20
_BLANK_CHECKSUM = 8 * ord(" ")  # what the checksum's own field counts for
_USTAR = b"ustar\x0000" + bytes(64)  # magic, version, names of owner and group
_NO_DEVICE = b"0000000\x000000000\0"
_TAIL = bytes(167)  # prefix, and the rest of the block
_ZEROS = bytes(1024)
_MAX_ID = 0o7777777
_MAX_SIZE = 0o77777777777
_NO_XATTRS: dict[str, bytes] = {}
FILE, HARD_LINK, SYMLINK, CHARACTER, BLOCK, DIRECTORY, FIFO, EXTENDED = (bytes([c]) for c in b"0123456x")


class Meta(NamedTuple):
    """What an entry has besides its name and content; `mtime` in whole seconds since the epoch."""

    mode: int
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    xattrs: Mapping[str, bytes] = _NO_XATTRS


def pax_records(values: Mapping[str, bytes]) -> bytes:
    """`LENGTH KEY=VALUE\\n` for each value; LENGTH counts itself."""
    records = []
    for key, value in values.items():
        body = b" " + os.fsencode(key) + b"=" + value + b"\n"
        length = len(body) + len(str(len(body)))
        length = len(body) + len(str(length))
        records.append(b"%d" % length + body)
    return b"".join(records)


class TarWriter:
    """Writes entries to `write`, in large pieces. `finish` must be called; nothing is written after an error."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._pieces: list[bytes] = []
        self._pending = 0
        self.entries = 0

    def directory(self, name: bytes, meta: Meta) -> None:
        """`name` without a trailing slash."""
        self._entry(name + b"/", meta, DIRECTORY)

    def symlink(self, name: bytes, meta: Meta, target: bytes) -> None:
        """The target is kept verbatim."""
        self._entry(name, meta._replace(mode=0o777), SYMLINK, target)

    def hard_link(self, name: bytes, meta: Meta, target: bytes) -> None:
        """`target` is the name of an entry already written."""
        self._entry(name, meta, HARD_LINK, target)

    def device(self, name: bytes, meta: Meta, *, block: bool, number: int) -> None:
        """`number` as in `st_rdev`."""
        self._entry(name, meta, BLOCK if block else CHARACTER, device=number)

    def fifo(self, name: bytes, meta: Meta) -> None:
        """A named pipe."""
        self._entry(name, meta, FIFO)

    def small_file(self, name: bytes, meta: Meta, data: bytes) -> None:
        """A regular file whose whole content is `data`."""
        self._entry(name, meta, FILE, size=len(data))
        self._put(data)
        if len(data) & 511:
            self._put(_ZEROS[: -len(data) & 511])

    def file_header(self, name: bytes, meta: Meta, size: int) -> None:
        """Announce a file; `content` with exactly `size` bytes and `padding` must follow."""
        self._entry(name, meta, FILE, size=size)

    def content(self, data: bytes) -> None:
        """A part of the file announced last."""
        self._put(data)

    def padding(self, size: int) -> None:
        """End the file of `size` bytes announced last."""
        if size & 511:
            self._put(_ZEROS[: -size & 511])

    def whiteout(self, name: bytes, mtime: int = 0) -> None:
        """`name` is absent from this layer on (image-spec v1.1 layer.md#whiteouts)."""
        parent, slash, base = name.rpartition(b"/")
        self._entry(parent + slash + b".wh." + base, Meta(0, mtime=mtime), FILE)

    def finish(self) -> None:
        """The end of the archive: two blocks of zeros."""
        self._put(_ZEROS)
        self._flush()

    def _put(self, data: bytes) -> None:
        self._pieces.append(data)
        self._pending += len(data)
        if self._pending >= CHUNK:
            self._flush()

    def _flush(self) -> None:
        pieces, self._pieces, self._pending = self._pieces, [], 0
        self._write(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def _entry(self, name: bytes, meta: Meta, kind: bytes, link: bytes = b"", size: int = 0, device: int = 0) -> None:
        mode, uid, gid, mtime, xattrs = meta
        extended: dict[str, bytes] = {}
        if len(name) > 100 or not name.isascii():
            extended["path"] = name
        if len(link) > 100 or not link.isascii():
            extended["linkpath"] = link
        if size > _MAX_SIZE:
            extended["size"], size = b"%d" % size, 0
        if uid > _MAX_ID:
            extended["uid"], uid = b"%d" % uid, 0
        if gid > _MAX_ID:
            extended["gid"], gid = b"%d" % gid, 0
        if not 0 <= mtime <= _MAX_SIZE:
            extended["mtime"], mtime = b"%d" % mtime, 0
        if xattrs:
            extended.update((f"SCHILY.xattr.{key}", xattrs[key]) for key in sorted(xattrs))
        if extended:
            records = pax_records(extended)
            self._put(_header(b"PaxHeaders.0/" + name[-80:].lstrip(b"/"), 0o644, 0, 0, len(records), 0, EXTENDED))
            self._put(records + _ZEROS[: -len(records) & 511])
        self._put(_header(name, mode, uid, gid, size, mtime, kind, link, device))
        self.entries += 1


def _header(
    name: bytes,
    mode: int,
    uid: int,
    gid: int,
    size: int,
    mtime: int,
    kind: bytes,
    link: bytes = b"",
    device: int = 0,
) -> bytes:
    if b"\0" in name or b"\0" in link:
        raise WherryError(f"a name may not contain a zero byte: {name!r}")
    identity = name[:100].ljust(100, b"\0")
    front = b"%b%07o\0%07o\0%07o\0%011o\0%011o\0" % (identity, mode & 0o7777, uid, gid, size, mtime)
    back = kind + link[:100].ljust(100, b"\0") + _USTAR
    back += b"%07o\0%07o\0" % (os.major(device), os.minor(device)) if device else _NO_DEVICE
    return b"%b%06o\0 %b%b" % (front, sum(front) + sum(back) + _BLANK_CHECKSUM, back, _TAIL)
