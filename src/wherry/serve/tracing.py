"""What was measured, for charts: means of 15 seconds for an hour and of 10 minutes for a week, in memory."""

from __future__ import annotations

import threading
from collections import deque

from wherry.serve.views import Chart, Line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wherry.serve.looking import Look

__all__ = ["Traces", "charts", "figures"]

_FINE, _COARSE = 15.0, 600.0
_FINE_SPAN, _COARSE_SPAN = 3600.0, 604_800.0


class Traces:
    """Any thread may add and read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._means: dict[tuple[str, str, float], deque[list[float]]] = {}  # time, count, sum

    def add(self, environment: str, seconds: float, values: Mapping[str, float]) -> None:
        """Values by name, measured at a time (seconds since 1970)."""
        with self._lock:
            for name, value in values.items():
                for width, span in ((_FINE, _FINE_SPAN), (_COARSE, _COARSE_SPAN)):
                    means = self._means.setdefault((environment, name, width), deque(maxlen=int(span / width) + 1))
                    start = seconds // width * width
                    if not means or means[-1][0] < start:
                        means.append([start, 0.0, 0.0])
                    means[-1][1] += 1
                    means[-1][2] += value

    def points(self, environment: str, name: str, seconds: float) -> list[tuple[float, float]]:
        """Means, oldest first, as fine as `seconds` of them allow."""
        with self._lock:
            means = self._means.get((environment, name, width_for(seconds)), ())
            return [(start, total / count) for start, count, total in means]

    def keep(self, environments: set[str]) -> None:
        """Forget all others."""
        with self._lock:
            self._means = {key: means for key, means in self._means.items() if key[0] in environments}


def width_for(seconds: float) -> float:
    """How far apart points of a chart of so many seconds are."""
    return _FINE if seconds <= _FINE_SPAN else _COARSE


def figures(look: Look) -> dict[str, float]:
    """What is kept of a look."""
    stats, rate = look.stats, 1 / look.seconds
    values = {
        "requests": stats.requests * rate,
        "4xx": stats.status[3] * rate,
        "5xx": stats.status[4] * rate,
        "cpu": sum(one.cpu for one in look.healths),
        "memory": float(sum(one.memory for one in look.healths)),
        "instances": float(look.serving),
    }
    return {**values, "p50": stats.p50, "p95": stats.p95} if stats.requests else values


_CHARTS = (  # title, unit, names, what the scale reaches at least
    ("Requests", "/s", ("requests",), 1.0),
    ("Errors", "/s", ("4xx", "5xx"), 1.0),
    ("Latency", "ms", ("p50", "p95"), 10.0),
    ("CPU", "%", ("cpu",), 10.0),
    ("Memory", "B", ("memory",), 1e7),
    ("Instances", "", ("instances",), 2.0),
)


def charts(points: Callable[[str], list[tuple[float, float]]], now: float, seconds: float) -> list[Chart]:
    """All charts of an environment; `points` gives those of a name. Pure."""
    return [
        Chart(title, unit, [Line(name, points(name)) for name in names], now - seconds, now, width_for(seconds), top)
        for title, unit, names, top in _CHARTS
    ]
