"""The contract of blob storage: where the registry's bytes are. Metadata is not its business.

Implementations: `filesystem` (and `memory` for tests); an object store fits by keeping uploads as multipart uploads.
All methods may block and are called from threads; one upload is used by one thread at a time, different ones at once.
Every implementation passes `tests/contract/test_blob_storage.py`.
"""

from __future__ import annotations

from typing import Protocol

from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["BlobStorage", "StoredUpload", "Upload"]


class StoredUpload(NamedTuple):
    """An upload that is not finished; `changed` in nanoseconds since the epoch."""

    id: str
    size: int
    changed: int


class Upload(Protocol):
    """Bytes that are on their way to become a blob. What was written survives a restart, finished or not."""

    @property
    def size(self) -> int:
        """Bytes so far."""

    def write(self, parts: Sequence[bytes]) -> None:
        """Append. Raises Unavailable where there is no room; then nothing more is appended."""

    def digest(self, algorithm: str) -> str:
        """The digest of all bytes so far."""

    def seal(self) -> None:
        """Make the bytes durable; only `BlobStorage.adopt` follows."""

    def close(self) -> None:
        """Let go of what is held in memory; the upload stays."""


class BlobStorage(Protocol):
    """Blobs by digest. A blob that can be seen is whole, verified by the caller, and durable."""

    def create(self, upload_id: str) -> Upload:
        """A new, empty upload; the identifier is checked by the caller."""

    def resume(self, upload_id: str) -> Upload | None:
        """The upload as it was left, in this process's life or an earlier one; None where there is none."""

    def discard(self, upload_id: str) -> None:
        """Forget the upload; harmless where there is none."""

    def uploads(self) -> Iterator[StoredUpload]:
        """Every upload that is not finished."""

    def adopt(self, upload_id: str, digest: str) -> int:
        """Turn a sealed upload into the blob `digest`, durably, and return its size. An equal blob stays as it is."""

    def size(self, digest: str) -> int | None:
        """The blob's bytes; None where it is not here."""

    def local_path(self, digest: str) -> str | None:
        """The file that a server on this machine can send the blob from; None where it has to be read."""

    def read(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The blob's bytes in pieces, from `start` up to, and without, `end`. Raises NotFound with the first piece."""

    def delete(self, digest: str) -> int:
        """Remove the blob; the bytes that were freed, 0 where it was not here."""

    def digests(self) -> Iterator[tuple[str, int]]:
        """Every blob, with the time (nanoseconds since the epoch) when it came."""
