"""Blob storage in memory, for tests: everything the contract asks but to survive the process."""

from __future__ import annotations

import hashlib
import time

from wherry.base.errors import NotFound
from wherry.registry.storage import StoredUpload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["MemoryStorage"]


class _Stored:
    def __init__(self) -> None:
        self.data = bytearray()
        self.changed = time.time_ns()


class MemoryUpload:
    """Bytes that lie in the storage's own table."""

    def __init__(self, stored: _Stored) -> None:
        self._stored = stored
        self._data = stored.data

    @property
    def size(self) -> int:
        """See `storage.Upload`."""
        return len(self._data)

    def write(self, parts: Sequence[bytes]) -> None:
        """See `storage.Upload`."""
        for part in parts:
            self._data += part
        self._stored.changed = time.time_ns()

    def digest(self, algorithm: str) -> str:
        """See `storage.Upload`."""
        return f"{algorithm}:{hashlib.new(algorithm, self._data).hexdigest()}"

    def seal(self) -> None:
        """See `storage.Upload`."""

    def close(self) -> None:
        """See `storage.Upload`."""


class MemoryStorage:
    """Blobs and uploads in two tables."""

    def __init__(self) -> None:
        self._uploads: dict[str, _Stored] = {}
        self._blobs: dict[str, tuple[bytes, int]] = {}

    def create(self, upload_id: str) -> MemoryUpload:
        """See `storage.BlobStorage`."""
        self._uploads[upload_id] = _Stored()
        return MemoryUpload(self._uploads[upload_id])

    def resume(self, upload_id: str) -> MemoryUpload | None:
        """See `storage.BlobStorage`."""
        found = self._uploads.get(upload_id)
        return MemoryUpload(found) if found else None

    def discard(self, upload_id: str) -> None:
        """See `storage.BlobStorage`."""
        self._uploads.pop(upload_id, None)

    def uploads(self) -> Iterator[StoredUpload]:
        """See `storage.BlobStorage`."""
        for name, found in list(self._uploads.items()):
            yield StoredUpload(name, len(found.data), found.changed)

    def adopt(self, upload_id: str, digest: str) -> int:
        """See `storage.BlobStorage`."""
        data = self._uploads.pop(upload_id).data
        self._blobs.setdefault(digest, (bytes(data), time.time_ns()))
        return len(self._blobs[digest][0])

    def size(self, digest: str) -> int | None:
        """See `storage.BlobStorage`."""
        found = self._blobs.get(digest)
        return len(found[0]) if found else None

    def local_path(self, _: str) -> None:
        """See `storage.BlobStorage`."""
        return

    def read(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """See `storage.BlobStorage`."""
        found = self._blobs.get(digest)
        if found is None:
            raise NotFound(f"the registry's storage does not hold {digest}")
        if data := found[0][start:end]:
            yield data

    def delete(self, digest: str) -> int:
        """See `storage.BlobStorage`."""
        data, _ = self._blobs.pop(digest, (b"", 0))
        return len(data)

    def digests(self) -> Iterator[tuple[str, int]]:
        """See `storage.BlobStorage`."""
        for digest, (_, created) in list(self._blobs.items()):
            yield digest, created
