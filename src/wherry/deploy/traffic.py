"""How requests were answered: counts, shares and exact percentiles, by instance and in sum. Pure."""

from __future__ import annotations

from array import array
from collections import deque

from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from wherry.deploy.balancer import AccessRecord

__all__ = ["RequestStats", "Tally", "Window", "summarize"]

_CLASSES = 5


class RequestStats(NamedTuple):
    """`status` counts answers from 1xx to 5xx; a client that left before its answer is among `requests` alone.

    The percentiles are milliseconds until the last byte, each that of a request that there was (nearest rank); 0 where
    there was none. Upgraded connections (101) do not count for them: they end when somebody leaves.
    """

    requests: int = 0
    status: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    p10: float = 0.0
    p50: float = 0.0
    p75: float = 0.0
    p85: float = 0.0
    p90: float = 0.0
    p95: float = 0.0
    p99: float = 0.0

    def share(self, kind: int) -> float:
        """Percent of the requests that were answered with 4xx (4), 5xx (5) and so on."""
        return 100 * self.status[kind - 1] / self.requests if self.requests else 0.0


class Tally:
    """Requests as they come, in the least room: 4 bytes for each, and the counts."""

    __slots__ = ("milliseconds", "requests", "status")

    def __init__(self) -> None:
        self.requests = 0
        self.status = [0] * _CLASSES
        self.milliseconds = array("f")

    def add(self, status: int, milliseconds: float) -> None:
        """Count a request."""
        self.requests += 1
        if 100 <= status < 600:
            self.status[status // 100 - 1] += 1
        if not 100 <= status < 200:
            self.milliseconds.append(milliseconds)

    def merge(self, other: Tally) -> None:
        """Count another one's requests, too."""
        self.requests += other.requests
        self.status = [mine + others for mine, others in zip(self.status, other.status, strict=True)]
        self.milliseconds.extend(other.milliseconds)

    def stats(self) -> RequestStats:
        """What they come to."""
        ordered = sorted(self.milliseconds)
        ranks = (_rank(ordered, percent) for percent in (10, 50, 75, 85, 90, 95, 99))
        return RequestStats(self.requests, tuple(self.status), *ranks)  # type: ignore[arg-type]


def _rank(ordered: list[float], percent: int) -> float:
    """The least value that `percent` of all do not exceed."""
    return ordered[-(-len(ordered) * percent // 100) - 1] if ordered else 0.0


def summarize(records: Iterable[AccessRecord]) -> dict[str, RequestStats]:
    """By instance; what is under "" is the sum of all, with the requests that reached no instance."""
    tallies = {"": Tally()}
    for one in records:
        tallies[""].add(one.status, one.milliseconds)
        if one.instance:
            tallies.setdefault(one.instance, Tally()).add(one.status, one.milliseconds)
    return {instance: tally.stats() for instance, tally in tallies.items()}


class Window:
    """The requests of the last `seconds`, of all environments, in slices of one second that leave as they get old.

    `most` requests of one environment and second are measured; beyond them they are only counted. One thread adds,
    another one may ask: a slice is only ever added to, and replaced as a whole.
    """

    def __init__(self, seconds: int = 60, most: int = 2000) -> None:
        self._seconds = seconds
        self._most = most
        self._slices: deque[tuple[int, dict[str, dict[str, Tally]]]] = deque()

    def add(self, record: AccessRecord) -> None:
        """Take a request in; one that is older than the newest by more than the window is left out."""
        second = int(record.time)
        found = self._slice(second)
        if found is None:
            return
        tallies = found.setdefault(record.environment, {})
        for instance in {"", record.instance}:
            tally = tallies.get(instance)
            if tally is None:
                tally = tallies[instance] = Tally()
            if tally.requests < self._most:
                tally.add(record.status, record.milliseconds)
            else:
                tally.requests += 1
                if 100 <= record.status < 600:
                    tally.status[record.status // 100 - 1] += 1

    def _slice(self, second: int) -> dict[str, dict[str, Tally]] | None:
        if not self._slices or second > self._slices[-1][0]:
            self._slices.append((second, {}))
            while self._slices[0][0] <= second - self._seconds:
                self._slices.popleft()
        for found, tallies in reversed(self._slices):
            if found <= second:
                return tallies  # records come in the order of their ends, and a little late
        return None

    def stats(self, since: float) -> dict[str, dict[str, RequestStats]]:
        """By environment and instance, as `summarize` has it, from the second of `since` on."""
        merged: dict[str, dict[str, Tally]] = {}
        for second, environments in list(self._slices):
            if second < int(since):
                continue
            for environment, tallies in list(environments.items()):
                into = merged.setdefault(environment, {})
                for instance, tally in list(tallies.items()):
                    into.setdefault(instance, Tally()).merge(tally)
        return {
            environment: {instance: tally.stats() for instance, tally in tallies.items()}
            for environment, tallies in merged.items()
        }
