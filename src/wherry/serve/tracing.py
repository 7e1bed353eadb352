"""Charts of what the control loop has measured."""

from __future__ import annotations

from wherry.serve.views import Chart, Line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wherry.deploy.series import Point

__all__ = ["charts"]

_CHARTS = (  # title, unit, the name of the series, what one of it is in the unit, what the scale reaches at least
    ("Requests", "/s", "requests", 1.0, 1.0),
    ("Answers with 5xx", "%", "errors", 1.0, 5.0),
    ("Latency (p95)", "ms", "latency", 1.0, 10.0),
    ("CPU of an instance", "%", "cpu", 1.0, 10.0),
    ("Memory of an instance", "B", "memory", float(1 << 20), 1e7),
    ("Instances", "", "instances", 1.0, 2.0),
)


def charts(read: Callable[[str], Sequence[Point]], now: float, seconds: float) -> list[Chart]:
    """All charts of an environment over the last `seconds`; `read` gives the points of a series. Pure."""
    drawn = []
    for title, unit, name, factor, top in _CHARTS:
        points = read(name)
        line = Line(name, [(float(one.time), one.average * factor) for one in points])
        width = float(points[0].width) if points else 10.0
        drawn.append(Chart(title, unit, [line], now - seconds, now, width, top))
    return drawn
