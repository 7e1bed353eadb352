"""Stages that need nothing of each other are built at once; the first error ends the rest."""

import json
import os
import re
import signal
import subprocess

import pytest


def run(wherry, tag, script):
    return wherry("run", "--rm", tag, "sh", "-c", script).out


MEET = "--mount=type=cache,id=meeting,target=/m sh -c 'touch /m/{own}; n=0; while test ! -e /m/{other}; do n=$((n+1));"
MEET += " test $n -lt 100 || exit 9; sleep 0.1; done'; echo {own} > /{own}"


def test_stages_that_wait_for_each_other_both_run(wherry, built, context):
    """Each ends only when the other has begun: one after the other they would fail."""
    wherry("builder", "prune", "-f")
    lines = []
    for own, other in (("a", "b"), ("b", "a")):
        lines += [f"FROM tiny AS {own}", f"RUN {MEET.format(own=own, other=other)}"]
    lines += ["FROM tiny", "COPY --from=a /a /", "COPY --from=b /b /"]
    assert run(wherry, built(context("\n".join(lines) + "\n")), "cat /a /b") == "a\nb\n"


def test_an_error_ends_the_other_stages_and_is_what_is_told(wherry, context, eventually):
    lines = ["FROM tiny AS slow", "RUN echo started; sleep 100", "RUN echo never"]
    lines += ["FROM tiny AS bad", "RUN sleep 0.5; exit 7", "FROM tiny", "COPY --from=slow /x /", "COPY --from=bad /y /"]
    done = wherry("build", "--progress", "plain", context("\n".join(lines) + "\n"), check=False, timeout=60)
    assert done.returncode == 7
    assert "exit code: 7" in done.err.splitlines()[-2]
    assert "ERROR: CANCELED" in done.err
    assert "RUN echo never" not in done.err
    eventually(lambda: not wherry.leftovers())


def test_an_interrupt_ends_all_stages(wherry, context, eventually):
    lines = ["FROM tiny AS a", "RUN echo begun; sleep 100", "FROM tiny AS b", "RUN echo begun; sleep 101"]
    lines += ["FROM tiny", "COPY --from=a /x /", "COPY --from=b /y /"]
    building = wherry.start("build", "--progress", "plain", context("\n".join(lines) + "\n"), stderr=subprocess.PIPE)
    seen = 0
    for line in building.stderr:
        seen += line.rstrip().endswith(b" begun")
        if seen == 2:
            break
    building.send_signal(signal.SIGINT)
    building.stderr.read()
    building.stderr.close()
    assert building.wait(30) == 130
    eventually(lambda: not wherry.leftovers())


def test_a_killed_build_of_several_stages_is_repaired(wherry, context, eventually):
    lines = ["FROM tiny AS a", "RUN echo begun; sleep 100", "FROM tiny AS b", "RUN echo begun; sleep 101"]
    lines += ["FROM tiny", "COPY --from=a /x /", "COPY --from=b /y /"]
    building = wherry.start("build", "--progress", "plain", context("\n".join(lines) + "\n"), stderr=subprocess.PIPE)
    seen = 0
    for line in building.stderr:
        seen += line.rstrip().endswith(b" begun")
        if seen == 2:
            break
    os.kill(building.pid, signal.SIGKILL)
    building.wait()
    building.stderr.close()
    wherry("images")
    eventually(lambda: not wherry.leftovers())


@pytest.mark.parametrize("flags", [[], ["--no-cache"]])
def test_the_same_step_of_two_stages_is_done_once(wherry, context, flags):
    lines = ["FROM tiny AS a", "RUN echo same-step", "RUN echo a > /a"]
    lines += ["FROM tiny AS b", "RUN echo same-step", "RUN echo b > /b"]
    lines += ["FROM tiny", "COPY --from=a /a /", "COPY --from=b /b /"]
    wherry("builder", "prune", "-f")
    done = wherry("build", "--progress", "plain", *flags, context("\n".join(lines) + "\n"))
    assert len(re.findall(r"#\d+ [\d.]+ same-step", done.err)) == 1
    assert done.err.count("CACHED") == 1


def test_no_network_means_none_after_a_step_that_had_one(wherry, built, context):
    count = "grep -c : /proc/net/dev"
    tag = built(context(f"FROM tiny\nRUN {count} > /one\nRUN --network=none {count} > /two\n"))
    assert run(wherry, tag, "cat /one /two").split() == ["2", "1"]


def test_pruning_forgets_the_cache_and_says_what_went(wherry, built, context):
    directory = context("FROM tiny\nRUN echo to be forgotten > /x\n")
    built(directory)
    wherry("system", "prune", "-f")
    assert "CACHED" not in wherry("build", "--progress", "plain", directory).err
    usage = [json.loads(line) for line in wherry("system", "df", "--format", "json").out.splitlines()]
    assert any(line["Type"] == "Build Cache" for line in usage)
