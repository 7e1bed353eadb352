"""Blob uploads: received in pieces, verified while they arrive, adopted as blobs (distribution-spec v1.1 #push)."""

from __future__ import annotations

import asyncio
import re
import uuid
from concurrent.futures import ThreadPoolExecutor

from wherry.registry import metadata
from wherry.registry.errors import Refusal
from wherry.registry.names import check_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from typing import Any

    from wherry.registry.catalog import Catalog
    from wherry.registry.http import Request
    from wherry.registry.storage import BlobStorage, Upload

__all__ = ["Uploads", "ensure_repository"]

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_RANGE = re.compile(r"(\d{1,18})-(\d{1,18})")
_PIECE = 1 << 20  # bytes that are gathered before a thread is given them
_GATHERED = 8 << 20  # bytes that all uploads together gather
_THREADS = 8
_MOST_OPEN = 256


def ensure_repository(connection: sqlite3.Connection, name: str, now: int) -> None:
    """The repository is there; for the writer."""
    connection.execute("INSERT OR IGNORE INTO repositories (name, created) VALUES (?, ?)", (name, now))


class _Session:
    """An upload as this process knows it: `upload` is open while somebody may go on with it."""

    def __init__(self, upload: Upload | None) -> None:
        self.upload = upload
        self.lock = asyncio.Lock()

    def close(self) -> None:
        if self.upload is not None:
            self.upload.close()
            self.upload = None


