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
        (["-z"], 125),
        (["--nope"], 125),
        (["help", "nosuch"], 1),
        (["tag", "a", "-b"], 1),
        (["run", "--userns", "bogus", "tiny"], 125),
        (["run", "--platform", "bogus", "tiny"], 125),
        (["run", "--network", "container:", "tiny"], 125),
        (["volume", "ls", "-f", "dangling"], 125),
        (["exec", "-e", "=x", "one", "true"], 125),
        (["run", "--dns", "foo", "tiny"], 125),
        (["run", "-p", "x:80", "tiny"], 125),
        (["inspect", "-f", "{{", "one"], 64),
    ],
)
def test_what_is_refused_has_dockers_exit_codes(argv, code, capsys):
    assert main(argv) == code
    assert capsys.readouterr().err


def test_a_group_without_a_word_says_nothing_to_scripts(capsys):
    assert main(["volume"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err[:21]) == ("", "Usage:  wherry volume")


@pytest.mark.parametrize("argv", [["help", "run"], ["run", "--help"]])
def test_help_of_a_verb(argv, capsys):
    assert main(argv) == 0
    assert capsys.readouterr().out.startswith("Usage:  wherry run [OPTIONS] IMAGE")


@pytest.mark.parametrize("argv", [[], ["help"], ["--help"]])
def test_help_names_the_verbs(argv, capsys):
    assert main(argv) == 0
    assert "\n  exec " in capsys.readouterr().out


@pytest.mark.parametrize("argv", [["env", "status"], ["serve", "user", "rm"]])
def test_bytes_that_are_no_text_are_no_bug(argv, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("WHERRY_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("WHERRY_RUN", str(tmp_path / "run"))
    assert main([*argv, "a\udcff"]) == 1
    assert capsys.readouterr().err == "wherry: 'a\\udcff' is not text in UTF-8\n"
