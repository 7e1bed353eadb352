"""Processes started apart from their caller."""

import os

from wherry.base.processes import start_apart


def ended(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def start(script, tmp_path, **options):
    return start_apart(("/bin/sh", "-c", script), env={"WORD": "said"}, cwd=str(tmp_path), **options)


def test_it_runs_where_and_with_what_it_was_told(tmp_path):
    assert ended(start('echo "$WORD" >here', tmp_path)) == 0
    assert (tmp_path / "here").read_text() == "said\n"


def test_it_has_a_session_of_its_own_and_no_streams(tmp_path):
    assert ended(start("read -r a b c d e session rest </proc/$$/stat; [ $session = $$ ]", tmp_path)) == 0
    assert ended(start('[ "$(readlink /proc/$$/fd/1)" = /dev/null ]', tmp_path)) == 0


def test_only_the_descriptors_that_were_named_are_kept(tmp_path):
    kept, closed = os.pipe()
    try:
        assert ended(start(f"[ -e /proc/$$/fd/{kept} ] && [ ! -e /proc/$$/fd/{closed} ]", tmp_path, keep=(kept,))) == 0
    finally:
        os.close(kept)
        os.close(closed)


def test_what_the_caller_inherited_is_not_passed_on(tmp_path):
    inherited = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    os.set_inheritable(inherited, True)
    kept, other = os.pipe()
    try:
        assert ended(start(f"[ ! -e /proc/$$/fd/{inherited} ]", tmp_path)) == 0
        assert (
            ended(start(f"[ ! -e /proc/$$/fd/{inherited} ] && [ -e /proc/$$/fd/{kept} ]", tmp_path, keep=(kept,))) == 0
        )
    finally:
        for fd in (inherited, kept, other):
            os.close(fd)


def test_signals_that_python_ignores_end_it(tmp_path):
    assert ended(start("kill -PIPE $$", tmp_path)) == -13


def test_what_cannot_be_executed_ends_with_127(tmp_path):
    assert ended(start_apart(("/no/such",), env={}, cwd=str(tmp_path))) == 127
    assert ended(start_apart(("/bin/true",), env={}, cwd="/no/such")) == 127
