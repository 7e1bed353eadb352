"""Snapshots: one directory for each layer, in the form that overlay mounts take, by chain ID.

A snapshot is made in a pending directory that is locked while its maker lives, and renamed when it is whole. Its bytes
are not synced then: the row says in which boot it was made, and after a power cut what was not synced is made again
from its blob.
"""

from __future__ import annotations

import os

from wherry.base.errors import NotFound
from wherry.base.files import remove_tree
from wherry.base.locks import FileLock
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.store.database import Database

__all__ = ["PendingSnapshot", "Snapshot", "SnapshotStore"]

_MIGRATIONS = (
    """
    CREATE TABLE snapshots (
        chain_id TEXT PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        parent TEXT NOT NULL,
        size INTEGER NOT NULL,
        created INTEGER NOT NULL,
        boot TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
)
_PENDING = "pending-"
_DURABLE = ""  # the value of `boot` of a snapshot that has been synced
_REST = 120 * 1_000_000_000


class Snapshot(NamedTuple):
    """A layer on disk. `parent` is the chain ID below it, empty for a base; `size` in bytes."""

    chain_id: str
    id: str
    parent: str
    size: int
    path: str


class PendingSnapshot:
    """A snapshot in the making: fill `path`, then `commit`; left uncommitted, it goes with the context."""

    def __init__(self, store: SnapshotStore, root: str) -> None:
        self._store = store
        self._name = os.urandom(6).hex()
        self.directory = f"{root}/{_PENDING}{self._name}"
        self.path = f"{self.directory}/fs"
        self._lock = FileLock(f"{root}/{_PENDING}{self._name}.lock")

    def __enter__(self) -> PendingSnapshot:
        self._lock.acquire()
        os.mkdir(self.directory, 0o700)
        os.mkdir(self.path, 0o755)
        return self

    def __exit__(self, *_: object) -> None:
        remove_tree(self.directory)
        self._lock.remove()
        self._lock.release()

    def commit(self, chain_id: str, parent: str, size: int) -> Snapshot:
        """Make it the snapshot of `chain_id`. If another process was faster, its snapshot is returned."""
        return self._store.adopt(self._name, self.path, chain_id, parent, size)


class SnapshotStore:
    """The snapshots of one installation. `boot_id` is injected so that a power cut can be played."""

    def __init__(self, database: Database, root: str, locks: str, clock: Callable[[], int], boot_id: str) -> None:
        database.migrate("snapshots", _MIGRATIONS)
        self._database = database
        self._root = root
        self._locks = locks
        self._clock = clock
        self._boot_id = boot_id

    def get(self, chain_id: str) -> Snapshot | None:
        """The snapshot, or None where it is not there or may have suffered in a power cut."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT chain_id, id, parent, size FROM snapshots WHERE chain_id = ? AND boot IN (?, ?)",
                (chain_id, _DURABLE, self._boot_id),
            ).fetchone()
        return self._snapshot(row) if row else None

    def _snapshot(self, row: tuple[str, str, str, int]) -> Snapshot:
        chain_id, identifier, parent, size = row
        return Snapshot(chain_id, identifier, parent, size, f"{self._root}/{identifier}")

    def prepare(self) -> PendingSnapshot:
        """A new snapshot to fill, as a context."""
        os.makedirs(self._root, mode=0o711, exist_ok=True)
        return PendingSnapshot(self, self._root)

    def making(self, chain_id: str) -> FileLock:
        """Held while the snapshot of `chain_id` is made, so that it is made once."""
        return FileLock(f"{self._locks}/snapshot-{chain_id[7:39]}")

    def adopt(self, name: str, path: str, chain_id: str, parent: str, size: int) -> Snapshot:
        """Rename `path` into place and record it, in one transaction."""
        with self._database.write() as connection:
            present = self.get(chain_id)
            if present is not None:
                return present
            connection.execute("DELETE FROM snapshots WHERE chain_id = ?", (chain_id,))
            os.rename(path, f"{self._root}/{name}")
            connection.execute(
                "INSERT INTO snapshots VALUES (?, ?, ?, ?, ?, ?)",
                (chain_id, name, parent, size, self._clock(), self._boot_id),
            )
        return Snapshot(chain_id, name, parent, size, f"{self._root}/{name}")

    def lowers(self, chain_id: str) -> list[str]:
        """The directories of the snapshot and all below it, the topmost first. Raises NotFound where one is missing."""
        with self._database.read() as connection:
            rows = connection.execute(
                "WITH RECURSIVE chain (chain_id, id, parent, depth) AS ("
                " SELECT chain_id, id, parent, 0 FROM snapshots WHERE chain_id = :top"
                " UNION ALL SELECT s.chain_id, s.id, s.parent, depth + 1 FROM snapshots s"
                " JOIN chain ON s.chain_id = chain.parent)"
                " SELECT id, parent FROM chain ORDER BY depth",
                {"top": chain_id},
            ).fetchall()
        if chain_id and (not rows or rows[-1][1]):
            raise NotFound(f"a layer of {chain_id} is missing", hint="build or pull the image again")
        return [f"{self._root}/{row[0]}" for row in rows]

    def all(self) -> list[Snapshot]:
        """Every snapshot."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT chain_id, id, parent, size FROM snapshots").fetchall()
        return [self._snapshot(row) for row in rows]

    def delete(self, snapshot: Snapshot) -> None:
        """Forget the snapshot and remove its directory."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM snapshots WHERE chain_id = ?", (snapshot.chain_id,))
        remove_tree(snapshot.path)

    def settle(self) -> None:
        """Make durable what has been at rest for two minutes; cheap, because the kernel has written it by then."""
        with self._database.read() as connection:
            due = connection.execute(
                "SELECT chain_id FROM snapshots WHERE boot = ? AND created < ?", (self._boot_id, self._clock() - _REST)
            ).fetchall()
        if due:
            from wherry.kernel.mounts import sync_filesystem

            sync_filesystem(self._root)
            with self._database.write() as connection:
                connection.executemany(
                    "UPDATE snapshots SET boot = ? WHERE chain_id = ?", [(_DURABLE, *row) for row in due]
                )

    def sweep(self) -> None:
        """Remove directories of dead makers and those that no row speaks of."""
        if not os.path.isdir(self._root):
            return
        with self._database.write() as connection:
            connection.execute("DELETE FROM snapshots WHERE boot NOT IN (?, ?)", (_DURABLE, self._boot_id))
            known = {row[0] for row in connection.execute("SELECT id FROM snapshots")}
            present = [name for name in os.listdir(self._root) if not name.endswith(".lock")]
            strays = [name for name in present if not name.startswith(_PENDING) and name not in known]
        for name in strays:
            remove_tree(f"{self._root}/{name}")
        for name in present:
            if name.startswith(_PENDING):
                self._sweep_pending(name)

    def _sweep_pending(self, name: str) -> None:
        try:
            with FileLock(f"{self._root}/{name}.lock", wait=False) as lock:
                remove_tree(f"{self._root}/{name}")
                lock.remove()
        except BlockingIOError:
            pass
