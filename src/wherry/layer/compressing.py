"""Compressing a layer on all cores: blocks of a fixed size, each by itself, so the bytes depend on nothing else.

gzip is one member (RFC 1952) whose blocks end on a byte boundary, as pigz writes it; zstd is one frame for each block.
"""

from __future__ import annotations

from wherry.base.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor

__all__ = ["BLOCK", "COMPRESSIONS", "compressed"]

BLOCK = 1 << 20
COMPRESSIONS = ("gzip", "zstd")
_ZSTD_BLOCK = 1 << 22
_ZSTD_LEVEL = 3
_GZIP_LEVEL = 1  # isal's: measured beside 0, 2 and 3 (docs/decisions.md)
_AHEAD = 6  # blocks under way: bounds memory, keeps every core busy
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_GZIP_END = b"\x03\x00"


def compressed(read: Callable[[int], bytes], compression: str, executor: Executor) -> Iterator[bytes]:
    """The bytes that `read(n)` gives (fewer than n only at the end), compressed as `gzip` or `zstd`.

    The same bytes give the same bytes, whatever the machine has; `executor` runs the blocks.
    """
    if compression == "gzip":
        return _gzip(read, executor)
    if compression == "zstd":
        return _blocks(read, _ZSTD_BLOCK, _zstd_block, executor)
    raise InvalidInput(f"unknown compression: {compression}", hint=f"there are: {', '.join(COMPRESSIONS)}")


def _blocks(
    read: Callable[[int], bytes], size: int, pack: Callable[[bytes], bytes], executor: Executor
) -> Iterator[bytes]:
    """Every block, packed, in order."""
    waiting = [executor.submit(pack, read(size))]  # the first may be empty, which is a stream too
    while block := read(size):
        waiting.append(executor.submit(pack, block))
        if len(waiting) >= _AHEAD:
            yield waiting.pop(0).result()
    for future in waiting:
        yield future.result()


def _gzip(read: Callable[[int], bytes], executor: Executor) -> Iterator[bytes]:
    from isal.isal_zlib import crc32

    checksum = size = 0

    def counted(count: int) -> bytes:
        nonlocal checksum, size
        block = read(count)
        checksum = crc32(block, checksum)
        size += len(block)
        return block

    yield _GZIP_HEADER
    yield from _blocks(counted, BLOCK, _gzip_block, executor)
    yield _GZIP_END + checksum.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")


def _gzip_block(block: bytes) -> bytes:
    from isal import isal_zlib

    packer = isal_zlib.compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, -15)
    return bytes(packer.compress(block) + packer.flush(isal_zlib.Z_FULL_FLUSH))


def _zstd_block(block: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_content_size=True).compress(block)