class Uploads:
    """All uploads in progress. One request at a time works on an upload; others to the same wait."""

    def __init__(self, catalog: Catalog, storage: BlobStorage, clock: Callable[[], int]) -> None:
        self._catalog = catalog
        self._storage = storage
        self._clock = clock
        self._sessions: dict[str, _Session] = {}  # the one that was used last comes last
        self._receiving = 0
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="registry-disk")

    async def in_thread(self, action: Callable[..., Any], *arguments: Any) -> Any:
        """Do what blocks on the disk without holding up other requests."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, action, *arguments)

    async def change(self, action: Callable[[sqlite3.Connection], Any]) -> Any:
        """Let the writer do it."""
        return await asyncio.wrap_future(self._catalog.submit(action))

    async def begin(self, repository: str, owner: str) -> str:
        """A new upload's identifier. The repository is made where it is missing."""
        upload_id, now = str(uuid.uuid4()), self._clock()

        def record(connection: sqlite3.Connection) -> None:
            ensure_repository(connection, repository, now)
            connection.execute("INSERT INTO uploads VALUES (?, ?, ?, ?)", (upload_id, repository, now, owner))

        upload = await self.in_thread(self._storage.create, upload_id)
        try:
            await self.change(record)
        except BaseException:
            upload.close()
            await self.in_thread(self._storage.discard, upload_id)
            raise
        self._remember(upload_id, _Session(upload))
        return upload_id

    async def size(self, repository: str, upload_id: str) -> int:
        """Bytes so far. Raises BLOB_UPLOAD_UNKNOWN."""
        session = self._session(repository, upload_id)
        async with session.lock:
            return (await self._opened(upload_id, session)).size

    async def append(self, repository: str, upload_id: str, request: Request) -> int:
        """Append the request's body; bytes so far. Raises BLOB_UPLOAD_INVALID with 416 for a chunk out of order."""
        session = self._session(repository, upload_id)
        async with session.lock:
            upload = await self._opened(upload_id, session)
            _check_range(request, upload.size)
            await self._receive(upload, request)
            return upload.size

    async def _receive(self, upload: Upload, request: Request) -> None:
        self._receiving += 1
        try:
            await self._write_all(upload, request)
        finally:
            self._receiving -= 1

    async def _write_all(self, upload: Upload, request: Request) -> None:
        """One piece is written while the next one arrives; what arrived before a cut connection is kept."""
        expected, before = request.content_length, upload.size
        parts: list[bytes] = []
        gathered = 0
        writing: asyncio.Future[Any] | None = None
        try:
            async for chunk in request.chunks():
                parts.append(chunk)
                gathered += len(chunk)
                if gathered >= min(_PIECE, _GATHERED // self._receiving):
                    if writing is not None:
                        await writing
                    writing = asyncio.ensure_future(self.in_thread(upload.write, parts))
                    parts, gathered = [], 0
        finally:
            if writing is not None:
                await writing
            if parts:
                await self.in_thread(upload.write, parts)
        if 0 <= expected != upload.size - before:
            raise Refusal("SIZE_INVALID", f"the body has {upload.size - before} bytes, not the announced {expected}")

    async def finish(self, repository: str, upload_id: str, digest: str, request: Request | None) -> int:
        """Append what is left, verify, and make it the repository's blob, durably; its size.

        Raises DIGEST_INVALID where the bytes are not what was promised; the upload is then gone.
        """
        check_digest(digest)
        session = self._session(repository, upload_id)
        async with session.lock:
            upload = await self._opened(upload_id, session)
            if request is not None:
                _check_range(request, upload.size)
                await self._receive(upload, request)
            found = await self.in_thread(upload.digest, digest.partition(":")[0])
            if found != digest:
                await self._forget(upload_id)
                raise Refusal("DIGEST_INVALID", f"the uploaded bytes hash to {found}, not to {digest}")
            await self.in_thread(upload.seal)
            try:
                size: int = await self.change(self._adoption(repository, upload_id, digest))
            finally:
                self._drop(upload_id)  # its file may be the blob's by now, whether that was noted or not
            return size

    async def finish_at_once(self, repository: str, upload_id: str, digest: str, request: Request) -> None:
        """As `finish`, for an upload whose identifier nobody knows: whatever goes wrong, nothing of it stays."""
        try:
            await self.finish(repository, upload_id, digest, request)
        except BaseException:
            await self._forget(upload_id)
            raise

    def _adoption(self, repository: str, upload_id: str, digest: str) -> Callable[[sqlite3.Connection], int]:
        now = self._clock()

        def adopt(connection: sqlite3.Connection) -> int:
            if not connection.execute("DELETE FROM uploads WHERE id = ?", (upload_id,)).rowcount:
                raise _unknown()  # it expired meanwhile
            size = self._storage.adopt(upload_id, digest)
            metadata.link_blob(connection, repository, digest, size, now)
            return size

        return adopt

    async def cancel(self, repository: str, upload_id: str) -> None:
        """Raises BLOB_UPLOAD_UNKNOWN."""
        session = self._session(repository, upload_id)
        async with session.lock:
            await self._opened(upload_id, session)
            await self._forget(upload_id)

    async def _forget(self, upload_id: str) -> None:
        """The bytes go first, so that there is room for the rest where the disk is full."""
        self._drop(upload_id)
        await self.in_thread(self._storage.discard, upload_id)
        await self.change(lambda db: db.execute("DELETE FROM uploads WHERE id = ?", (upload_id,)))

    def _session(self, repository: str, upload_id: str) -> _Session:
        if not _ID.fullmatch(upload_id):
            raise _unknown()
        row = self._catalog.reading.execute("SELECT repository FROM uploads WHERE id = ?", (upload_id,)).fetchone()
        if row is None or row[0] != repository:
            self._drop(upload_id)
            raise _unknown()
        session = self._sessions.pop(upload_id, None) or _Session(None)
        self._remember(upload_id, session)
        return session

    async def _opened(self, upload_id: str, session: _Session) -> Upload:
        """The upload; whoever waited for the lock may find it gone."""
        if self._sessions.get(upload_id) is not session:
            raise _unknown()
        if session.upload is None:
            session.upload = await self.in_thread(self._storage.resume, upload_id)
        if session.upload is None:
            raise _unknown()
        return session.upload

    def _remember(self, upload_id: str, session: _Session) -> None:
        """Those that were not used for long are closed; the next request opens them again."""
        self._sessions[upload_id] = session
        if len(self._sessions) > _MOST_OPEN:
            for old, each in list(self._sessions.items())[:-_MOST_OPEN]:
                if not each.lock.locked():
                    self._drop(old)

    def _drop(self, upload_id: str) -> None:
        session = self._sessions.pop(upload_id, None)
        if session is not None:
            session.close()

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=True)
        for upload_id in list(self._sessions):
            self._drop(upload_id)


def _unknown() -> Refusal:
    return Refusal("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")


def _check_range(request: Request, size: int) -> None:
    """A chunk begins where the last one ended (distribution-spec v1.1 #pushing-a-blob-in-chunks)."""
    text = request.headers.get("content-range")
    if not text:
        return
    found = _RANGE.fullmatch(text.removeprefix("bytes ").partition("/")[0])
    if not found:
        raise Refusal("BLOB_UPLOAD_INVALID", f"malformed Content-Range: {text!r:.80}", status=416)
    first, last = int(found[1]), int(found[2])
    length = request.content_length
    if first != size or (length >= 0 and last - first + 1 != length):
        headers = {"Range": f"0-{max(size - 1, 0)}"}
        raise Refusal("BLOB_UPLOAD_INVALID", f"the next chunk begins at {size}", status=416, headers=headers)
