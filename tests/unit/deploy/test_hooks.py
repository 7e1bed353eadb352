import os
import re
import subprocess
import sys
import time
from base64 import b64encode
from pathlib import Path

import pytest

from wherry.base.errors import InvalidInput, OperationFailed
from wherry.base.processes import process_identity, wait_for_end
from wherry.deploy.hooks import KEY, phases, read_hooks, run_hooks


def model(phase="predeploy", **hooks):
    return {KEY: {phase: {name: b64encode(f"#!/bin/sh\n{text}\n".encode()).decode() for name, text in hooks.items()}}}


@pytest.fixture
def place(tmp_path):
    return str(tmp_path / "place")


@pytest.fixture
def run(place):
    def run(given, phase="predeploy", timeout=30.0, **variables):
        said = bytearray()
        run_hooks(given, phase, variables, said.extend, timeout, place)
        return said.decode()

    return run


def write(directory, name, text="#!/bin/sh\n", mode=0o755):
    path = directory / ".platform/hooks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


# --- in a version


def test_executable_files_of_the_known_phases_are_hooks(tmp_path, run):
    write(tmp_path, "predeploy/02_second", "#!/bin/sh\necho two\n")
    write(tmp_path, "predeploy/01_first")
    write(tmp_path, "predeploy/README", "how to", 0o644)
    write(tmp_path, "somewhen/01_other")
    (tmp_path / ".platform/hooks/postdeploy").mkdir()
    (tmp_path / ".platform/hooks/predeploy/lib").mkdir()
    said = []
    found = read_hooks(str(tmp_path), said.append)
    assert {phase: list(hooks) for phase, hooks in found.items()} == {"predeploy": ["01_first", "02_second"]}
    assert said == [
        ".platform/hooks/predeploy/README is not executable, so it is no hook: run `chmod +x` on it if it is to be one"
    ]
    assert run({KEY: found}) == "two\n"


def test_what_cannot_be_a_hook_is_refused_by_name(tmp_path):
    write(tmp_path, "prebuild/a", "echo no interpreter\n")
    with pytest.raises(InvalidInput, match=r"prebuild/a is neither a script nor a program"):
        read_hooks(str(tmp_path), print)
    write(tmp_path, "prebuild/a", "#!" + "x" * (1 << 20))
    with pytest.raises(InvalidInput, match=r"prebuild/a is larger than 1 MiB"):
        read_hooks(str(tmp_path), print)


def test_what_never_runs_is_told(tmp_path):
    write(tmp_path, "../confighooks/prebuild/a")
    write(tmp_path, "../confighooks/postdeploy/a")
    said = []
    assert set(read_hooks(str(tmp_path), said.append)) == {"configuration-postdeploy"}
    assert said == [
        ".platform/confighooks/prebuild never runs: where only variables and secrets change, nothing is built"
    ]


def test_a_project_without_hooks_has_none(tmp_path, run):
    assert read_hooks(str(tmp_path), print) == {}
    assert phases({}) == phases({KEY: {"predeploy": {}}}) == set()
    assert phases(model()) | phases(model(a="true")) == {"predeploy"}
    assert run({}) == run(model(a="echo never"), "postdeploy") == ""


# --- running


def test_hooks_run_in_the_order_of_names_in_one_directory_that_goes(run):
    text = run(model(b="cat left; pwd", a="echo from a >left; pwd"))
    first, second, third = text.splitlines()
    assert second == "from a"
    assert first == third
    assert not Path(first).exists()


def test_what_a_killed_run_left_is_gone_before_and_after(run, place):
    os.makedirs(f"{place}/work/left")
    os.makedirs(f"{place}/hooks")
    Path(f"{place}/hooks/a").write_text("of another version")
    assert run(model(a="ls -A; ls ../hooks")) == "a\n"
    assert not os.path.exists(place)


