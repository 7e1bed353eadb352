"""Prometheus's text format, whatever is told."""

from hypothesis import given
from hypothesis import strategies as st

from exposition import parse_exposition
from wherry.serve.exposition import Family, Sample, exposition


@given(st.text(), st.floats(), st.text(alphabet=st.characters(exclude_characters="\n")))
def test_whatever_is_told_is_read_again(label, value, words):
    family = Family("a_total", "counter", words, [Sample((("x", label), ("y", "")), value), Sample((), 1)])
    text = exposition([family, Family("b", "gauge", "nothing", [])])
    lines = text.count("\n")
    [(name, labels, read), bare] = parse_exposition(text)["a_total"][2]
    assert (name, labels, lines) == ("a_total", {"x": label, "y": ""}, 4)
    assert read == value or (read != read and value != value)
    assert bare == ("a_total", {}, 1.0)
