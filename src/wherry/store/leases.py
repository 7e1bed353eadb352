"""Leases: what is in use and must not be collected, though nothing names it yet."""

from __future__ import annotations

import os

from wherry.base.processes import is_living, process_identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from wherry.store.database import Database

__all__ = ["BUILD_CACHE", "VERSION", "Lease", "Leases"]

BUILD_CACHE = "build-cache:"  # begins the names of owners that keep what nobody needs, only to have it at hand

VERSION = "version:"  # begins the names of owners whose images are to stay whole: versions of applications

_MIGRATIONS = (
    """
    CREATE TABLE leases (
        owner TEXT NOT NULL,
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        PRIMARY KEY (owner, kind, key)
    ) STRICT, WITHOUT ROWID;
    """,
)
_PROCESS = "process:"


class Leases:
    """An owner is a container (`container:ID`, until unpinned) or a process (void when the process is dead)."""

    def __init__(self, database: Database) -> None:
        database.migrate("leases", _MIGRATIONS)
        self._database = database

    def process(self) -> Lease:
        """A lease that ends with this context, or with this process."""
        return Lease(self, f"{_PROCESS}{process_identity(os.getpid())}:{os.urandom(4).hex()}")

    def pin(self, owner: str, items: Iterable[tuple[str, str]]) -> None:
        """Keep `items` (kind `blob`, `snapshot` or `image`, and its digest) until `unpin`."""
        with self._database.write() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO leases VALUES (?, ?, ?)", [(owner, kind, key) for kind, key in items]
            )

    def unpin(self, owner: str) -> None:
        """Let go of all that `owner` keeps; harmless where it keeps nothing."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM leases WHERE owner = ?", (owner,))

    def owners(self, kind: str, prefix: str) -> dict[str, str]:
        """For each key of `kind` that owners whose names begin with `prefix` keep, one of them."""
        query = "SELECT key, min(owner) FROM leases WHERE kind = ? AND substr(owner, 1, ?) = ? GROUP BY key"
        with self._database.read() as connection:
            return dict(connection.execute(query, (kind, len(prefix), prefix)).fetchall())

    def held(self, *, cached: bool = True) -> set[tuple[str, str]]:
        """Everything that a living owner keeps, with the build cache or without; leases of the dead are removed."""
        with self._database.write() as connection:
            rows = connection.execute("SELECT owner, kind, key FROM leases").fetchall()
            dead = {owner for owner in {row[0] for row in rows} if _is_dead(owner)}
            connection.executemany("DELETE FROM leases WHERE owner = ?", [(owner,) for owner in dead])
        return {
            (kind, key)
            for owner, kind, key in rows
            if owner not in dead and (cached or not owner.startswith(BUILD_CACHE))
        }


class Lease:
    """What one process keeps while it works."""

    def __init__(self, leases: Leases, owner: str) -> None:
        self._leases = leases
        self._owner = owner

    def add(self, kind: str, key: str) -> None:
        """Keep one more thing; call it before the thing is looked up or made."""
        self._leases.pin(self._owner, [(kind, key)])

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self._leases.unpin(self._owner)


def _is_dead(owner: str) -> bool:
    return owner.startswith(_PROCESS) and not is_living(owner.split(":")[1])
