import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.base.errors import Unsupported, UsageError
from wherry.cli.flags import Command, Flag, Help

FLAGS = (
    Flag("detach", "bool", "in the background", short="d"),
    Flag("interactive", "bool", "input", short="i"),
    Flag("tty", "bool", "terminal", short="t"),
    Flag("publish", "list", "ports", short="p"),
    Flag("name", "str", "name"),
    Flag("shares", "int", "weight", short="c"),
    Flag("sig-proxy", "bool", "signals", default=True),
    Flag("gpus", "str", "devices", unsupported="there are none"),
)


def parse(*argv, interspersed=False, least=0, most=None):
    return Command("wherry x", "ARGS", "Does x", FLAGS, least=least, most=most, interspersed=interspersed).parse(argv)


def test_every_spelling():
    parsed = parse(
        "-itd", "-p80:80", "-p", "81:81", "-p=82:82", "--publish=83:83", "--name", "n", "-c", "5", "image", "-p", "x"
    )
    assert parsed["interactive"]
    assert parsed["tty"]
    assert parsed["detach"]
    assert parsed["publish"] == ["80:80", "81:81", "82:82", "83:83"]
    assert (parsed["name"], parsed["shares"]) == ("n", 5)
    assert parsed.args == ["image", "-p", "x"]


def test_switches_take_values_only_behind_an_equals_sign():
    assert parse("--sig-proxy=false", "false")["sig-proxy"] is False
    assert parse("-d=false", "x")["detach"] is False
    assert parse("--detach", "false").args == ["false"]


def test_flags_end_at_two_dashes():
    assert parse("--", "-d", interspersed=True).args == ["-d"]


def test_interspersed_flags_are_found_behind_arguments():
    parsed = parse("a", "-d", "b", interspersed=True)
    assert parsed.args == ["a", "b"]
    assert parsed["detach"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--nope",), "unknown flag: --nope"),
        (("-x",), "unknown shorthand flag: 'x' in -x"),
        (("-dx",), "unknown shorthand flag: 'x' in -dx"),
        (("--name",), "flag needs an argument: --name"),
        (("-p",), "flag needs an argument: 'p' in -p"),
        (("--detach=maybe",), 'invalid argument "maybe" for "-d, --detach" flag: strconv.ParseBool'),
        (("-c", "much"), 'invalid argument "much" for "-c, --shares" flag: strconv.ParseInt'),
    ],
)
def test_mistakes_are_told_in_dockers_words(argv, message):
    with pytest.raises(UsageError) as error:
        parse(*argv)
    assert message in error.value.message


@pytest.mark.parametrize(
    ("argv", "least", "most", "message"),
    [
        ((), 1, None, '"wherry x" requires at least 1 argument.'),
        ((), 2, 2, '"wherry x" requires exactly 2 arguments.'),
        (("a",), 0, 0, '"wherry x" accepts no arguments.'),
        (("a", "b"), 0, 1, '"wherry x" requires at most 1 argument.'),
    ],
)
def test_counts_are_checked(argv, least, most, message):
    with pytest.raises(UsageError) as error:
        parse(*argv, least=least, most=most)
    assert error.value.message == message


def test_what_is_not_supported_is_refused():
    with pytest.raises(Unsupported, match="--gpus is not supported: there are none"):
        parse("--gpus", "all")


def test_help_names_every_flag():
    with pytest.raises(Help) as help_text:
        parse("--help")
    assert all(f"--{flag.long}" in str(help_text.value) for flag in FLAGS)


@given(st.lists(st.text(max_size=6), max_size=6))
def test_any_words_are_parsed_or_refused(argv):
    try:
        parse(*argv)
    except (UsageError, Unsupported, Help):
        pass
