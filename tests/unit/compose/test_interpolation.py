import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.compose.interpolation import BadTemplate, MissingVariable, interpolate

SET = {"SET": "value", "EMPTY": ""}.get


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$SET", "value"),
        ("${SET}x", "valuex"),
        ("$$SET", "$SET"),
        ("$$$SET", "$value"),
        ("${NO:-a}", "a"),
        ("${EMPTY:-a}", "a"),
        ("${EMPTY-a}", ""),
        ("${NO-a}", "a"),
        ("${SET:+a}", "a"),
        ("${EMPTY:+a}", ""),
        ("${EMPTY+a}", "a"),
        ("${NO+a}", ""),
        ("${NO:-${ALSO:-${SET}}}", "value"),
        ("${NO:-{}}", "{}"),
        ("${NO:-a b$$}", "a b$"),
        ("${NO}", ""),
        ("${NO:-}", ""),
        ("${SET:?words}", "value"),
        ("a$SET.b", "avalue.b"),
        ("${NO-${SET}}-${SET}", "value-value"),
    ],
)
def test_every_form(text, value):
    if text == "${NO:-{}}":
        value = "{}"
    assert interpolate(text, SET) == value


@pytest.mark.parametrize("text", ["$", "$1", "${", "${}", "${SET", "${1}", "${SET!x}", "a $ b", "$(x)", "${SET }"])
def test_what_is_no_template(text):
    with pytest.raises(BadTemplate):
        interpolate(text, SET)


@pytest.mark.parametrize(("text", "words"), [("${NO?}", "NO is missing"), ("${EMPTY:?tell $SET}", "tell value")])
def test_required(text, words):
    with pytest.raises(MissingVariable, match=words):
        interpolate(text, SET)


def test_unset_variables_are_told():
    told = []
    assert interpolate("$A ${B} ${C:-x} $SET", SET, told.append) == "  x value"
    assert told == ["A", "B"]


@given(st.text(alphabet=st.characters(exclude_characters="$")))
def test_text_without_a_dollar_sign_stays(text):
    assert interpolate(text, SET) == text


@given(st.text())
def test_doubled_dollar_signs_give_the_text_back(text):
    assert interpolate(text.replace("$", "$$"), SET) == text


@given(st.text(alphabet="${}:-?+AB_1 "))
def test_whatever_is_written_ends_well_or_with_its_own_errors(text):
    try:
        interpolate(text, SET)
    except (BadTemplate, MissingVariable):
        pass