def test_hooks_see_the_given_variables_and_nothing_of_this_process(monkeypatch, run):
    monkeypatch.setenv("SECRET_OF_THE_CALLER", "x")
    seen = dict(line.split("=", 1) for line in run(model(a="env"), WHERRY_ENVIRONMENT="shop", A="b c").splitlines())
    assert seen["WHERRY_ENVIRONMENT"] == "shop"
    assert seen["A"] == "b c"
    assert "/usr/bin" in seen["PATH"]
    assert "SECRET_OF_THE_CALLER" not in seen


def test_the_first_that_fails_ends_the_phase(place):
    said = bytearray()
    with pytest.raises(OperationFailed) as error:
        run_hooks(model(a="echo one; echo two >&2; exit 3", b="echo never"), "predeploy", {}, said.extend, 30, place)
    assert error.value.message == "the predeploy hook a failed with exit code 3: one / two"
    assert said == b"one\ntwo\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kill -9 $$", "the predeploy hook a was killed by signal 9"),
        ("exit 1", "the predeploy hook a failed with exit code 1"),
        ("seq 1 9; exit 1", "the predeploy hook a failed with exit code 1: 5 / 6 / 7 / 8 / 9"),
    ],
)
def test_failures_in_words(text, words, run):
    with pytest.raises(OperationFailed, match=f"^{re.escape(words)}$"):
        run(model(a=text))


def test_at_the_timeout_the_hook_and_all_that_it_started_are_killed(place):
    said = bytearray()
    with pytest.raises(OperationFailed, match=r"hook a had not ended after 0.5 s and was stopped: \d+$"):
        run_hooks(model(a="sleep 600 & echo $!; wait"), "predeploy", {}, said.extend, 0.5, place)
    assert wait_for_end(process_identity(int(said)), 10)


def test_the_timeout_is_for_all_hooks_of_the_phase(run):
    before = time.monotonic()
    with pytest.raises(OperationFailed, match="hook b had not ended"):
        run(model(a="sleep 1", b="sleep 600"), timeout=2.0)
    assert time.monotonic() - before < 3


def test_what_a_hook_leaves_running_neither_holds_it_up_nor_stays(run):
    said = run(model(a="sleep 600 & echo $!"))
    assert wait_for_end(process_identity(int(said)), 10)


def test_who_left_the_session_is_not_waited_for(run):
    said = run(
        model(a="mkfifo on; setsid sh -c 'echo $$; echo >on; while sleep 0.01; do echo more; done' & read word <on")
    )
    pid = int(said.splitlines()[0])
    os.kill(pid, 9)
    assert wait_for_end(process_identity(pid), 10)


def test_output_comes_while_the_hook_runs(tmp_path, place):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    said = []

    def output(data):
        if not said:
            gate.write_text("go")
        said.append(data)

    run_hooks(model(a=f"echo first; read word <{gate}; echo $word"), "predeploy", {}, output, 30, place)
    assert b"".join(said) == b"first\ngo\n"


def test_much_output_arrives_whole(run):
    assert len(run(model(a="head -c 3000000 /dev/zero | tr '\\0' x"))) == 3_000_000


def test_a_hook_ends_with_the_process_that_ran_it(tmp_path, place):
    source = (
        "import sys; from wherry.deploy.hooks import *\n"
        "run_hooks(%r, 'predeploy', {}, lambda data: (sys.stdout.buffer.write(data), sys.stdout.flush()), 600, %r)"
    )
    program = source % (model(a="echo $$; exec sleep 600"), place)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        pid = int(process.stdout.readline())
        identity = process_identity(pid)
        assert identity
        process.kill()
    assert wait_for_end(identity, 10)


def test_the_caller_may_stop_by_raising(place):
    class Stop(Exception):
        pass

    said = []

    def output(data):
        said.append(data)
        raise Stop

    with pytest.raises(Stop):
        run_hooks(model(a="echo $$; exec sleep 600"), "predeploy", {}, output, 600, place)
    assert wait_for_end(process_identity(int(said[0])), 10)
