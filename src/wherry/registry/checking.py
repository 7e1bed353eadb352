"""`registry check`: whether everything that the registry promises is there, byte for byte."""

from __future__ import annotations

import hashlib

from wherry.base.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from wherry.registry.catalog import Catalog
    from wherry.registry.storage import BlobStorage

__all__ = ["check"]

_MISSING_BLOBS = """
    SELECT m.repository, m.digest, f.digest FROM manifest_references f JOIN manifests m ON m.id = f.manifest
    WHERE f.kind = 'blob' AND NOT EXISTS (
        SELECT 1 FROM repository_blobs r WHERE r.repository = m.repository AND r.digest = f.digest)
"""


def check(catalog: Catalog, storage: BlobStorage, *, read: bool = True) -> Iterator[str]:
    """What is wrong, a sentence each; with `read` every blob's bytes are hashed, else only their size is compared.

    Manifests hash to their digests, every blob of a manifest is the repository's, every blob is stored whole.
    """
    for problem in catalog.reading.execute("PRAGMA integrity_check").fetchall():
        if problem[0] != "ok":
            yield f"the database: {problem[0]}"
    for repository, digest, data in catalog.reading.execute("SELECT repository, digest, bytes FROM manifests"):
        algorithm = digest.partition(":")[0]
        if f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}" != digest:
            yield f"{repository}: the manifest {digest} does not hash to its digest"
    for repository, manifest, blob in catalog.reading.execute(_MISSING_BLOBS):
        yield f"{repository}: the manifest {manifest} needs the blob {blob}, which the repository lacks"
    for digest, size in catalog.reading.execute("SELECT digest, size FROM blobs ORDER BY digest").fetchall():
        problem = _blob_problem(storage, digest, size, read)
        if problem and catalog.reading.execute("SELECT 1 FROM blobs WHERE digest = ?", (digest,)).fetchone():
            yield problem


def _blob_problem(storage: BlobStorage, digest: str, size: int, read: bool) -> str:
    found = storage.size(digest)
    if found is None:
        return f"the blob {digest} is not stored"
    if found != size:
        return f"the blob {digest} has {found} bytes instead of {size}"
    if not read:
        return ""
    algorithm = digest.partition(":")[0]
    value = hashlib.new(algorithm)
    try:
        for piece in storage.read(digest):
            value.update(piece)
    except NotFound:
        return f"the blob {digest} is not stored"
    return "" if f"{algorithm}:{value.hexdigest()}" == digest else f"the blob {digest} is damaged"
