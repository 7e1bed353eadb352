"""Charts as SVG, drawn where the figures are: a page needs no library to show them. Pure."""

from __future__ import annotations

import math
import time
from html import escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from wherry.serve.views import Chart, Line

    Points = Sequence[tuple[float, float]]

__all__ = ["amount", "chart_svg", "clock_text", "last_value", "short_number"]

_WIDTH, _HEIGHT = 360, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 38, 8, 8, 22  # what is left for the scales
_STEPS = (1.0, 2.0, 5.0)
_GAP = 3.5  # widths without a point after which a line is broken
_DAY = 86_400.0


def chart_svg(chart: Chart) -> str:
    """The lines with a scale on either side; what they show is said in words, too."""
    label = escape(_in_words(chart))
    opening = f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">'
    values = [value for line in chart.lines for _, value in _within(chart, line)]
    if not values:
        middle = f'<text x="{_WIDTH // 2}" y="{_HEIGHT // 2}" text-anchor="middle">Nothing measured yet</text>'
        return f"{opening}{_times(chart)}{middle}</svg>"
    top = _round_up(max(*values, chart.top, 1e-9))
    return f"{opening}{_scale(top)}{_times(chart)}{_lines(chart, top)}</svg>"


def last_value(line: Line) -> float | None:
    """The newest value, None where there is none."""
    known = [value for _, value in line.points if not math.isnan(value)]
    return known[-1] if known else None


def _in_words(chart: Chart) -> str:
    said = []
    for line in chart.lines:
        last, within = last_value(line), _within(chart, line)
        if last is not None and within:
            most = max(value for _, value in within)
            said.append(f"{line.name} {amount(last, chart.unit)} now, at most {amount(most, chart.unit)}".strip())
    return f"{chart.title}, {clock_text(chart.since)} to {clock_text(chart.until)} UTC: " + (
        "; ".join(said) or "nothing measured"
    )


def _within(chart: Chart, line: Line) -> list[tuple[float, float]]:
    return [point for point in line.points if not math.isnan(point[1]) and chart.since <= point[0] <= chart.until]


def _scale(top: float) -> str:
    """Lines across at nothing, half and all of the scale, each with its value."""
    drawn = []
    for part in (0.0, 0.5, 1.0):
        y = _y(part)
        drawn.append(
            f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{short_number(top * part)}</text>'
        )
    return "".join(drawn)


def _times(chart: Chart) -> str:
    span = chart.until - chart.since
    marks = ((0.0, "start"), (0.5, "middle"), (1.0, "end"))
    return "".join(
        f'<text x="{_x(part):.1f}" y="{_HEIGHT - 6}" text-anchor="{anchor}">'
        f"{clock_text(chart.since + part * span, with_date=span > _DAY)}</text>"
        for part, anchor in marks
    )


def clock_text(seconds: float, *, with_date: bool = False) -> str:
    """`14:05`, or `11-25 14:05`, UTC."""
    return time.strftime("%m-%d %H:%M" if with_date else "%H:%M", time.gmtime(seconds))


def _lines(chart: Chart, top: float) -> str:
    return "".join(
        _piece(piece, chart, top, number, filled=len(chart.lines) == 1)
        for number, line in enumerate(chart.lines)
        for piece in _pieces(_within(chart, line), chart.width * _GAP)
    )


def _pieces(points: Points, gap: float) -> list[list[tuple[float, float]]]:
    """The line without what lies between points that are too far apart."""
    pieces: list[list[tuple[float, float]]] = []
    for point in points:
        if pieces and point[0] - pieces[-1][-1][0] <= gap:
            pieces[-1].append(point)
        else:
            pieces.append([point])
    return pieces


def _piece(points: Points, chart: Chart, top: float, number: int, *, filled: bool) -> str:
    span = (chart.until - chart.since) or 1.0
    placed = [(_x((moment - chart.since) / span), _y(min(value / top, 1.0))) for moment, value in points]
    if len(placed) == 1:
        x, y = placed[0]
        return f'<circle class="dot line{number}" cx="{x:.1f}" cy="{y:.1f}" r="2"/>'
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    area = f"{placed[0][0]:.1f},{_y(0):.1f} {line} {placed[-1][0]:.1f},{_y(0):.1f}"
    below = f'<polygon class="area" points="{area}"/>' if filled else ""
    return f'{below}<polyline class="line line{number}" points="{line}"/>'


def _x(part: float) -> float:
    return _LEFT + part * (_WIDTH - _LEFT - _RIGHT)


def _y(part: float) -> float:
    return _HEIGHT - _BOTTOM - max(part, 0.0) * (_HEIGHT - _TOP - _BOTTOM)


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
        if abs(value) >= limit * 0.9995:
            return f"{value / limit:.3g}{letter}"
    return f"{value:.3g}" if abs(value) >= 0.001 else "0"


def amount(value: float, unit: str) -> str:
    """A short number with its unit: `12 ms`, `52 MB`, `3`."""
    text = short_number(value)
    if unit == "B" and text[-1].isalpha():
        return f"{text[:-1]} {text[-1]}B"
    return f"{text} {unit}".strip()
