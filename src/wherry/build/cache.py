"""The build cache: which step over which layers gave which layer. It survives everything but `prune`.

Only records of our own are trusted: a key is a hash of everything that decides a step, and never holds a secret.
"""

from __future__ import annotations

import json

from wherry.base.errors import WherryError
from wherry.base.values import NamedTuple
from wherry.oci.digest import encoded, sha256_digest
from wherry.store.leases import BUILD_CACHE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.store import Store

__all__ = ["BuildCache", "CachedLayer", "NotBuilt", "step_key"]

_MIGRATIONS = (
    """
    CREATE TABLE build_steps (
        key TEXT PRIMARY KEY,
        diff_id TEXT NOT NULL,
        digest TEXT NOT NULL,
        blob_size INTEGER NOT NULL,
        chain_id TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE file_digests (
        context TEXT NOT NULL,
        path TEXT NOT NULL,
        inode INTEGER NOT NULL,
        size INTEGER NOT NULL,
        mtime INTEGER NOT NULL,
        ctime INTEGER NOT NULL,
        digest TEXT NOT NULL,
        PRIMARY KEY (context, path)
    ) STRICT, WITHOUT ROWID;
    """,
    "ALTER TABLE build_steps ADD COLUMN created INTEGER NOT NULL DEFAULT 0;",
    """
    CREATE TABLE downloads (
        url TEXT PRIMARY KEY,
        tag TEXT NOT NULL,
        digest TEXT NOT NULL,
        modified INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE TABLE tree_digests (
        context TEXT NOT NULL,
        state TEXT NOT NULL,
        digest TEXT NOT NULL,
        number INTEGER NOT NULL,
        PRIMARY KEY (context, state)
    ) STRICT, WITHOUT ROWID;
    """,
)
_TREES = 64  # remembered for each context: the oldest go first
FileState = tuple[int, int, int, int, str]


class NotBuilt(WherryError):
    """Something is not in the cache, or has to be looked at more closely: the image has to be built."""


class CachedLayer(NamedTuple):
    """A layer that a step gave; it is stored uncompressed, so `digest` is its diff ID too. `created` in nanoseconds."""

    diff_id: str
    digest: str
    blob_size: int
    chain_id: str
    created: int


class KnownDownload(NamedTuple):
    """What a URL gave: the server's entity tag (or empty), the digest, and the last change in seconds."""

    tag: str
    digest: str
    modified: int


def step_key(*parts: Any) -> str:
    """A hash of everything that decides what a step gives."""
    return encoded(sha256_digest(json.dumps(parts, sort_keys=True, ensure_ascii=True).encode()))


class BuildCache:
    """The cache of one installation."""

    def __init__(self, store: Store) -> None:
        store.database.migrate("build", _MIGRATIONS)
        self._store = store

    def find(self, key: str) -> CachedLayer | None:
        """The layer of the step, if it is still whole."""
        with self._store.database.read() as connection:
            row = connection.execute(
                "SELECT diff_id, digest, blob_size, chain_id, created FROM build_steps WHERE key = ?", (key,)
            ).fetchone()
        if row is None:
            return None
        layer = CachedLayer(*row)
        whole = self._store.content.exists(layer.digest) and self._store.snapshots.get(layer.chain_id) is not None
        return layer if whole else None

    def add(self, key: str, layer: CachedLayer) -> None:
        """Remember the layer, and keep it from being collected."""
        with self._store.database.write() as connection:
            connection.execute("INSERT OR REPLACE INTO build_steps VALUES (?, ?, ?, ?, ?, ?)", (key, *layer))
            self._store.leases.pin(BUILD_CACHE + key, [("blob", layer.digest), ("snapshot", layer.chain_id)])

    def clear(self) -> int:
        """Forget everything; what no image needs goes with the next collection. The number of steps forgotten."""
        with self._store.database.write() as connection:
            keys = [row[0] for row in connection.execute("SELECT key FROM build_steps")]
            connection.execute("DELETE FROM build_steps")
            connection.execute("DELETE FROM file_digests")
            connection.execute("DELETE FROM tree_digests")
            connection.execute("DELETE FROM downloads")
            for key in keys:
                self._store.leases.unpin(BUILD_CACHE + key)
        return len(keys)

    def download(self, url: str) -> KnownDownload | None:
        """What the URL gave when it was last fetched."""
        with self._store.database.read() as connection:
            row = connection.execute("SELECT tag, digest, modified FROM downloads WHERE url = ?", (url,)).fetchone()
        return KnownDownload(*row) if row else None

    def remember_download(self, url: str, tag: str, digest: str, modified: int) -> None:
        """What `download` gives from now on."""
        with self._store.database.write() as connection:
            connection.execute("INSERT OR REPLACE INTO downloads VALUES (?, ?, ?, ?)", (url, tag, digest, modified))

    def tree(self, context: str, state: str) -> str:
        """The digest that files of a context had together in that state, empty where that is not known."""
        with self._store.database.read() as connection:
            row = connection.execute(
                "SELECT digest FROM tree_digests WHERE context = ? AND state = ?", (context, state)
            ).fetchone()
        return row[0] if row else ""

    def remember_trees(self, context: str, digests: dict[str, str]) -> None:
        """Add to what `tree` gives: digests by state."""
        with self._store.database.write() as connection:
            (last,) = connection.execute(
                "SELECT coalesce(max(number), 0) FROM tree_digests WHERE context = ?", (context,)
            ).fetchone()
            connection.executemany(
                "INSERT OR REPLACE INTO tree_digests VALUES (?, ?, ?, ?)",
                [(context, *pair, last + number) for number, pair in enumerate(digests.items(), 1)],
            )
            connection.execute(
                "DELETE FROM tree_digests WHERE context = ? AND number <= ?", (context, last + len(digests) - _TREES)
            )

    def file_states(self, context: str) -> dict[str, FileState]:
        """What is known of the files of a context: inode, size, mtime and ctime (ns), and the digest they had then."""
        with self._store.database.read() as connection:
            rows = connection.execute(
                "SELECT path, inode, size, mtime, ctime, digest FROM file_digests WHERE context = ?", (context,)
            ).fetchall()
        return {row[0]: (row[1], row[2], row[3], row[4], row[5]) for row in rows}

    def remember_files(self, context: str, states: dict[str, FileState]) -> None:
        """Add to what `file_states` gives."""
        with self._store.database.write() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO file_digests VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(context, path, *state) for path, state in states.items()],
            )
