"""Bytes on their way: downloads that go on where they were cut, and reading ahead while the last bytes are used."""

from __future__ import annotations

from wherry.base.errors import Corrupt, Unavailable
from wherry.transfer.client import wait_before_try
from wherry.transfer.transport import Cut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from queue import Queue

    from wherry.oci.descriptor import Descriptor
    from wherry.transfer.client import RegistryClient
    from wherry.transfer.transport import Answer

__all__ = ["CHUNK", "Ahead", "BlobReader"]

CHUNK = 1 << 20
_TRIES = 5  # in a row without a byte


class BlobReader:
    """One blob of a registry, in order, each byte once, however often the connection is cut. Use it as a context.

    Raises Corrupt for more bytes than the descriptor says, Unavailable where nothing comes any more. The digest is for
    the caller to check.
    """

    def __init__(self, client: RegistryClient, descriptor: Descriptor) -> None:
        self._client = client
        self._descriptor = descriptor
        self._answer: Answer | None = None
        self._done = 0
        self._failures = 0

    def read(self, count: int) -> bytes:
        """At most `count` bytes; empty at the end."""
        while True:
            try:
                data = self._open().read(count)
            except Cut as cut:
                self.close()
                self._failures += 1
                if self._failures >= _TRIES:
                    raise Unavailable(
                        f"the download of {self._descriptor.digest} was cut off {_TRIES} times: {cut}", hint="try again"
                    ) from None
                wait_before_try(self._failures - 1)
                continue
            self._done += len(data)
            if self._done > self._descriptor.size:
                raise Corrupt(f"the blob {self._descriptor.digest} has more than its {self._descriptor.size} bytes")
            if not data and self._done < self._descriptor.size:
                raise Corrupt(f"the blob {self._descriptor.digest} ends after {self._done} bytes")
            self._failures = 0
            return data

    def _open(self) -> Answer:
        if self._answer is None:
            self._answer, begin = self._first()
            self._check_length(self._answer, begin)
            skip = self._done - begin
            while skip > 0:  # the registry knows no ranges, and sends the beginning again
                data = self._answer.read(min(skip, CHUNK))
                if not data:
                    raise Cut("fewer bytes than before")
                skip -= len(data)
        return self._answer

    def _first(self) -> tuple[Answer, int]:
        from wherry.base.errors import NotFound

        try:
            return self._client.open_blob(self._descriptor.digest, self._done)
        except NotFound:
            if not self._descriptor.urls:
                raise
            return self._client.open_url(self._descriptor.urls[0]), 0

    def _check_length(self, answer: Answer, begin: int) -> None:
        length = answer.header("Content-Length")
        if length.isdigit() and begin + int(length) != self._descriptor.size:
            raise Corrupt(
                f"the blob {self._descriptor.digest} is announced with {begin + int(length)} bytes,"
                f" not with its {self._descriptor.size}"
            )

    def close(self) -> None:
        """Give the connection up, unless all has been read."""
        if self._answer is not None:
            self._answer.close()
            self._answer = None

    def __enter__(self) -> BlobReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Ahead:
    """A thread that calls `fetch` for the next pieces (empty at the end) while `read` gives out the last ones.

    Use it as a context; at its end the thread is gone. What `fetch` raises, `read` raises.
    """

    def __init__(self, fetch: Callable[[], bytes]) -> None:
        from queue import Queue
        from threading import Thread

        self._fetch = fetch
        self._queue: Queue[bytes | BaseException] = Queue(maxsize=8)
        self._thread = Thread(target=self._run, daemon=True)
        self._piece = b""
        self._position = 0
        self._ended = False
        self._stopped = False

    def _run(self) -> None:
        try:
            while not self._stopped:
                piece = self._fetch()
                self._queue.put(piece)
                if not piece:
                    return
        except BaseException as error:  # noqa: BLE001 (it is raised where the bytes are read)
            self._queue.put(error)

    def read(self, count: int = CHUNK) -> bytes:
        """At most `count` bytes; empty at the end."""
        if self._position >= len(self._piece):
            if self._ended:
                return b""
            got = self._queue.get()
            if isinstance(got, BaseException):
                self._ended = True
                raise got
            self._piece, self._position, self._ended = got, 0, not got
        if not self._position and count >= len(self._piece):
            piece, self._piece = self._piece, b""
            return piece
        piece = self._piece[self._position : self._position + count]
        self._position += len(piece)
        return piece

    def drain(self) -> None:
        """Read what is left, so that `fetch` has seen all."""
        while self.read():
            pass

    def __enter__(self) -> Ahead:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        while self._thread.is_alive():
            if not self._queue.empty():
                self._queue.get()
            self._thread.join(0.01)
