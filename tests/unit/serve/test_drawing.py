"""Charts."""

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from wherry.serve.drawing import amount, chart_svg, last_value, short_number
from wherry.serve.views import Chart, Line

VALUES = st.floats(min_value=0, max_value=1e9, allow_subnormal=False) | st.just(float("nan"))
LINES = st.lists(st.lists(st.tuples(st.floats(0, 1e4), VALUES), max_size=30).map(sorted), min_size=1, max_size=2)


@given(LINES, st.text())
def test_every_chart_is_well_formed_and_stays_in_its_box(lines, title):
    title = "".join(one for one in title if one.isprintable())
    chart = Chart(title, "ms", [Line(f"<{title}", points) for points in lines], 1000.0, 9000.0, 100.0)
    root = ElementTree.fromstring(chart_svg(chart))
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"].startswith(title)
    for line in root.iter("polyline"):
        places = [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
        assert all(37.9 <= x <= 352.1 and 7.9 <= y <= 128.1 for x, y in places)


def test_a_line_is_broken_where_nothing_was_measured():
    points = [(0.0, 1.0), (10.0, 2.0), (100.0, 3.0), (110.0, 4.0)]
    svg = chart_svg(Chart("Requests", "/s", [Line("requests", points)], 0.0, 110.0, 10.0))
    assert svg.count("<polyline") == 2
    assert "requests 4 /s now, at most 4 /s" in svg
    assert [text in svg for text in (">5<", ">2.5<", ">0<", ">00:01<")] == [True] * 4


def test_a_chart_without_figures_says_so():
    chart = Chart("CPU", "%", [Line("cpu", [])], 0.0, 60.0)
    assert "Nothing measured yet" in chart_svg(chart)
    assert last_value(chart.lines[0]) is None


def test_numbers_are_short():
    values = (0, 0.25, 12, 999, 999.9, 3400, 1.2e6, 5.2e7, 1e-9)
    assert [short_number(one) for one in values] == ["0", "0.25", "12", "999", "1k", "3.4k", "1.2M", "52M", "0"]
    assert [amount(5.2e7, "B"), amount(12, "B"), amount(3, ""), amount(1.5, "ms")] == ["52 MB", "12 B", "3", "1.5 ms"]
