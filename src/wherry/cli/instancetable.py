"""An environment's instances as a table for a terminal: what they do, in words, and how requests fare. Pure."""

from __future__ import annotations

from wherry.base.values import NamedTuple
from wherry.deploy.steps import Check, Restart, Start, Stop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from wherry.deploy.routing import ServerState
    from wherry.deploy.status import InstanceStatus, Status

__all__ = ["Rates", "Traffic", "count_up", "health_of", "state_of", "table"]

_WINDOW = 2.0  # seconds that a rate is averaged over
_COLOURS = {"serving": "", "ready": "36", "draining": "33", "drained": "33", "stopping": "33", "stopped": "31"}
_STARTING = "36"
_HEADINGS = ("INSTANCE", "VERSION", "STATE", "WEIGHT", "REQ/S", "FAILED", "BALANCER")
_DROPPED = (3, 6, 5, 4, 1)  # columns that a narrow terminal does without, the first one first
_LAST = 8  # columns that the last one is given at least


class Traffic(NamedTuple):
    """Requests per second (None where nobody knows yet), and how many failed since somebody looks."""

    per_second: float | None = None
    failed: int = 0


def count_up(servers: Iterable[ServerState]) -> dict[str, tuple[int, int]]:
    """Totals by instance: requests; and those answered with 5xx or not at all."""
    found: dict[str, tuple[int, int]] = {}
    for one in servers:
        requests, failed = found.get(one.instance, (0, 0))
        found[one.instance] = requests + one.requests, failed + one.failures + one.responses[4]
    return found


class Rates:
    """Differences of counters. They may begin anew, as they do with the balancer or when an instance comes back."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, int]] = {}
        self._sums: dict[str, tuple[int, int]] = {}
        self._history: dict[str, list[tuple[float, int]]] = {}
        self._begun = False

    def note(self, now: float, totals: Mapping[str, tuple[int, int]]) -> None:
        """The counters at a moment (seconds, of any clock that only grows)."""
        for name, counts in totals.items():
            before = self._last.get(name, (0, 0) if self._begun else counts)
            if counts[0] < before[0]:
                before = 0, 0
            requests, failed = self._sums.get(name, (0, 0))
            grown = max(0, counts[0] - before[0]), max(0, counts[1] - before[1])
            self._sums[name] = requests + grown[0], failed + grown[1]
            self._last[name] = counts
            self._keep(name, now)
        for name in self._history.keys() - totals.keys():
            del self._history[name]
        self._begun = True

    def _keep(self, name: str, now: float) -> None:
        """The points of the window, and the last one before it."""
        points = [*self._history.get(name, ()), (now, self._sums[name][0])]
        while len(points) > 2 and points[1][0] <= now - _WINDOW:
            del points[0]
        self._history[name] = points

    def of(self, name: str) -> Traffic:
        """One instance's."""
        points = self._history.get(name) or []
        span = points[-1][0] - points[0][0] if points else 0.0
        rate = (points[-1][1] - points[0][1]) / span if span > 0 else None
        return Traffic(rate, self._sums.get(name, (0, 0))[1])

    def all(self) -> Traffic:
        """The sum of all, those that are gone included among what failed."""
        rates = [rate for name in self._history if (rate := self.of(name).per_second) is not None]
        return Traffic(sum(rates) if rates else None, sum(failed for _, failed in self._sums.values()))


def state_of(status: Status, one: InstanceStatus) -> str:
    """What an instance does, in a few words."""
    row, states = one.instance, _states(status, one.instance.name)
    if states.get(Restart) == "running":
        return "restarting"
    if row.weight:
        return "draining" if row.draining else "serving" if _runs(one) else "stopped"
    if states.get(Stop) == "running":
        return "stopping"
    if states.get(Start) == "running":
        return "starting"
    if not _runs(one):
        return "stopped" if one.observed and one.observed.services else "starting"
    if states.get(Check) == "running":
        return "waiting for its health check"
    if states.get(Check) == "done":
        return "ready"
    return "drained" if states.get(Stop) else "starting"


def _states(status: Status, instance: str) -> dict[type, str]:
    """By kind of step, where the last one of that kind for the instance is."""
    return {type(one.step): one.state for one in status.steps if getattr(one.step, "instance", "") == instance}


def _runs(one: InstanceStatus) -> bool:
    services = one.observed.services if one.observed else ()
    ended = ("exited", "dead", "removing")
    return (
        bool(services)
        and not any(each.status in ended and each.exit_code for each in services)
        and not all(each.status in (*ended, "created") for each in services)
    )


def health_of(servers: Sequence[ServerState]) -> str:
    """What the balancer says of an instance: the worst of its servers."""
    for word in ("down", "draining", "unchecked", "up"):
        for one in servers:
            if one.status == word:
                return f"down: {one.reason}" if word == "down" and one.reason else word
    return "-"


def table(status: Status, rates: Rates, columns: int, most: int) -> list[tuple[str, str]]:
    """Lines with their colours, in so many columns; `most` instances are shown, those that do more than serve first."""
    rows = [(_row(status, one, rates), one) for one in status.instances]
    if not rows:
        return []
    chosen = sorted(rows, key=lambda row: row[0][2] == "serving")[: max(most, 1)]
    shown = [row for row, _ in rows if any(row is other for other, _ in chosen)]
    whole = rates.all()
    total = [("all", "", "", "", _rate(whole), str(whole.failed), "")] if len(rows) > 1 else []
    lines = _aligned([_HEADINGS, *shown, *total], columns)
    colours = ["2", *(_COLOURS.get(row[2], _STARTING) for row in shown), *("1" for _ in total)]
    drawn = list(zip(lines, colours, strict=True))
    if len(shown) < len(rows):
        drawn.insert(1 + len(shown), (f"… and {len(rows) - len(shown)} more", "2"))
    return drawn


def _row(status: Status, one: InstanceStatus, rates: Rates) -> tuple[str, ...]:
    row, traffic = one.instance, rates.of(one.instance.name)
    counted = bool(one.servers)
    return (
        row.name,
        row.version,
        state_of(status, one),
        str(row.weight) if row.weight else "-",
        _rate(traffic) if counted else "-",
        str(traffic.failed) if counted else "-",
        health_of(one.servers),
    )


def _rate(traffic: Traffic) -> str:
    return "-" if traffic.per_second is None else f"{traffic.per_second:.1f}"


def _aligned(rows: Sequence[tuple[str, ...]], columns: int) -> list[str]:
    """Lines of equal columns, as many of them as fit."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(_HEADINGS))]
    kept = [*range(len(_HEADINGS))]
    for dropped in _DROPPED:
        needed = sum(widths[index] + 2 for index in kept) - 2
        if 6 in kept:
            needed += min(widths[6], _LAST) - widths[6]
        if needed > columns:
            kept.remove(dropped)
    return ["  ".join(row[index].ljust(widths[index]) for index in kept).rstrip() for row in rows]
