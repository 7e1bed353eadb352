"""Blobs by digest, in a directory that is a valid OCI image layout (image-spec v1.1 image-layout.md)."""

from __future__ import annotations

import os

from wherry.base.errors import Corrupt, NotFound, Unavailable
from wherry.base.files import atomic_write, remove_if_exists, sync_directory, write_all
from wherry.base.locks import FileLock
from wherry.base.values import NamedTuple
from wherry.oci.digest import encoded, is_digest, parse_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO

    from wherry.store.leases import Lease

__all__ = ["Blob", "BlobWriter", "ContentStore"]

_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


class Blob(NamedTuple):
    """A stored blob; `size` in bytes."""

    digest: str
    size: int


class ContentStore:
    """The blobs of one installation. A blob that can be seen is whole and durable."""

    def __init__(self, root: str, lock: str) -> None:
        self._root = root
        self._blobs = f"{root}/blobs/sha256"
        self._ingest = f"{root}/ingest"
        self._lock = lock

    def prepare(self) -> None:
        """Make the layout where it is missing."""
        if not os.path.exists(f"{self._root}/oci-layout"):
            os.makedirs(self._blobs, mode=0o755, exist_ok=True)
            os.makedirs(self._ingest, mode=0o700, exist_ok=True)
            if not os.path.exists(f"{self._root}/index.json"):
                self.write_index(b'{"schemaVersion":2,"manifests":[]}')
            atomic_write(f"{self._root}/oci-layout", _LAYOUT)

    def write_index(self, data: bytes) -> None:
        """Make `data` the layout's `index.json`; where it is already, nothing is written."""
        path = f"{self._root}/index.json"
        try:
            with open(path, "rb") as file:
                if file.read() == data:
                    return
        except FileNotFoundError:
            pass
        atomic_write(path, data)

    def changing(self, *, exclusive: bool = False, wait: bool = True) -> FileLock:
        """Held shared while a blob gets its name, exclusively while garbage is removed.

        With `wait=False`, BlockingIOError is raised where it would have to be waited for.
        """
        return FileLock(self._lock, shared=not exclusive, wait=wait)

    def path(self, digest: str) -> str:
        """Where the blob is or would be. Raises InvalidInput for what is not a digest."""
        return f"{self._blobs}/{encoded(parse_digest(digest))}"

    def exists(self, digest: str) -> bool:
        """Whether the blob is here."""
        return os.path.exists(self.path(digest))

    def size(self, digest: str) -> int:
        """Bytes. Raises NotFound."""
        try:
            return os.stat(self.path(digest)).st_size
        except FileNotFoundError:
            raise _absent(digest) from None

    def open(self, digest: str) -> BinaryIO:
        """The blob's bytes. Raises NotFound."""
        try:
            return open(self.path(digest), "rb")
        except FileNotFoundError:
            raise _absent(digest) from None

    def read(self, digest: str, limit: int = 16 << 20) -> bytes:
        """The whole of a small blob, checked against its digest. Raises NotFound or Corrupt."""
        from wherry.oci.digest import sha256_digest

        with self.open(digest) as blob:
            data = blob.read(limit + 1)
        if len(data) > limit or sha256_digest(data) != digest:
            raise Corrupt(f"the stored blob {digest} is damaged", hint="remove the image and build or pull it again")
        return data

    def add(self, data: bytes, lease: Lease) -> Blob:
        """Store `data`, which is small, and keep it in `lease`."""
        from wherry.oci.digest import sha256_digest

        digest = sha256_digest(data)
        lease.add("blob", digest)
        if self.exists(digest):
            return Blob(digest, len(data))
        with self.writer() as writer:
            writer.write(data)
            return writer.commit(known=digest)

    def writer(self, *, expected: str = "", size: int = -1) -> BlobWriter:
        """A new blob; with `expected` and `size`, only bytes that hash to that and are that many are stored."""
        if expected:
            parse_digest(expected)
        return BlobWriter(self, self._ingest, expected, size)

    def digests(self) -> Iterator[str]:
        """Every blob that is here."""
        for name in os.listdir(self._blobs):
            if is_digest(f"sha256:{name}"):
                yield f"sha256:{name}"

    def delete(self, digest: str) -> int:
        """Remove the blob; the bytes that were freed."""
        path = self.path(digest)
        try:
            size = os.stat(path).st_size
        except FileNotFoundError:
            return 0
        remove_if_exists(path)
        return size

    def sweep_ingest(self) -> int:
        """Remove what writers left that died; the bytes that were freed."""
        freed = 0
        for name in os.listdir(self._ingest):
            path = f"{self._ingest}/{name}"
            try:
                with FileLock(path, wait=False) as lock:
                    freed += os.fstat(lock.fileno()).st_size
                    lock.remove()
            except BlockingIOError:
                continue
        return freed


class BlobWriter:
    """Writes one blob under a temporary name that is locked while the writer lives. Use it as a context."""

    def __init__(self, store: ContentStore, directory: str, expected: str, size: int) -> None:
        self._store = store
        self._path = f"{directory}/{os.urandom(12).hex()}"
        self._lock = FileLock(self._path)
        self._expected = expected
        self._wanted_size = size
        self._hash = _sha256() if expected else None
        self._size = 0

    def __enter__(self) -> BlobWriter:
        self._lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        if self._path:
            self._lock.remove()
        self._lock.release()

    def write(self, data: bytes) -> None:
        """Take the next bytes. Raises Unavailable where the disk is full, Corrupt for more than was announced."""
        self._size += len(data)
        if 0 <= self._wanted_size < self._size:
            raise Corrupt(f"the blob {self._expected} has more than its {self._wanted_size} bytes")
        if self._hash is not None:
            self._hash.update(data)
        try:
            write_all(self._lock.fileno(), data)
        except OSError as error:
            raise Unavailable(
                f"cannot write to {os.path.dirname(self._path)}: {error.strerror}",
                hint="`wherry system df` shows what takes the space, `wherry system prune` frees what is not used",
            ) from None

    def commit(self, *, known: str = "", lease: Lease | None = None) -> Blob:
        """Make the blob durable and visible; `known` is its digest where the caller has hashed the bytes itself.

        With `lease`, no collection can remove it before something names it.
        Raises Corrupt where the bytes are not what was expected.
        """
        digest = known or ("sha256:" + self._hash.hexdigest() if self._hash is not None else "")
        if not digest:
            raise ValueError("a writer without an expected digest needs a known one")
        if self._expected and digest != self._expected:
            raise Corrupt(f"the bytes of {self._expected} hash to {digest}", hint="fetch it again")
        if 0 <= self._wanted_size != self._size:
            raise Corrupt(f"the blob {digest} has {self._size} bytes, not {self._wanted_size}")
        os.fchmod(self._lock.fileno(), 0o644)
        os.fsync(self._lock.fileno())
        target = self._store.path(digest)
        if lease is not None:
            lease.add("blob", digest)
        with self._store.changing():
            os.rename(self._path, target)
        self._path = ""
        sync_directory(os.path.dirname(target))
        return Blob(digest, self._size)


def _sha256() -> Any:
    from hashlib import sha256

    return sha256()


def _absent(digest: str) -> NotFound:
    return NotFound(f"the store does not hold the blob {digest}", hint="build or pull the image again")
