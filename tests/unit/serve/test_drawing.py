"""Charts."""

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from wherry.serve.drawing import chart_svg, short_number
from wherry.serve.views import Chart

VALUES = st.floats(min_value=0, max_value=1e9, allow_subnormal=False)


@given(st.lists(st.tuples(st.floats(0, 1e10), VALUES), max_size=30).map(sorted), st.text())
def test_every_chart_is_well_formed_and_stays_in_its_box(points, title):
    title = "".join(one for one in title if one.isprintable())
    root = ElementTree.fromstring(chart_svg(Chart(title, "ms", points)))
    assert root.attrib["role"] == "img"
    for line in root.iter("polyline"):
        places = [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
        assert all(0 <= x <= 320 and 0 <= y <= 80 for x, y in places)


def test_numbers_are_short():
    assert [short_number(one) for one in (0, 0.25, 12, 999, 3400, 1.2e6, 5.2e7)] == [
        "0",
        "0.25",
        "12",
        "999",
        "3.4k",
        "1.2M",
        "52M",
    ]
