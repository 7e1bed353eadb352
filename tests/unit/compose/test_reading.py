"""YAML, environment files, units: what is read before the schema sees it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.base.clock import duration_text
from wherry.base.errors import InvalidInput
from wherry.compose.document import parse_documents
from wherry.compose.dotenv import parse_environment_file, parse_raw
from wherry.compose.rendering import to_yaml
from wherry.compose.tree import plain
from wherry.compose.units import go_text, parse_duration, parse_size


def read(text):
    return plain(parse_documents(text, "file")[0])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("22:22", "22:22"),
        ("0755", 0o755),
        ("0o755", 0o755),
        ("1_000", 1000),
        ("1e3", 1000.0),
        ("08", 8.0),
        ("0x1F", 31),
        ("-5", -5),
        ("~", None),
        ("", None),
        ('"1"', "1"),
        ("!!str 1", "1"),
        ('!!int "1"', 1),
        ("True", True),
        ("2001-01-01", "2001-01-01"),
        ("1.2.3", "1.2.3"),
        ("=", "="),
        ("-", "-"),
    ],
)
def test_scalars(text, value):
    found = read(f"a: {text}" if text != "-" else 'a: "-"')["a"]
    assert (found, type(found)) == (value, type(value))


def test_places_are_lines_and_columns_of_the_file():
    tree = parse_documents("a:\n  b: c\n", "file")[0]
    child = tree.value["a"].value["b"]
    assert (str(child.mark), str(child.key)) == ("file:2:6", "file:2:3")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\na: 2", "file:2:1.*already, at line 1"),
        ("1: a", "file:1:1.*key has to be text"),
        ("a: &x [*x]", "file:1:4.*alias of itself"),
        ("a: [", "not YAML"),
        ("a: *gone", "not YAML"),
        ("<<: 1", "mapping"),
    ],
)
def test_mistakes_name_their_place(text, words):
    with pytest.raises(InvalidInput, match=words):
        read(text)


def test_aliases_of_aliases_do_not_take_the_machine():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(InvalidInput, match="too many"):
        read("\n".join(lines))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"])),
    lambda child: st.lists(child, max_size=3) | st.dictionaries(st.text("abcyn01.", min_size=1), child, max_size=3),
)


@pytest.mark.parametrize("depth", [101, 500, 900, 20_000])
def test_deep_nesting_is_refused(depth):
    with pytest.raises(InvalidInput, match="nest"):
        read("a: " + "[" * depth + "]" * depth)
    assert read("a: " + "[" * 90 + "]" * 90)


@given(st.dictionaries(st.text("abcyno", min_size=1), VALUES, min_size=1))
def test_what_is_printed_reads_as_the_same(model):
    assert read(to_yaml(model)) == model


def environment(text, **host):
    return parse_environment_file(text, "file", host.get)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("A=1\n\n# c\nexport B=2", {"A": "1", "B": "2"}),
        ("A='$B'\nB=\"x\\n$A\"", {"A": "$B", "B": "x\n$B"}),
        ("A=x # c\nB=x#c\nC='x # c' # d", {"A": "x", "B": "x#c", "C": "x # c"}),
        ("A: 1", {"A": "1"}),
        ("HOST\nGONE", {"HOST": "h"}),
        ("A=\nB=''", {"A": "", "B": ""}),
        ("A=one\nB=${A}-${HOST}-${NO:-no}", {"A": "one", "B": "one-h-no"}),
        ('A="two\nlines"\nB=1', {"A": "two\nlines", "B": "1"}),
        ('A="a\\"b"', {"A": 'a"b'}),
        ("A=b=c\r\nB=2\r\n", {"A": "b=c", "B": "2"}),
        ("A='it\\'s'", {"A": "it's"}),
        ('A="\\$B"', {"A": "$B"}),
    ],
)
def test_environment_files(text, values):
    assert environment(text, HOST="h") == values


@pytest.mark.parametrize(("text", "words"), [("A=1\n1=2", "file:2"), ('A="x', "not closed"), ("A B=1", "file:1")])
def test_environment_files_with_mistakes(text, words):
    with pytest.raises(InvalidInput, match=words):
        environment(text)


@given(st.text(alphabet="AB=\"'$ \n#\\{}:"))
def test_environment_files_end_well_or_with_an_error(text):
    try:
        environment(text)
    except InvalidInput:
        pass


def test_raw_files_are_taken_as_they_are():
    assert parse_raw('A="q" # x\n# c\n\nB=$A', "file") == {"A": '"q" # x', "B": "$A"}
    with pytest.raises(InvalidInput, match="file:1"):
        parse_raw("A", "file")


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("1b", 1), ("2k", 2048), ("1.5g", 1610612736), ("64KiB", 65536), ("1 mb", 1048576)]
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "1x", "-1", "1..5", "1 2"])
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match=r"^.*$"):
        parse_size(text)


@given(st.integers(min_value=-(10**18), max_value=10**18))
def test_durations_read_what_they_print(nanoseconds):
    assert abs(parse_duration(duration_text(nanoseconds)) - nanoseconds) <= abs(nanoseconds) // 10**15


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.1, "1.1"), (1000.0, "1000"), (1e6, "1e+06"), (123456.0, "123456"), (1e-5, "1e-05"), (True, "true"), (None, "")],
)
def test_scalars_as_go_prints_them(value, text):
    assert go_text(value) == text
