"""Charts as SVG, drawn where the figures are: a page needs no library to show them. Pure."""

from __future__ import annotations

from html import escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from wherry.serve.views import Chart

__all__ = ["chart_svg", "short_number"]

_WIDTH, _HEIGHT, _MARGIN = 320, 80, 4
_STEPS = (1.0, 2.0, 5.0)


def chart_svg(chart: Chart) -> str:
    """The line with the area below it, the scale's top and the last value as text; what it shows is its title too."""
    points = [point for point in chart.points if point[1] == point[1]]  # a value that is none is left out
    last = f"{short_number(points[-1][1])} {chart.unit}" if points else "no data yet"
    label = escape(f"{chart.title}: {last}")
    opening = f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">'
    if len(points) < 2:
        return f"{opening}<title>{label}</title></svg>"
    top = _round_up(max(value for _, value in points))
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in _placed(points, top))
    area = f"{_MARGIN},{_HEIGHT - _MARGIN} {line} {_WIDTH - _MARGIN},{_HEIGHT - _MARGIN}"
    scale = f'<text x="{_WIDTH - _MARGIN}" y="12" text-anchor="end">{short_number(top)}</text>'
    return (
        f'{opening}<title>{label}</title><polygon class="area" points="{area}"/>'
        f'<polyline class="line" points="{line}"/>{scale}</svg>'
    )


def _placed(points: Sequence[tuple[float, float]], top: float) -> list[tuple[float, float]]:
    first, last = points[0][0], points[-1][0]
    span = (last - first) or 1.0
    width, height = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN
    return [
        (_MARGIN + (moment - first) / span * width, _HEIGHT - _MARGIN - min(value / top, 1.0) * height)
        for moment, value in points
    ]


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20 … that is not below `value`."""
    size = 0.001
    while True:
        for step in _STEPS:
            if value <= step * size:
                return step * size
        size *= 10


def short_number(value: float) -> str:
    """A number in three figures or so: `0.25`, `12`, `3.4k`, `1.2M`."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{letter}"
    return f"{value:.3g}"
