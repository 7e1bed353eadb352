"""What was measured over time, in bounded room: the older a point, the wider the time that it stands for.

Every value goes into points of 10 seconds, kept for an hour; of an instance into points of a minute, kept for a day; of
an environment also into points of five minutes, kept for a week. A point holds how many values it was made of, their
sum, the least and the most.
"""

from __future__ import annotations

from wherry.base.clock import system_clock
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wherry.store.database import Database

__all__ = ["WIDTHS", "Measured", "Point", "Series"]

WIDTHS = {10: 3600, 60: 86_400, 300: 7 * 86_400}
"""Seconds that a point stands for, and seconds that it is kept."""
_TRIM_SECONDS = 600
_ADD = (
    "INSERT INTO series VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?)"
    " ON CONFLICT (environment, name, subject, width, time) DO UPDATE SET count = count + 1,"
    " total = total + excluded.total, least = min(least, excluded.least), most = max(most, excluded.most)"
)


class Measured(NamedTuple):
    """One value of what is called `name` (cpu, memory, requests, ...). `subject` is an instance, or empty for the
    environment; `time` is seconds since 1970."""

    environment: str
    subject: str
    name: str
    time: float
    value: float


class Point(NamedTuple):
    """What was measured in the `width` seconds from `time` on (since 1970): so many values."""

    time: int
    width: int
    average: float
    least: float
    most: float
    values: int


class Series:
    """The series of one installation. The tables are those of `Records`, which makes them."""

    def __init__(self, database: Database, clock: Callable[[], int] = system_clock) -> None:
        self._database = database
        self._clock = clock
        self._trimmed = 0.0

    def add(self, environment: str, subject: str, name: str, time: float, value: float) -> None:
        """Add one value."""
        self.add_all([Measured(environment, subject, name, time, value)])

    def add_all(self, values: Iterable[Measured]) -> None:
        """Add many, in one transaction. What is too old is taken away, every ten minutes."""
        rows = [row for one in values for row in _rows(one)]
        now = self._clock() / 1e9
        with self._database.write() as connection:
            connection.executemany(_ADD, rows)
            if not 0 <= now - self._trimmed < _TRIM_SECONDS:
                self._trim(now)

    def _trim(self, now: float) -> None:
        self._trimmed = now
        with self._database.write() as connection:
            for width, kept in WIDTHS.items():
                connection.execute("DELETE FROM series WHERE width = ? AND time < ?", (width, int(now - kept)))

    def read(self, environment: str, name: str, subject: str = "", since: float = 0.0, width: int = 0) -> list[Point]:
        """Points that end after `since` (seconds since 1970), oldest first, as fine as they are kept that long.

        With a `width`, those points are at least so wide.
        """
        wide = self._width(subject, since, width)
        query = (
            "SELECT time, width, total / count, least, most, count FROM series"
            " WHERE environment = ? AND name = ? AND subject = ? AND width = ? AND time > ? ORDER BY time"
        )
        with self._database.read() as connection:
            return [Point(*row) for row in connection.execute(query, (environment, name, subject, wide, since - wide))]

    def _width(self, subject: str, since: float, least: int) -> int:
        """The finest points that reach back to `since`; the widest where none does."""
        age = self._clock() / 1e9 - since
        widths = [one for one in _widths(subject) if one >= least] or [max(_widths(subject))]
        return next((one for one in widths if WIDTHS[one] >= age), widths[-1])

    def latest(self, environment: str, name: str, subject: str = "", within: float = 60.0) -> float | None:
        """The average of the last point, None where there is none of the last `within` seconds (an hour at most)."""
        points = self.read(environment, name, subject, self._clock() / 1e9 - min(within, WIDTHS[10]))
        return points[-1].average if points else None


def _widths(subject: str) -> tuple[int, ...]:
    """An environment's points are kept in all widths, an instance's in the first two: instances come and go."""
    return (10, 60) if subject else tuple(WIDTHS)


def _rows(one: Measured) -> list[tuple[str, str, str, int, int, float, float, float]]:
    return [
        (
            *(one.environment, one.subject, one.name, width, int(one.time) // width * width),
            *(one.value, one.value, one.value),
        )
        for width in _widths(one.subject)
    ]
