"""The application as an ASGI callable (ASGI 3.0, HTTP only): bytes in, bytes out, nothing decided here."""

from __future__ import annotations

import asyncio
import os

from wherry.registry.http import BlobBody, Disconnected, Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from typing import Any

    from wherry.registry.application import Application
    from wherry.registry.http import Response
    from wherry.registry.metrics import Metrics
    from wherry.registry.storage import BlobStorage

    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

__all__ = ["Gateway"]

_IDLE = 60.0  # seconds that a client may be silent in the middle of a body
_PIECE = 256 << 10  # bytes of a blob that are read at once
_LEAST_PIECE = 16 << 10
_PIECES = 2 << 20  # bytes that are read at once for all who are sent blobs; each of them keeps about four pieces
_DRAINED = 16 << 20  # bytes
_DRAIN_SECONDS = 5.0


class _Body:
    """A request's body, read once."""

    def __init__(self, receive: Receive, metrics: Metrics) -> None:
        self._receive = receive
        self._metrics = metrics
        self._more = True

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes as they arrive. Raises Disconnected."""
        while self._more:
            try:
                async with asyncio.timeout(_IDLE):
                    message = await self._receive()
            except TimeoutError:
                self._more = False
                raise Disconnected(f"the client sent nothing for {_IDLE:g} seconds") from None
            self._more = message.get("more_body", False)
            if message["type"] == "http.disconnect":
                raise Disconnected("the client closed the connection")
            if data := message.get("body"):
                self._metrics.received += len(data)
                yield data

    async def drain(self) -> None:
        """Take what is still on its way, up to a limit: most clients read a refusal only when they have sent all."""
        left = _DRAINED
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                async for chunk in self.chunks():
                    left -= len(chunk)
                    if left < 0:
                        return
        except (Disconnected, TimeoutError):
            return


class Gateway:
    """`active` counts the requests that are not answered to the end; `wait_until_idle` waits for none."""

    def __init__(self, application: Application, storage: BlobStorage) -> None:
        self._application = application
        self._storage = storage
        self._idle = asyncio.Event()
        self._idle.set()
        self.active = 0
        self._sending = 0

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        self.active += 1
        self._idle.clear()
        try:
            body = _Body(receive, self._application.metrics)
            request = self._request(scope, body)
            response = await self._application.answer(request)
            if response.status >= 400 and "expect" not in request.headers:
                await body.drain()
            await self._send(response, request.method == "HEAD", send)
        finally:
            self.active -= 1
            if not self.active:
                self._idle.set()

    async def wait_until_idle(self, seconds: float) -> bool:
        """Whether all requests ended in that time."""
        try:
            await asyncio.wait_for(self._idle.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _request(self, scope: dict[str, Any], body: _Body) -> Request:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        client = scope.get("client")
        return Request(
            scope["method"],
            scope["path"],
            scope["query_string"].decode("latin-1"),
            headers,
            body.chunks,
            client=f"{client[0]}:{client[1]}" if client else "",
            scheme=scope["scheme"],
        )

    async def _send(self, response: Response, head: bool, send: Send) -> None:
        body, headers = response.body, response.headers
        if isinstance(body, BlobBody):
            path = self._storage.local_path(body.digest)
            if path is not None and not os.path.exists(path):
                await _start(send, 500, {"Content-Length": "0"})
                return await _end(send)
            await _start(send, response.status, headers)
            if head:
                return await _end(send)
            self._application.metrics.sent += body.end - body.start
            return await self._send_blob(body, path, send)
        if "Content-Length" not in headers and response.status not in (204, 304):
            headers = {**headers, "Content-Length": str(len(body))}
        await _start(send, response.status, headers)
        self._application.metrics.sent += 0 if head else len(body)
        return await _end(send, b"" if head else body)

    async def _send_blob(self, blob: BlobBody, path: str | None, send: Send) -> None:
        """A blob or a part of it, in pieces that are smaller the more clients there are: they may be slow to take them.

        On Linux 6.18 that is faster than to let granian send the file, which reads every 128 KiB in another thread.
        """
        fd = -1 if path is None else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._sending += 1
        try:
            position = blob.start
            while position < blob.end:
                count = min(max(_PIECES // self._sending, _LEAST_PIECE), _PIECE, blob.end - position)
                data = await self._piece(blob.digest, fd, position, count)
                if not data:
                    raise Disconnected("the blob ended early")
                position += len(data)
                await send({"type": "http.response.body", "body": data, "more_body": True})
        finally:
            self._sending -= 1
            if fd >= 0:
                os.close(fd)
        await _end(send)

    async def _piece(self, digest: str, fd: int, position: int, count: int) -> bytes:
        """Bytes of a blob: from memory here and now, from the disk by a thread."""
        in_thread = self._application.uploads.in_thread
        if fd < 0:
            return await in_thread(self._read, digest, position, position + count)  # type: ignore[no-any-return]
        if _in_memory(fd, position + count - 1):
            return os.pread(fd, count, position)
        return await in_thread(os.pread, fd, count, position)  # type: ignore[no-any-return]

    def _read(self, digest: str, start: int, end: int) -> bytes:
        return b"".join(self._storage.read(digest, start, end))


def _in_memory(fd: int, position: int) -> bool:
    """Whether the kernel can give that byte, and most likely those before it, without waiting for a disk."""
    try:
        return os.preadv(fd, [bytearray(1)], position, os.RWF_NOWAIT) == 1
    except OSError:
        return False


async def _start(send: Send, status: int, headers: dict[str, str]) -> None:
    encoded = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})


async def _end(send: Send, body: bytes = b"") -> None:
    await send({"type": "http.response.body", "body": body})
