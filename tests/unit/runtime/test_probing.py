"""Probes, with a program in the runtime's place that runs the command where it is."""

import json
import os
import select
import sys

import pytest

from wherry.base.processes import is_living, process_identity
from wherry.runtime.probing import Probe, end_probe

RUNTIME = """
import json, os, subprocess, sys
log, process, pid_file = sys.argv[2], sys.argv[7], sys.argv[9]
assert sys.argv[1::2][:2] == ["--log", "--log-format"] and sys.argv[5] == "exec", sys.argv
args = json.load(open(process))["args"]
try:
    child = subprocess.Popen(args, start_new_session=True)
except OSError as error:
    print("exec failed:", error, file=sys.stderr)
    open(log, "w").write(json.dumps({"level": "error", "msg": f"exec failed: {error}"}, separators=(",", ":")) + "\\n")
    sys.exit(255)
open(pid_file, "w").write(str(child.pid))
code = child.wait()
sys.exit(code if code >= 0 else 128 - code)
"""


@pytest.fixture
def begin(tmp_path):
    (tmp_path / "runtime.py").write_text(RUNTIME)
    started = []

    def make(*args, limit=100):
        (tmp_path / "process.json").write_text(json.dumps({"args": args}))
        runtime = (sys.executable, "-I", "-S", str(tmp_path / "runtime.py"))
        probe = Probe(runtime, str(tmp_path), "some-id", str(tmp_path / "process.json"), limit)
        started.append(probe)
        return probe

    make.bundle = str(tmp_path)
    return make


def until_end(probe, seconds=20):
    """Read as the monitor does; the outcome."""
    poll = select.poll()
    for fd in (probe.output_fd, probe.end_fd):
        poll.register(fd, select.POLLIN)
    while True:
        ready = dict(poll.poll(seconds * 1000))
        assert ready, "it did not end in time"
        if probe.output_fd in ready and not probe.read():
            poll.unregister(probe.output_fd)
        if probe.end_fd in ready:
            return probe.finish()


def test_exit_code_and_both_streams(begin):
    probe = begin("sh", "-c", "echo out; echo err >&2; exit 3")
    assert until_end(probe) == (3, "")
    assert sorted(probe.output.split()) == [b"err", b"out"]
    assert not [name for name in os.listdir(begin.bundle) if name.startswith("probe")]


def test_a_command_that_cannot_be_run_is_no_exit_code(begin):
    code, words = until_end(begin("/no/such/program"))
    assert code is None
    assert words.startswith("exec failed: ")


def test_output_is_bounded_and_the_rest_does_not_block_the_command(begin):
    probe = begin("sh", "-c", "head -c 1000000 /dev/zero", limit=4096)
    assert until_end(probe) == (0, "")
    assert (len(probe.output), probe.is_cut) == (4096, True)


def test_what_fits_exactly_is_not_cut(begin):
    probe = begin("sh", "-c", "printf 12345678", limit=8)
    until_end(probe)
    assert (probe.output, probe.is_cut) == (b"12345678", False)


def test_a_child_that_keeps_the_output_open_is_not_waited_for(begin, tmp_path):
    probe = begin("sh", "-c", f"sleep 30 & echo $! > {tmp_path}/left; echo said")
    assert until_end(probe) == (0, "")
    assert probe.output == b"said\n"
    os.kill(int((tmp_path / "left").read_text()), 9)


def test_killing_takes_what_the_command_started(begin, tmp_path):
    os.mkfifo(tmp_path / "ready")
    probe = begin("sh", "-c", f"sleep 1000 & echo $! > {tmp_path}/ready; wait")
    with open(tmp_path / "ready") as fifo:
        sleeper = process_identity(int(fifo.read()))
    probe.kill()
    assert until_end(probe) == (137, "")
    assert not is_living(sleeper)


def test_a_successor_ends_what_a_killed_caller_left(begin, tmp_path):
    os.mkfifo(tmp_path / "ready")
    probe = begin("sh", "-c", f"echo $$ > {tmp_path}/ready; exec sleep 1000")
    with open(tmp_path / "ready") as fifo:
        command = process_identity(int(fifo.read()))
    end_probe(begin.bundle)
    assert not is_living(command)
    probe.finish()
    end_probe(begin.bundle)  # nothing is there any more
