"""Blob storage on a file system: `blobs/ALGORITHM/XX/HEX` and `uploads/ID`."""

from __future__ import annotations

import hashlib
import os

from wherry.base.errors import NotFound, Unavailable
from wherry.base.files import ensure_directory, remove_if_exists, sync_directory
from wherry.registry.names import ALGORITHMS
from wherry.registry.storage import StoredUpload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["FileSystemStorage"]

_PIECE = 1 << 20
_WRITE_BEHIND = 32 << 20  # how many bytes may wait in memory before the kernel is asked to write them


class FileUpload:
    """An upload in a file of its own; its hash goes along with the bytes, and is made again after a restart."""

    def __init__(self, path: str, fd: int) -> None:
        self._path = path
        self._fd = fd
        self.size = os.fstat(fd).st_size
        self._hash = hashlib.sha256()
        self._hashed = 0
        self._pushed = 0

    def write(self, parts: Sequence[bytes]) -> None:
        """See `storage.Upload`."""
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        before = self.size
        try:
            view = memoryview(data)
            while view:
                done = os.pwrite(self._fd, view, self.size)
                self.size += done
                view = view[done:]
        except OSError as error:
            self._hashed = -1  # what is there is hashed anew before anybody trusts it
            raise Unavailable(f"cannot store an upload: {error.strerror}", hint="is the disk full?") from None
        if self._hashed == before:
            self._hash.update(data)
            self._hashed = self.size
        if self.size - self._pushed >= _WRITE_BEHIND:
            # The kernel starts to write now, so that `seal` finds little left to wait for.
            os.posix_fadvise(self._fd, self._pushed, self.size - self._pushed, os.POSIX_FADV_DONTNEED)
            self._pushed = self.size

    def digest(self, algorithm: str) -> str:
        """See `storage.Upload`."""
        if algorithm == "sha256":
            if self._hashed != self.size:
                self._hash = self._hash_all("sha256")
                self._hashed = self.size
            return f"sha256:{self._hash.hexdigest()}"
        return f"{algorithm}:{self._hash_all(algorithm).hexdigest()}"

    def _hash_all(self, algorithm: str) -> hashlib._Hash:
        value, position = hashlib.new(algorithm), 0
        while piece := os.pread(self._fd, _PIECE, position):
            value.update(piece)
            position += len(piece)
        return value

    def seal(self) -> None:
        """See `storage.Upload`."""
        os.fsync(self._fd)

    def close(self) -> None:
        """See `storage.Upload`."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()


class FileSystemStorage:
    """Everything below one directory, on one file system, so that a rename makes an upload a blob."""

    def __init__(self, root: str) -> None:
        self._blobs = f"{root}/blobs"
        self._uploads = f"{root}/uploads"
        ensure_directory(self._blobs, 0o755)
        ensure_directory(self._uploads, 0o700)

    def create(self, upload_id: str) -> FileUpload:
        """See `storage.BlobStorage`."""
        path = self._upload(upload_id)
        return FileUpload(path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))

    def resume(self, upload_id: str) -> FileUpload | None:
        """See `storage.BlobStorage`."""
        path = self._upload(upload_id)
        try:
            return FileUpload(path, os.open(path, os.O_RDWR | os.O_CLOEXEC))
        except FileNotFoundError:
            return None

    def discard(self, upload_id: str) -> None:
        """See `storage.BlobStorage`."""
        remove_if_exists(self._upload(upload_id))

    def uploads(self) -> Iterator[StoredUpload]:
        """See `storage.BlobStorage`."""
        with os.scandir(self._uploads) as entries:
            for entry in entries:
                try:
                    found = entry.stat()
                except FileNotFoundError:
                    continue
                yield StoredUpload(entry.name, found.st_size, found.st_mtime_ns)

    def adopt(self, upload_id: str, digest: str) -> int:
        """See `storage.BlobStorage`."""
        source, target = self._upload(upload_id), self.local_path(digest)
        if os.path.exists(target):
            remove_if_exists(source)
        else:
            self._ensure(os.path.dirname(target))
            os.rename(source, target)
            sync_directory(os.path.dirname(target))
        return os.stat(target).st_size

    def size(self, digest: str) -> int | None:
        """See `storage.BlobStorage`."""
        try:
            return os.stat(self.local_path(digest)).st_size
        except FileNotFoundError:
            return None

    def local_path(self, digest: str) -> str:
        """See `storage.BlobStorage`."""
        algorithm, _, value = digest.partition(":")
        return f"{self._blobs}/{algorithm}/{value[:2]}/{value}"

    def read(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """See `storage.BlobStorage`."""
        try:
            file = open(self.local_path(digest), "rb")
        except FileNotFoundError:
            raise NotFound(f"the registry's storage does not hold {digest}") from None
        with file:
            file.seek(start)
            left = os.fstat(file.fileno()).st_size - start if end is None else end - start
            while left > 0 and (piece := file.read(min(_PIECE, left))):
                left -= len(piece)
                yield piece

    def delete(self, digest: str) -> int:
        """See `storage.BlobStorage`."""
        size = self.size(digest)
        if size is not None:
            remove_if_exists(self.local_path(digest))
        return size or 0

    def digests(self) -> Iterator[tuple[str, int]]:
        """See `storage.BlobStorage`."""
        for algorithm, length in ALGORITHMS.items():
            for directory, _, names in os.walk(f"{self._blobs}/{algorithm}"):
                for name in names:
                    if len(name) == length:
                        try:
                            yield f"{algorithm}:{name}", os.stat(f"{directory}/{name}").st_mtime_ns
                        except FileNotFoundError:
                            continue

    @staticmethod
    def _ensure(directory: str) -> None:
        """The directory is there, and its name outlives a power cut."""
        if not os.path.isdir(directory):
            ensure_directory(directory, 0o755)
            sync_directory(os.path.dirname(directory))
            sync_directory(os.path.dirname(os.path.dirname(directory)))

    def _upload(self, upload_id: str) -> str:
        return f"{self._uploads}/{upload_id}"
