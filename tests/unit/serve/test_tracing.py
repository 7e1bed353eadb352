"""What is kept for charts."""

from wherry.serve.tracing import Traces, charts


def test_means_are_kept_fine_for_an_hour_and_coarse_for_a_week():
    traces = Traces()
    for second in range(0, 700_000, 5):
        traces.add("shop", float(second), {"cpu": float(second % 15)})
    fine, coarse = traces.points("shop", "cpu", 3600.0), traces.points("shop", "cpu", 86_400.0)
    assert (len(fine), len(coarse)) == (241, 1009)
    assert (fine[-2], fine[-2][0] - fine[-3][0], coarse[-2][0] - coarse[-3][0]) == ((699_975.0, 5.0), 15.0, 600.0)
    traces.keep({"blue"})
    assert traces.points("shop", "cpu", 3600.0) == []


def test_every_figure_has_its_chart():
    drawn = charts(lambda name: [(1.0, 2.0)], 4000.0, 3600.0)
    assert [line.name for chart in drawn for line in chart.lines] == [
        *("requests", "4xx", "5xx", "p50", "p95", "cpu", "memory", "instances")
    ]
    assert {(chart.since, chart.until, chart.width) for chart in drawn} == {(400.0, 4000.0, 15.0)}
