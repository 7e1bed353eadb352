"""Charts of what was measured."""

from wherry.deploy.series import Point
from wherry.serve.tracing import charts


def test_every_figure_has_its_chart():
    drawn = charts(lambda name: [Point(1, 60, 2.0, 1.0, 3.0, 6)], 4000.0, 3600.0)
    assert [line.name for chart in drawn for line in chart.lines] == [
        *("requests", "errors", "latency", "cpu", "memory", "instances")
    ]
    assert {(chart.since, chart.until, chart.width) for chart in drawn} == {(400.0, 4000.0, 60.0)}
    assert drawn[0].lines[0].points == [(1.0, 2.0)]
    assert drawn[4].lines[0].points == [(1.0, 2.0 * (1 << 20))]


def test_where_nothing_was_measured_the_chart_is_empty():
    assert [chart.lines[0].points for chart in charts(lambda name: [], 4000.0, 3600.0)] == [[]] * 6
