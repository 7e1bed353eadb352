"""The facts about containers: one row each, written before the resource it speaks of exists.

Whoever changes a container holds its lock (`ContainerRecords.lock`). A row in a passing state (`creating`, `starting`,
`removing`) whose lock nobody holds belongs to a process that died; `engine.repair` brings it to rest.
"""

from __future__ import annotations

from wherry.base.errors import Conflict, NotFound
from wherry.base.jsontext import decode, encode
from wherry.base.locks import FileLock
from wherry.base.values import NamedTuple
from wherry.engine.request import ContainerRequest, decode_request, encode_request
from wherry.store import Duplicate

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from typing import Any

    from wherry.base.paths import Layout
    from wherry.engine.healthrecords import HealthRecords
    from wherry.network import Publication
    from wherry.store import Database

__all__ = ["PASSING", "Container", "ContainerRecords", "ContainerState", "NetworkState"]

PASSING = ("creating", "starting", "removing")

_MIGRATIONS = (
    """
    CREATE TABLE containers (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        image TEXT NOT NULL,
        image_id TEXT NOT NULL,
        chain_id TEXT NOT NULL,
        request TEXT NOT NULL,
        created INTEGER NOT NULL,
        status TEXT NOT NULL,
        pid INTEGER NOT NULL DEFAULT 0,
        monitor_pid INTEGER NOT NULL DEFAULT 0,
        exit_code INTEGER NOT NULL DEFAULT 0,
        started INTEGER NOT NULL DEFAULT 0,
        finished INTEGER NOT NULL DEFAULT 0,
        error TEXT NOT NULL DEFAULT '',
        oom_killed INTEGER NOT NULL DEFAULT 0,
        restart_count INTEGER NOT NULL DEFAULT 0,
        stop_wanted INTEGER NOT NULL DEFAULT 0,
        network TEXT NOT NULL DEFAULT '{}'
    ) STRICT;
    CREATE TABLE container_mounts (
        container TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        mount TEXT NOT NULL,
        PRIMARY KEY (container, position)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    ALTER TABLE containers ADD COLUMN restart_delay INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE containers ADD COLUMN health TEXT NOT NULL DEFAULT '';
    ALTER TABLE containers ADD COLUMN health_streak INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE health_results (
        container TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
        started INTEGER NOT NULL,
        ended INTEGER NOT NULL,
        exit_code INTEGER NOT NULL,
        output TEXT NOT NULL,
        PRIMARY KEY (container, started)
    ) STRICT, WITHOUT ROWID;
    """,
)


class ContainerState(NamedTuple):
    """Where a container is in its life; times are nanoseconds since the epoch, 0 for never."""

    status: str  # creating | created | starting | running | paused | restarting | removing | exited | dead
    pid: int = 0
    monitor_pid: int = 0
    exit_code: int = 0
    started: int = 0
    finished: int = 0
    error: str = ""
    oom_killed: bool = False
    restart_count: int = 0
    stop_wanted: bool = False
    restart_delay: int = 0  # nanoseconds: how long the last restart had to wait, or the coming one has to
    health: str = ""  # starting | healthy | unhealthy; empty without a check
    health_streak: int = 0  # failures in a row

    @property
    def is_running(self) -> bool:
        """Whether it has a process, paused or not."""
        return self.status in ("running", "paused")

    @property
    def is_up(self) -> bool:
        """Whether it has a process or will have one again by itself."""
        return self.is_running or self.status == "restarting"


class NetworkState(NamedTuple):
    """What the container has on a network while it runs; all empty for `none` and `host`.

    The first network's carries the ports and the `others`.
    """

    network: str = ""
    address: str = ""
    prefix: int = 0
    gateway: str = ""
    mac: str = ""
    ports: tuple[tuple[int, str, str, int], ...] = ()  # container port, protocol, host address, host port
    name: str = ""  # of the network
    number: int = 0  # of the interface: eth0
    others: tuple[NetworkState, ...] = ()

    def joined(self) -> tuple[NetworkState, ...]:
        """One for each network, the first first."""
        return (self._replace(others=(), ports=()), *self.others) if self.address else ()


