"""The registry's facts, opened: one connection that reads, on the server's own thread, and one writer in a thread.

Everything that changes facts goes through the writer one after another, each call one durable transaction; so a
rename in the storage and the row that speaks of it happen together as seen by every other change.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from wherry.registry import metadata
from wherry.store.database import Database

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ["Catalog"]


class Catalog:
    """`registry.db` below the data directory. Several processes may have it open."""

    def __init__(self, root: str) -> None:
        path = f"{root}/registry.db"
        os.makedirs(root, mode=0o700, exist_ok=True)
        self._writer = Database(path, durable=True)
        self._reader = Database(path, durable=True)
        self.version = -1
        self.migrate("registry", metadata.MIGRATIONS)
        os.chmod(path, 0o600)  # it holds secret keys
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="registry-writer")

    def migrate(self, component: str, migrations: Sequence[str]) -> None:
        """Bring a component's tables up to date; before anything is asked of them."""
        self._writer.migrate(component, migrations)

    @property
    def reading(self) -> sqlite3.Connection:
        """The connection for questions, for the thread that opened the catalog, as long as the catalog is there."""
        with self._reader.read() as connection:
            return connection

    def submit(self, change: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Let the writer make the change, as one transaction; an error undoes it."""
        return self._thread.submit(self._change, change)

    def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """As `submit`, and wait."""
        return self.submit(change).result()

    def _change(self, change: Callable[[sqlite3.Connection], T]) -> T:
        with self._writer.write() as connection:
            return change(connection)

    def look(self) -> None:
        """Learn whether another connection, the writer's too, has changed something; `version` is then another.

        Asked once for each request, before anything is decided.
        """
        self.version = self.reading.execute("PRAGMA data_version").fetchone()[0]

    def close(self) -> None:
        """Let what was submitted end, and give the files back."""
        self._thread.shutdown(wait=True)
        self._reader.close()
        self._writer.close()
