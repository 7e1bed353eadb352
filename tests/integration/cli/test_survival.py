"""`kill -9` at any moment: the next command repairs what was left; two hundred containers leave nothing."""

import random
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest


def kill_at_random(wherry, arguments, longest):
    """Start `wherry arguments`, let it live for a random time, and kill its process group as a crash would."""
    child = wherry.start(*arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        child.wait(random.uniform(0.02, longest))
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
        child.wait()


@pytest.mark.slow
def test_fifty_kills_leave_nothing_that_the_next_command_does_not_repair(wherry, tmp_path, rootfs, eventually):
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(
        "FROM tiny\nARG ROUND\nCOPY data /data\nRUN echo $ROUND > /round && sleep 0.05\nRUN cat /round\n"
    )
    for number in range(200):
        (context / "data").mkdir(exist_ok=True)
        (context / "data" / str(number)).write_text(str(number) * 50)
    random.seed(20261124)
    for number in range(50):
        what = number % 5
        if what == 0:
            kill_at_random(wherry, ["build", "-q", "--build-arg", f"ROUND={number}", "-t", "killed", str(context)], 0.6)
        elif what == 1:
            kill_at_random(wherry, ["run", "-d", "--name", f"k{number}", "-p", "0:80", "tiny", "sleep", "300"], 0.2)
        elif what == 2:
            wherry("run", "-d", "--name", f"s{number}", "tiny", "sleep", "300")
            kill_at_random(wherry, ["stop", "-t", "0", f"s{number}"], 0.15)
        elif what == 3:
            kill_at_random(wherry, ["run", "--rm", "tiny", "sh", "-c", "echo x; sleep 0.1"], 0.25)
        else:
            wherry("create", "--name", f"p{number}", "tiny")
            kill_at_random(wherry, ["system", "prune", "-f"], 0.2)
        assert wherry("run", "--rm", "tiny", "echo", "still works").out == "still works\n"
    eventually(
        lambda: all(
            status not in wherry("ps", "-a", "--format", "{{.State}}").out.split()
            for status in ("creating", "starting", "removing")
        )
    )
    for identifier in wherry("ps", "-aq").out.split():
        wherry("rm", "-f", identifier)
    wherry("build", "-q", "-t", "whole", str(context))
    assert wherry("run", "--rm", "whole", "cat", "/data/199").out == "199" * 50
    wherry("system", "prune", "-f")
    eventually(lambda: not wherry.leftovers(), 20)


@pytest.mark.slow
def test_two_hundred_containers_twenty_at_a_time_leave_nothing(wherry, eventually):
    def one(number):
        done = wherry("run", "--rm", "tiny", "echo", str(number), timeout=240)
        return done.out == f"{number}\n"

    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(one, range(160)))

    def detached(number):
        wherry("run", "-d", "--name", f"many-{number}", "-p", "0:80", "tiny", "sleep", "300", timeout=240)
        wherry("rm", "-f", f"many-{number}", timeout=240)
        return True

    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(detached, range(40)))
    assert wherry("ps", "-aq").out == ""
    eventually(lambda: not wherry.leftovers(), 20)


def test_a_monitor_that_is_killed_is_noticed(wherry, name, eventually):
    wherry("run", "-d", "--name", name, "-p", "0:80", "tiny", "sleep", "300")
    identifier = wherry.inspect(name)["Id"]
    with open(f"{wherry.run}/containers/{identifier}/monitor-pid") as file:
        subprocess.run(["kill", "-9", file.read().strip()], check=True)
    state = wherry.inspect(name)["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 137)
    wherry("start", name)
    assert wherry.inspect(name)["State"]["Running"] is True


def test_a_foreground_run_that_is_killed_leaves_its_container_running(wherry, name, eventually):
    child = wherry.start(
        "run", "--name", name, "tiny", "sh", "-c", "echo up; sleep 0.5; exit 6", stdout=subprocess.PIPE
    )
    assert child.stdout.readline() == b"up\n"
    child.kill()
    child.wait()
    assert wherry.inspect(name)["State"]["Running"] is True
    eventually(lambda: wherry.inspect(name)["State"]["Status"] == "exited")
    assert wherry.inspect(name)["State"]["ExitCode"] == 6


def test_commands_at_once_do_not_wait_for_each_other(wherry, name):
    begun = time.monotonic()
    child = wherry.start("run", "--rm", "--name", name, "tiny", "sleep", "5", stdout=subprocess.DEVNULL)
    wherry("run", "--rm", "tiny", "true")
    wherry("ps")
    assert time.monotonic() - begun < 5
    wherry("rm", "-f", name, check=False)
    child.wait()


def test_a_start_that_died_and_was_not_repaired_is_begun_anew(wherry, eventually):
    """The lock of one who was killed can be held for a moment by a child of it, and repair passes such rows by."""
    from wherry.base.paths import Layout
    from wherry.engine import open_engine

    name = wherry("create", "--name", "dead", "tiny", "sleep", "300").out.strip()
    engine = open_engine(Layout(wherry.root, wherry.run))
    container = engine.containers.resolve(name)
    ready = engine._assembly.put_together(container)
    ready.abandon()
    engine._records.update(container.id, status="starting")
    engine.lifecycle.start(container.id)
    assert wherry("exec", "dead", "echo", "alive").out == "alive\n"
    wherry("rm", "-f", "dead")
    eventually(lambda: not wherry.leftovers())
