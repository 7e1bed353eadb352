"""Telling when an environment's health has changed, once each change, in Beanstalk's words.

What was told last is written down, so whoever comes after a restart does not tell it again. One look proves nothing:
a change is told when two looks in a row lie on the same side of what was told last.
"""

from __future__ import annotations

from wherry.deploy.ailments import rank_of
from wherry.deploy.model import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.deploy.health import EnvironmentHealth
    from wherry.deploy.model import Environment
    from wherry.deploy.records import Records

__all__ = ["Transitions"]

_FIRST = "Pending"
_GOOD = ("Ok", "Info", "Pending", "Suspended")


class Transitions:
    """The changes of health of all environments."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._last: dict[str, str] = {}
        self._told: dict[str, str] = {}

    def told(self, environment: str) -> str:
        """The status that was told last; Pending where none was."""
        if environment not in self._told:
            query = "SELECT status FROM environment_health WHERE environment = ?"
            with self._records.database.read() as connection:
                row = connection.execute(query, (environment,)).fetchone()
            self._told[environment] = str(row[0]) if row else _FIRST
        return self._told[environment]

    def look(self, environment: Environment, health: EnvironmentHealth) -> Event | None:
        """Take in how an environment is now; the event that was told, None where nothing changed."""
        name = environment.name
        if health.status == "Unknown":
            return None  # nothing is known yet that could be told
        before, told = self._last.get(name), self.told(name)
        self._last[name] = health.status
        status = _settled(told, before, health.status)
        if status == told:
            return None
        return self._tell(environment, told, status, health)

    def forget(self, known: set[str]) -> None:
        """Keep only these environments in mind."""
        for held in (self._last, self._told):
            for name in held.keys() - known:
                del held[name]

    def _tell(self, environment: Environment, told: str, status: str, health: EnvironmentHealth) -> Event:
        words = " ".join((f"Environment health has transitioned from {told} to {status}.", *health.causes))
        severity = "INFO" if status in _GOOD else "WARN"
        with self._records.database.write() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO environment_health VALUES (?, ?, ?)",
                (environment.name, status, self._records.clock()),
            )
            event = self._records.tell(environment.name, severity, words, deployment=environment.revision)
        self._told[environment.name] = status
        return event


def _settled(told: str, before: str | None, now: str) -> str:
    """What two looks in a row agree on: the one nearer to what was told, where both lie on one side of it."""
    if before is None:
        return told
    mild, bad = sorted((before, now), key=rank_of)
    if rank_of(mild) > rank_of(told):
        return mild
    if rank_of(bad) < rank_of(told):
        return bad
    return told