class Container(NamedTuple):
    """One container as the database knows it."""

    id: str
    name: str
    image: str
    image_id: str
    chain_id: str
    request: ContainerRequest
    created: int
    state: ContainerState
    network: NetworkState


_COLUMNS = (
    "id, name, image, image_id, chain_id, request, created, status, pid, monitor_pid, exit_code, started, finished,"
    " error, oom_killed, restart_count, stop_wanted, restart_delay, health, health_streak, network"
)


def _container(row: tuple[Any, ...]) -> Container:
    network = decode(row[20])
    network["ports"] = tuple(tuple(port) for port in network.get("ports", ()))
    network["others"] = tuple(NetworkState(*other) for other in network.get("others", ()))
    status, pid, monitor, code, started, finished, error, oom, restarts, stop = row[7:17]
    state = ContainerState(
        status, pid, monitor, code, started, finished, error, bool(oom), restarts, bool(stop), *row[17:20]
    )
    identifier, name, image, image_id, chain_id, request, created = row[:7]
    decoded = decode_request(decode(request))
    return Container(identifier, name, image, image_id, chain_id, decoded, created, state, NetworkState(**network))


class ContainerRecords:
    """Reads and writes the rows; knows nothing of processes, mounts or networks."""

    def __init__(self, database: Database, layout: Layout) -> None:
        database.migrate("engine", _MIGRATIONS)
        self._database = database
        self._layout = layout

    @property
    def health(self) -> HealthRecords:
        """What health checks have said."""
        from wherry.engine.healthrecords import HealthRecords

        return HealthRecords(self._database)

    def lock(self, container_id: str, *, wait: bool = True) -> FileLock:
        """The lock that every change of the container is made under."""
        return FileLock(f"{self._layout.locks}/container-{container_id}", wait=wait)

    def add(self, container: Container) -> None:
        """Write the first row. Raises Conflict in Docker's words where the name is taken."""
        values = (
            *container[:5],
            encode(encode_request(container.request)),
            container.created,
            container.state.status,
        )
        try:
            with self._database.write() as connection:
                connection.execute(
                    "INSERT INTO containers (id, name, image, image_id, chain_id, request, created, status)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    values,
                )
        except Duplicate:
            holder = self.find_name(container.name)
            raise Conflict(
                f'The container name "/{container.name}" is already in use by container "{holder}".',
                hint="remove or rename that container to be able to use the name again",
            ) from None

    def update(self, container_id: str, **columns: Any) -> None:
        """Set `columns` of the row (names of `ContainerState`, `name`, or `network` as a NetworkState)."""
        if "network" in columns:
            columns["network"] = encode(columns["network"]._asdict())
        assignments = ", ".join(f"{column} = ?" for column in columns)
        with self._database.write() as connection:
            connection.execute(
                f"UPDATE containers SET {assignments} WHERE id = ?",  # noqa: S608 (columns are our own names)
                (*columns.values(), container_id),
            )

    def set_request(self, container_id: str, request: ContainerRequest) -> None:
        """Replace what the container was asked to be."""
        self.update(container_id, request=encode(encode_request(request)))

    def joined(self) -> list[Container]:
        """The containers that are on a network now."""
        return self._select("WHERE json_extract(network, '$.address') != ''", ())

    def rename(self, container_id: str, name: str) -> None:
        """Raises Conflict where another container has the name."""
        try:
            self.update(container_id, name=name)
        except Duplicate:
            raise Conflict(
                f'The container name "/{name}" is already in use by container "{self.find_name(name)}".'
            ) from None

    def delete(self, container_id: str) -> None:
        """Forget the container; harmless where it is already forgotten."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM container_mounts WHERE container = ?", (container_id,))
            connection.execute("DELETE FROM health_results WHERE container = ?", (container_id,))
            connection.execute("DELETE FROM containers WHERE id = ?", (container_id,))

    def get(self, container_id: str) -> Container | None:
        """The container with exactly this identifier."""
        found = self._select("WHERE id = ?", (container_id,))
        return found[0] if found else None

    def all(self, statuses: Sequence[str] = ()) -> list[Container]:
        """All containers (of these `statuses`), the newest first."""
        where = f"WHERE status IN ({', '.join('?' * len(statuses))})" if statuses else ""
        return self._select(f"{where} ORDER BY created DESC, id", tuple(statuses))

    def identifiers(self) -> set[str]:
        """Of every container."""
        with self._database.read() as connection:
            return {row[0] for row in connection.execute("SELECT id FROM containers")}

    def unsettled(self) -> list[tuple[str, str, str]]:
        """Identifier, status and health of every container that is neither at rest nor merely created."""
        with self._database.read() as connection:
            return connection.execute(
                "SELECT id, status, health FROM containers WHERE status NOT IN ('created', 'exited', 'dead')"
            ).fetchall()

    def resolve(self, text: str) -> Container:
        """By name, identifier or unique prefix of it, in that order. Raises NotFound or Conflict in Docker's words."""
        name = text.removeprefix("/")
        exact = self._select("WHERE name = ? OR id = ?", (name, text))
        if exact:
            return next((one for one in exact if one.id == text), exact[0])
        prefixed = []
        if text and all(letter in "0123456789abcdef" for letter in text):
            prefixed = self._select("WHERE id >= ? AND id < ?", (text, text + "g"))
        if len(prefixed) > 1:
            raise Conflict(f"Multiple IDs found with provided prefix: {text}", hint="give more of the identifier")
        if not prefixed:
            raise NotFound(f"No such container: {text}", hint="`wherry ps -a` shows all containers")
        return prefixed[0]

    def find_name(self, name: str) -> str | None:
        """The identifier of the container of that name."""
        with self._database.read() as connection:
            row = connection.execute("SELECT id FROM containers WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def publications(self) -> list[Publication]:
        """The ports that are published now."""
        from wherry.network import PortMapping, Publication

        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT network FROM containers WHERE json_extract(network, '$.ports[0]') IS NOT NULL"
            ).fetchall()
        states = [decode(row[0]) for row in rows]
        return [Publication(one["address"], tuple(PortMapping(*port) for port in one["ports"])) for one in states]

    def set_mounts(self, container_id: str, mounts: Sequence[dict[str, Any]]) -> None:
        """Record which volumes and paths the container has been given."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM container_mounts WHERE container = ?", (container_id,))
            connection.executemany(
                "INSERT INTO container_mounts VALUES (?, ?, ?)",
                [(container_id, position, encode(mount)) for position, mount in enumerate(mounts)],
            )

    def mounts(self, container_id: str) -> list[dict[str, Any]]:
        """What `set_mounts` recorded."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT mount FROM container_mounts WHERE container = ? ORDER BY position", (container_id,)
            ).fetchall()
        return [decode(row[0]) for row in rows]

    def volume_users(self, volume: str) -> list[str]:
        """The identifiers of containers, in any state, that mount the named volume."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT DISTINCT container FROM container_mounts"
                " WHERE json_extract(mount, '$.kind') = 'volume' AND json_extract(mount, '$.name') = ?",
                (volume,),
            ).fetchall()
        return [row[0] for row in rows]

    def _select(self, where: str, values: tuple[Any, ...]) -> list[Container]:
        with self._database.read() as connection:
            rows: list[sqlite3.Row] = connection.execute(
                f"SELECT {_COLUMNS} FROM containers {where}",  # noqa: S608 (columns are our own names)
                values,
            ).fetchall()
        return [_container(tuple(row)) for row in rows]
