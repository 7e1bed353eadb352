"""Exit codes of command lines that are refused, and help."""

import pytest

from wherry.cli.main import main


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["nosuch"], 1),
        (["container", "nosuch"], 1),
        (["ps", "extra"], 1),
        (["run"], 1),
        (["exec", "one"], 1),
        (["run", "--nope", "tiny"], 125),
        (["ps", "--nope"], 125),
        (["run", "--dns", "foo", "tiny"], 125),
        (["run", "-p", "x:80", "tiny"], 125),
        (["inspect", "-f", "{{", "one"], 64),
    ],
)
def test_what_is_refused_has_dockers_exit_codes(argv, code, capsys):
    assert main(argv) == code
    assert capsys.readouterr().err


@pytest.mark.parametrize("argv", [["help", "run"], ["run", "--help"]])
def test_help_of_a_verb(argv, capsys):
    assert main(argv) == 0
    assert capsys.readouterr().out.startswith("Usage:  wherry run [OPTIONS] IMAGE")


@pytest.mark.parametrize("argv", [[], ["help"], ["--help"]])
def test_help_names_the_verbs(argv, capsys):
    assert main(argv) == 0
    assert "\n  exec " in capsys.readouterr().out
