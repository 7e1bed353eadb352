"""Garbage collection, beside a running server: what nothing names any more goes, in an order that loses nothing.

Every step is a short transaction of its own. Rows go before bytes: a blob's file is removed in a transaction in which
no row speaks of it, and an upload becomes a blob in a transaction too (`Uploads.finish`), so the two never cross. After
a `kill -9` between two steps the next collection goes on.
"""

from __future__ import annotations

from itertools import islice

from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator
    from typing import TypeVar

    from wherry.registry.catalog import Catalog
    from wherry.registry.storage import BlobStorage

    T = TypeVar("T")

__all__ = ["Collected", "collect", "expire_uploads"]

_ROWS = 500
_FILES = 20

_UNNAMED_LINKS = """
    SELECT r.repository, r.digest FROM repository_blobs r
    WHERE (r.repository, r.digest) > (?, ?) AND r.touched < ? AND NOT EXISTS (
        SELECT 1 FROM manifest_references f JOIN manifests m ON m.id = f.manifest
        WHERE f.kind = 'blob' AND f.digest = r.digest AND m.repository = r.repository)
    ORDER BY r.repository, r.digest LIMIT ?
"""
_UNNAMED_BLOBS = """
    SELECT digest FROM blobs b
    WHERE NOT EXISTS (SELECT 1 FROM repository_blobs r WHERE r.digest = b.digest) LIMIT ?
"""
# No tag, in no index of the repository, and not attached to a manifest that is there.
_UNTAGGED = """
    SELECT m.id FROM manifests m
    WHERE m.id > ? AND m.pushed < ?
      AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.repository = m.repository AND t.digest = m.digest)
      AND NOT EXISTS (
        SELECT 1 FROM manifest_references f JOIN manifests i ON i.id = f.manifest
        WHERE f.kind = 'manifest' AND f.digest = m.digest AND i.repository = m.repository)
      AND NOT EXISTS (
        SELECT 1 FROM manifests s WHERE s.repository = m.repository AND s.digest = m.subject AND m.subject <> '')
    ORDER BY m.id LIMIT ?
"""


class Collected(NamedTuple):
    """What went: counts, and the bytes that the storage gave back."""

    manifests: int
    links: int
    blobs: int
    freed: int


def collect(catalog: Catalog, storage: BlobStorage, before: int, *, untagged: bool = False) -> Collected:
    """Remove what nothing names and nobody has asked for since `before` (nanoseconds since the epoch)."""
    manifests = _remove_untagged(catalog, before) if untagged else 0
    links = _unlink(catalog, before)
    while catalog.write(_forget_blobs):
        pass
    blobs, freed = 0, 0
    for batch in _batches((digest for digest, _ in storage.digests()), _FILES):
        count, size = catalog.write(lambda db, some=batch: _remove_files(db, storage, some))  # type: ignore[misc]
        blobs += count
        freed += size
    return Collected(manifests, links, blobs, freed)


def _remove_untagged(catalog: Catalog, before: int) -> int:
    """Again until nothing goes: an index that went leaves its manifests behind, a subject its referrers."""
    total = 0
    while True:
        last, removed = 0, 0

        def step(db: sqlite3.Connection, after: int) -> list[int]:
            found = [row[0] for row in db.execute(_UNTAGGED, (after, before, _ROWS))]
            db.executemany("DELETE FROM manifests WHERE id = ?", [(each,) for each in found])
            return found

        while found := catalog.write(lambda db, after=last: step(db, after)):  # type: ignore[misc]
            last = found[-1]
            removed += len(found)
        if not removed:
            return total
        total += removed


def _unlink(catalog: Catalog, before: int) -> int:
    last, total = ("", ""), 0

    def step(db: sqlite3.Connection, after: tuple[str, str]) -> list[tuple[str, str]]:
        found = db.execute(_UNNAMED_LINKS, (*after, before, _ROWS)).fetchall()
        db.executemany("DELETE FROM repository_blobs WHERE repository = ? AND digest = ?", found)
        return found

    while found := catalog.write(lambda db, after=last: step(db, after)):  # type: ignore[misc]
        last = found[-1]
        total += len(found)
    return total


def _forget_blobs(db: sqlite3.Connection) -> int:
    found = db.execute(_UNNAMED_BLOBS, (_ROWS,)).fetchall()
    db.executemany("DELETE FROM blobs WHERE digest = ?", found)
    return len(found)


def _remove_files(db: sqlite3.Connection, storage: BlobStorage, digests: Iterable[str]) -> tuple[int, int]:
    gone = [each for each in digests if not db.execute("SELECT 1 FROM blobs WHERE digest = ?", (each,)).fetchone()]
    return len(gone), sum(storage.delete(each) for each in gone)


def expire_uploads(catalog: Catalog, storage: BlobStorage, before: int) -> int:
    """Forget uploads that nobody has written to since `before` (nanoseconds since the epoch); how many."""
    stored: dict[str, int] = {found.id: found.changed for found in storage.uploads()}

    def forget(db: sqlite3.Connection) -> list[str]:
        rows: dict[str, int] = dict(db.execute("SELECT id, created FROM uploads").fetchall())
        stale = [each for each, created in rows.items() if stored.get(each, created) < before]
        # Bytes without a row are left from a server that was killed between the two.
        orphans = [each for each, changed in stored.items() if each not in rows and changed < before]
        db.executemany("DELETE FROM uploads WHERE id = ?", [(each,) for each in stale])
        return stale + orphans

    gone = catalog.write(forget)
    for each in gone:
        storage.discard(each)
    return len(gone)


def _batches(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while batch := list(islice(items, size)):
        yield batch
