"""What happened: deployments, for good, and events, as many as are worth keeping."""

from __future__ import annotations

from wherry.base.errors import NotFound
from wherry.deploy.model import Deployment, Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.store.database import Database

__all__ = ["KEPT_EVENTS", "History"]

KEPT_EVENTS = 5000  # of each environment
_MILLISECOND = 1_000_000
_DEPLOYMENT = (
    "environment, number, kind, who, started, before, after, before_version, after_version, policy, message, ended,"
    " result, cause"
)
_EVENT = "time, environment, severity, message, application, version, deployment, instance"


class History:
    """Deployments and events of one installation."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock

    # --- deployments

    def next_number(self, environment: str) -> int:
        """What the environment's next deployment is called. Call it in the transaction that adds the deployment."""
        query = "SELECT coalesce(max(number), 0) + 1 FROM deployments WHERE environment = ?"
        with self._database.read() as connection:
            return int(connection.execute(query, (environment,)).fetchone()[0])

    def begin(self, deployment: Deployment) -> None:
        """Write down that a deployment is under way."""
        marks = ", ".join("?" * len(deployment))
        with self._database.write() as connection:
            connection.execute(f"INSERT INTO deployments ({_DEPLOYMENT}) VALUES ({marks})", tuple(deployment))  # noqa: S608

    def end(self, environment: str, number: int, result: str, cause: str = "") -> None:
        """Write down how it ended."""
        query = "UPDATE deployments SET ended = ?, result = ?, cause = ? WHERE environment = ? AND number = ?"
        with self._database.write() as connection:
            connection.execute(query, (self._clock(), result, cause, environment, number))

    def deployment(self, environment: str, number: int) -> Deployment:
        """Raises NotFound."""
        for one in self.deployments(environment):
            if one.number == number:
                return one
        raise NotFound(
            f"environment {environment} has no deployment {number}", hint=f"see `wherry env history {environment}`"
        )

    def last(self, environment: str) -> Deployment | None:
        """The newest one, None where nothing was ever deployed."""
        query = f"SELECT {_DEPLOYMENT} FROM deployments WHERE environment = ? ORDER BY number DESC LIMIT 1"  # noqa: S608
        with self._database.read() as connection:
            row = connection.execute(query, (environment,)).fetchone()
        return Deployment(*row) if row else None

    def deployments(self, environment: str) -> list[Deployment]:
        """The newest first."""
        query = f"SELECT {_DEPLOYMENT} FROM deployments WHERE environment = ? ORDER BY number DESC"  # noqa: S608
        with self._database.read() as connection:
            return [Deployment(*row) for row in connection.execute(query, (environment,))]

    # --- events

    def tell(self, event: Event) -> Event:
        """Add an event; its time is now, or a millisecond after the last one's, whichever is later."""
        with self._database.write() as connection:
            (last,) = connection.execute("SELECT coalesce(max(time), 0) FROM environment_events").fetchone()
            now = self._clock() // _MILLISECOND * _MILLISECOND
            told = event._replace(time=max(now, last + _MILLISECOND))
            connection.execute(f"INSERT INTO environment_events ({_EVENT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", told)  # noqa: S608
            connection.execute(
                "DELETE FROM environment_events WHERE environment = ? AND time <= (SELECT time FROM environment_events"
                " WHERE environment = ? ORDER BY time DESC LIMIT 1 OFFSET ?)",
                (event.environment, event.environment, KEPT_EVENTS),
            )
        return told

    def events(self, environment: str = "", *, since: int = 0, limit: int = 0) -> list[Event]:
        """Those after `since`, oldest first; of all environments where none is named, the last `limit` of them."""
        condition = "time > ?" + (" AND environment = ?" if environment else "")
        query = f"SELECT {_EVENT} FROM environment_events WHERE {condition} ORDER BY time DESC LIMIT ?"  # noqa: S608
        values = (since, *((environment,) if environment else ()), limit or -1)
        with self._database.read() as connection:
            return [Event(*row) for row in connection.execute(query, values)][::-1]
