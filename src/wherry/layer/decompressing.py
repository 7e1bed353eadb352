"""The uncompressed bytes of a layer or archive: gzip, zstd, or as it is. What is not whole raises Corrupt."""

from __future__ import annotations

from wherry.base.errors import Corrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO, Protocol

    class Readable(Protocol):
        """What a layer is read from, once and in order; fewer bytes than asked for do not mean the end."""

        def read(self, count: int, /) -> bytes: ...


__all__ = ["open_layer"]

_PIECE = 1 << 20
_ZSTD_PIECE = 1 << 12


def open_layer(stream: Readable, compression: str = "auto") -> Callable[[int], bytes]:
    """A function that reads the uncompressed bytes of `stream`, which is `none`, `gzip`, `zstd` or to be looked at.

    Raises Corrupt while reading what is not whole.
    """
    if compression == "auto":
        seekable: BinaryIO = stream  # type: ignore[assignment]
        head = seekable.read(6)
        seekable.seek(0)
        compression = "gzip" if head[:2] == b"\x1f\x8b" else "zstd" if head[:4] == b"\x28\xb5\x2f\xfd" else "none"
    if compression == "none":
        return stream.read
    if compression == "zstd":
        return _zstd(stream)
    from isal import igzip, isal_zlib

    errors = (isal_zlib.IsalError, OSError, EOFError)
    return _guarded(igzip.open(_Filling(stream), "rb").read, errors)  # type: ignore[no-untyped-call,arg-type]


class _Filling:
    """A stream as isal wants it: it fills a buffer."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream

    def readinto(self, buffer: memoryview) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    read = None  # isal looks whether there is one


def _zstd(stream: Readable) -> Callable[[int], bytes]:
    """Frames one after another; unlike the library's own reader, a frame that is cut off is an error."""
    import zstandard

    frames = zstandard.ZstdDecompressor()
    frame = frames.decompressobj()
    waiting = b""
    position = 0
    started = False

    def read(_count: int) -> bytes:
        nonlocal frame, waiting, position, started
        while True:
            # Little goes in at a time: what comes out is up to 32,000 times as much, and all of it is in memory.
            if position >= len(waiting):
                waiting, position = stream.read(_PIECE), 0
            data = waiting[position : position + _ZSTD_PIECE]
            position += len(data)
            if not data:
                if started:
                    raise EOFError("it is cut off")
                return b""
            try:
                plain = frame.decompress(data)
            except zstandard.ZstdError as error:
                raise EOFError(str(error)) from None
            started = True
            if frame.eof:
                position -= len(frame.unused_data)
                frame, started = frames.decompressobj(), False
            if plain:
                return plain

    return _guarded(read, (EOFError,))


def _guarded(read: Callable[[int], bytes], errors: tuple[type[Exception], ...]) -> Callable[[int], bytes]:
    def checked(count: int) -> bytes:
        try:
            return read(count)
        except errors as error:
            raise Corrupt(f"the compressed layer is damaged: {error}") from None

    return checked
