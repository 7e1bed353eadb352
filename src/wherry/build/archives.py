"""ADD of a local archive: recognised by its content, unpacked as a layer would be, without whiteouts."""

from __future__ import annotations

from wherry.base.errors import Corrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BufferedReader
    from typing import BinaryIO

__all__ = ["extract_archive", "open_stream"]

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz"}


def extract_archive(path: str, target: str) -> bool:
    """Unpack `path` into `target`; False where it is no tar archive, compressed or not. Raises Corrupt."""
    from wherry.layer.unpacking import unpack

    with open(path, "rb") as file:
        if not _is_tar(file):
            return False
        file.seek(0)
        kind = _compression(file)
        stream: BinaryIO = _decompressed(file, kind)
        unpack(stream, target, compression=kind if kind in ("gzip", "zstd") else "none", overlay=False)
    return True


def open_stream(file: BufferedReader) -> Callable[[int], bytes]:
    """The uncompressed bytes of a stream that cannot be sought in, such as a pipe."""
    from wherry.layer.decompressing import open_layer

    head = file.peek(6)
    kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), "none")
    return open_layer(_decompressed(file, kind), kind if kind in ("gzip", "zstd") else "none")


def _compression(file: BinaryIO) -> str:
    head = file.read(6)
    file.seek(0)
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), "none")


def _decompressed(file: BinaryIO, kind: str) -> BinaryIO:
    if kind == "bzip2":
        import bz2

        return bz2.BZ2File(file)  # type: ignore[return-value]
    if kind == "xz":
        import lzma

        return lzma.LZMAFile(file)  # type: ignore[return-value]
    return file


def _is_tar(file: BinaryIO) -> bool:
    """Whether the first block, decompressed, is a tar header."""
    from wherry.layer.decompressing import open_layer
    from wherry.layer.tarreader import is_header

    kind = _compression(file)
    try:
        read = open_layer(_decompressed(file, kind), kind if kind in ("gzip", "zstd") else "none")
        block = read(512)
        while block and len(block) < 512:
            more = read(512 - len(block))
            if not more:
                return False
            block += more
        return is_header(block)
    except (Corrupt, OSError, EOFError):
        return False
