"""Counting and hashing bytes on their way to a file, on a second core where the pieces are large enough."""

from __future__ import annotations

from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from queue import Queue
    from threading import Thread

__all__ = ["DigestSink", "Packed"]

_LARGE = 1 << 18


class Packed(NamedTuple):
    """A layer that was written: the digest and size of the uncompressed tar, and its number of entries."""

    diff_id: str
    size: int
    entries: int


class DigestSink:
    """Passes what is written on to `write`, counts it and hashes it; `close` gives the digest.

    Large pieces are hashed by a thread while the next are read and written; pieces must not be changed after writing.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        from hashlib import sha256

        self._write = write
        self._hash = sha256()
        self._queue: Queue[bytes | None] | None = None
        self._thread: Thread | None = None
        self.size = 0

    def write(self, data: bytes) -> None:
        """Take the next piece."""
        self.size += len(data)
        if self._queue is None and len(data) >= _LARGE:
            self._start()
        if self._queue is None:
            self._hash.update(data)
        else:
            self._queue.put(data)  # waits where hashing is behind, so that memory stays bounded
        self._write(data)

    def _start(self) -> None:
        from queue import Queue
        from threading import Thread

        self._queue = Queue(maxsize=8)
        self._thread = Thread(target=self._drain, args=(self._queue,), daemon=True)
        self._thread.start()

    def _drain(self, queue: Queue[bytes | None]) -> None:
        while (data := queue.get()) is not None:
            self._hash.update(data)

    def close(self) -> str:
        """The digest of all that was written."""
        if self._queue is not None and self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._queue = self._thread = None
        return "sha256:" + self._hash.hexdigest()
