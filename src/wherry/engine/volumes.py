"""Named and anonymous volumes: directories below the root that outlive the containers that use them."""

from __future__ import annotations

import os

from wherry.base.errors import Conflict, InvalidInput, NotFound
from wherry.base.files import ensure_directory, remove_tree
from wherry.base.jsontext import decode, encode
from wherry.base.locks import FileLock
from wherry.base.programs import require, run
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from wherry.base.paths import Layout
    from wherry.store import Database

__all__ = ["Volume", "Volumes"]

_MIGRATIONS = (
    """
    CREATE TABLE volumes (
        name TEXT PRIMARY KEY,
        labels TEXT NOT NULL,
        options TEXT NOT NULL,
        anonymous INTEGER NOT NULL,
        created INTEGER NOT NULL
    ) STRICT;
    """,
)
_ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


class Volume(NamedTuple):
    """A volume; `path` is the directory that containers see."""

    name: str
    path: str
    labels: dict[str, str]
    options: dict[str, str]
    anonymous: bool
    created: int


class Volumes:
    """The volumes of one installation. `users(name)` tells which containers mount a volume."""

    def __init__(
        self, database: Database, layout: Layout, clock: Callable[[], int], users: Callable[[str], list[str]]
    ) -> None:
        database.migrate("volumes", _MIGRATIONS)
        self._database = database
        self._layout = layout
        self._clock = clock
        self._users = users

    def path(self, name: str) -> str:
        """Where the content of the volume is."""
        return f"{self._layout.volumes}/{name}/_data"

    def create(
        self,
        name: str = "",
        *,
        labels: dict[str, str] | None = None,
        options: dict[str, str] | None = None,
        anonymous: bool = False,
    ) -> Volume:
        """Make the volume, or return the one that is there; without a name, 64 random hexadecimal digits."""
        name = name or os.urandom(32).hex()
        check_volume_name(name)
        with self._changing():
            ensure_directory(self._layout.volumes, 0o711)
            if not self._is_known(name):
                remove_tree(f"{self._layout.volumes}/{name}")  # of one that was removed by a process that died
            ensure_directory(f"{self._layout.volumes}/{name}", 0o711)
            ensure_directory(self.path(name), 0o755)
            with self._database.write() as connection:
                connection.execute(
                    "INSERT OR IGNORE INTO volumes VALUES (?, ?, ?, ?, ?)",
                    (name, encode(labels or {}), encode(options or {}), anonymous, self._clock()),
                )
        return self.get(name)

    def _changing(self) -> FileLock:
        return FileLock(f"{self._layout.locks}/volumes")

    def _is_known(self, name: str) -> bool:
        with self._database.read() as connection:
            return connection.execute("SELECT 1 FROM volumes WHERE name = ?", (name,)).fetchone() is not None

    def get(self, name: str) -> Volume:
        """Raises NotFound in Docker's words."""
        with self._database.read() as connection:
            row = connection.execute("SELECT * FROM volumes WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise NotFound(f"get {name}: no such volume", hint="`wherry volume ls` shows all volumes")
        return self._volume(tuple(row))

    def all(self) -> list[Volume]:
        """All volumes by name."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT * FROM volumes ORDER BY name").fetchall()
        return [self._volume(tuple(row)) for row in rows]

    def _volume(self, row: tuple[Any, ...]) -> Volume:
        name, labels, options, anonymous, created = row
        return Volume(name, self.path(name), decode(labels), decode(options), bool(anonymous), created)

    def remove(self, name: str, *, force: bool = False) -> None:
        """Delete the volume and its content. Raises Conflict while a container, even a stopped one, mounts it."""
        try:
            self.get(name)
        except NotFound:
            if force:
                return
            raise
        users = self._users(name)
        if users:
            raise Conflict(
                f"remove {name}: volume is in use - [{', '.join(users)}]", hint="remove the containers first"
            )
        with self._changing():
            with self._database.write() as connection:
                connection.execute("DELETE FROM volumes WHERE name = ?", (name,))
            remove_tree(f"{self._layout.volumes}/{name}")

    def is_used(self, name: str) -> bool:
        """Whether a container, even a stopped one, mounts the volume."""
        return bool(self._users(name))

    def sweep(self) -> None:
        """Delete directories that no row speaks of: what a process left that died while it removed or made one."""
        with self._changing():
            try:
                present = os.listdir(self._layout.volumes)
            except FileNotFoundError:
                return
            with self._database.read() as connection:
                known = {row[0] for row in connection.execute("SELECT name FROM volumes")}
            for name in set(present) - known:
                remove_tree(f"{self._layout.volumes}/{name}")

    def fill(self, name: str, source: str) -> None:
        """Copy the directory `source` into an empty volume, owners and modes included; one container does it.

        A copy that was cut off is made whole by the next one.
        """
        unfinished = f"{self._layout.volumes}/{name}/filling"
        with FileLock(f"{self._layout.locks}/volume-{name}") as lock:
            if self.wants_filling(name):
                os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
                run((require("cp"), "-a", f"{source}/.", self.path(name)), pass_fds=(lock.fileno(),))
                os.unlink(unfinished)
            lock.remove()

    def wants_filling(self, name: str) -> bool:
        """Whether it is empty, or a copy into it was cut off."""
        return not os.listdir(self.path(name)) or os.path.exists(f"{self._layout.volumes}/{name}/filling")


def check_volume_name(name: str) -> None:
    """Raises InvalidInput for a name that is not a single, harmless path component."""
    if len(name) == 1:
        raise InvalidInput("volume name is too short, names should be at least two alphanumeric characters")
    if not name or not name[0].isalnum() or not _ALLOWED.issuperset(name):
        raise InvalidInput(
            f'"{name}" includes invalid characters for a local volume name,'
            ' only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )
