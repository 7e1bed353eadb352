"""What layers become on their way: their compressed forms by diff ID, and which repositories hold which blobs.

All of it is only remembered, never relied on: a registry is asked before anything is left out.
"""

from __future__ import annotations

from _thread import allocate_lock  # `threading.Lock` without the module

from wherry.oci.descriptor import Descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.store.database import Database

__all__ = ["LayerForms"]

_MIGRATIONS = (
    """
    CREATE TABLE layer_forms (
        diff_id TEXT NOT NULL,
        compression TEXT NOT NULL,
        media_type TEXT NOT NULL,
        digest TEXT NOT NULL,
        size INTEGER NOT NULL,
        noted INTEGER NOT NULL,
        PRIMARY KEY (diff_id, compression)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE layer_places (
        digest TEXT NOT NULL,
        registry TEXT NOT NULL,
        repository TEXT NOT NULL,
        noted INTEGER NOT NULL,
        PRIMARY KEY (digest, registry, repository)
    ) STRICT, WITHOUT ROWID;
    """,
)
_MOST = 20_000  # rows of either table: the oldest go first


class LayerForms:
    """The memory of one installation; several threads of a process may use it at once."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        database.migrate("layer_forms", _MIGRATIONS)
        self._database = database
        self._clock = clock
        self._lock = allocate_lock()

    def form(self, diff_id: str, compression: str) -> Descriptor | None:
        """What the layer was when it was compressed like that before."""
        with self._lock, self._database.read() as connection:
            row = connection.execute(
                "SELECT media_type, digest, size FROM layer_forms WHERE diff_id = ? AND compression = ?",
                (diff_id, compression),
            ).fetchone()
        return Descriptor(*row) if row else None

    def remember(self, diff_id: str, descriptor: Descriptor) -> None:
        """That the layer becomes `descriptor` when it is compressed."""
        compression = descriptor.media_type.rpartition("+")[2]
        self._note("layer_forms", (diff_id, compression, descriptor.media_type, descriptor.digest, descriptor.size))

    def places(self, digest: str, registry: str) -> list[str]:
        """Repositories of that registry that were seen to hold the blob, the latest first."""
        with self._lock, self._database.read() as connection:
            rows = connection.execute(
                "SELECT repository FROM layer_places WHERE digest = ? AND registry = ? ORDER BY noted DESC",
                (digest, registry),
            ).fetchall()
        return [row[0] for row in rows]

    def placed(self, digest: str, registry: str, repository: str) -> None:
        """That a repository holds the blob."""
        self._note("layer_places", (digest, registry, repository))

    def _note(self, table: str, values: tuple[str | int, ...]) -> None:
        marks = ", ".join("?" * (len(values) + 1))
        with self._lock, self._database.write() as connection:
            connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", (*values, self._clock()))  # noqa: S608
            connection.execute(
                f"DELETE FROM {table} WHERE noted <= (SELECT noted FROM {table}"  # noqa: S608
                f" ORDER BY noted DESC LIMIT 1 OFFSET {_MOST})"
            )
