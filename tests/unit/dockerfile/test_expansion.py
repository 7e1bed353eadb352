import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.base.errors import InvalidInput
from wherry.dockerfile.expansion import expand, expand_content, expand_words, split_pairs

VARIABLES = {"A": "one", "EMPTY": "", "F": "a/b/c.tar.gz", "W": "x y", "S": "*a?b?"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A ${A}", "one one"),
        ("$NOPE${NOPE}", ""),
        ("${NOPE:-d} ${NOPE-d} ${EMPTY:-d} ${EMPTY-d}", "d d d "),
        ("${A:+s} ${EMPTY:+s} ${EMPTY+s}", "s  s"),
        ("${A:?no}", "one"),
        ("${F#*/} ${F##*/} ${F%.*} ${F%%.*}", "b/c.tar.gz c.tar.gz a/b/c.tar a/b/c"),
        ("${F/b/X} ${F//a/X}", "a/X/c.tar.gz X/b/c.tXr.gz"),
        ("${NOPE:-${A}}", "one"),
        ("${S#\\*} ${S#*\\*} ${S%\\?} ${S/\\*/x} ${F/\\//-}", "a?b? a?b? *a?b xa?b? a-b/c.tar.gz"),
        ("${F#[a]} ${F%$A}", "a/b/c.tar.gz a/b/c.tar.gz"),
        ("'$A' \"$A\" \\$A", "$A one $A"),
        ("a$", "a$"),
        ('"a\\"b"', 'a"b'),
    ],
)
def test_every_form(text, expected):
    assert expand(text, VARIABLES) == expected


@pytest.mark.parametrize(
    "text", ["${", "${A", "${A!x}", "'open", '"open', "${}", "${NOPE:?must}", "${A/x}", "${A//x}", "${A:1}"]
)
def test_mistakes_are_refused(text):
    with pytest.raises(InvalidInput):
        expand(text, VARIABLES)


def test_words_are_split_after_expansion_and_not_inside_quotes():
    assert expand_words("a $W \"$W\" 'b c'", VARIABLES) == ["a", "x", "y", "x y", "b c"]


def test_pairs():
    assert split_pairs('a=1 b="x y" c=\\ z') == [("a", "1"), ("b", '"x y"'), ("c", "\\ z")]
    assert split_pairs("name the rest of it") == [("name", "the rest of it")]
    with pytest.raises(InvalidInput, match="can't find ="):
        split_pairs("a=1 b")


def test_the_content_of_a_heredoc_keeps_its_quotes():
    assert expand_content("'$A' \"\\$A\" \\n\n", VARIABLES) == "'one' \"$A\" \\n\n"


@given(st.text(max_size=30))
def test_any_text_is_expanded_or_refused(text):
    try:
        expand(text, VARIABLES)
        expand_words(text, VARIABLES)
    except InvalidInput:
        pass


@given(st.text(alphabet=st.characters(blacklist_characters="$\\'\""), max_size=30))
def test_plain_text_stays(text):
    assert expand(text, VARIABLES) == text
