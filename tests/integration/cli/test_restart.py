"""Restart policies of real containers: the back-off, what ends it, and who goes on where its waiter was killed."""

import itertools
import os
import signal

import pytest

FAILS = ("tiny", "sh", "-c", "date +%s.%N; exit 3")


@pytest.fixture
def failing(wherry, name):
    """Starts a container that fails again and again, and waits for a back-off that is long enough to look at."""

    def start(eventually, count=5):
        wherry("run", "-d", "--network", "none", "--name", name, "--restart", "always", *FAILS)
        eventually(lambda: state(wherry, name) == ("restarting", count), 30)
        return name

    return start


def state(wherry, name):
    found = wherry.inspect(name)
    return found["State"]["Status"], found["RestartCount"]


def waiters(wherry):
    """The processes that wait out a back-off."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                command = file.read().split(b"\0")
            with open(f"/proc/{pid}/environ", "rb") as file:
                environment = file.read().split(b"\0")
        except OSError:
            continue
        if b"internal" in command and f"WHERRY_RUN={wherry.run}".encode() in environment:
            found += [int(pid)] if {b"restart", b"ended"} & set(command) else []
    return found


def test_the_back_off_doubles(wherry, failing, eventually):
    one = failing(eventually)
    moments = [float(line) for line in wherry("logs", one).out.split()]
    gaps = [after - before for before, after in itertools.pairwise(moments)]
    for gap, least in zip(gaps, (0.1, 0.2, 0.4, 0.8), strict=False):
        assert least < gap < least + 3  # and what starting takes on a busy machine
    found = wherry.inspect(one)
    assert found["State"]["Running"]
    assert found["State"]["Restarting"]
    assert found["State"]["Pid"] == 0
    assert found["State"]["ExitCode"] == 3
    assert wherry("ps", "--format", "{{.Status}}", "-f", f"name={one}").out.startswith("Restarting (3) ")


@pytest.mark.parametrize("verb", [("stop",), ("kill",), ("rm", "-f")])
def test_whoever_stops_it_ends_the_back_off_at_once(wherry, failing, eventually, verb):
    one = failing(eventually)
    assert waiters(wherry)
    wherry(*verb, one)
    eventually(lambda: not waiters(wherry))
    if verb[0] != "rm":
        assert state(wherry, one) == ("exited", 5)


def test_what_docker_says_meanwhile(wherry, failing, eventually):
    one = failing(eventually)
    identifier = wherry.inspect(one)["Id"]
    for verb, words in (
        (("rm", one), f"You cannot remove a restarting container {identifier}."),
        (("exec", one, "true"), f"Container {identifier} is restarting, wait until the container is running"),
        (("pause", one), f"Container {identifier} is restarting, wait until the container is running"),
        (("attach", one), "You cannot attach to a restarting container, wait until it is running"),
    ):
        done = wherry(*verb, check=False)
        assert done.returncode == 1
        assert words in done.err
    assert wherry("start", one).out == f"{one}\n"
    assert wherry("wait", one).out == "3\n"


def test_a_waiter_that_was_killed_is_replaced_by_the_next_command(wherry, failing, eventually):
    one = failing(eventually)
    for pid in waiters(wherry):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not waiters(wherry))
    eventually(lambda: state(wherry, one)[1] > 5, 30)  # `inspect` is the next command


def test_a_start_by_hand_counts_from_nothing(wherry, name, eventually):
    wherry("run", "-d", "--network", "none", "--name", name, "--restart", "on-failure:1", *FAILS)
    eventually(lambda: state(wherry, name) == ("exited", 1))
    wherry("start", name)
    eventually(lambda: len(wherry("logs", name).out.split()) == 4 and state(wherry, name) == ("exited", 1))


def test_an_end_without_a_failure_is_left_alone_on_failure(wherry, name, eventually):
    wherry("run", "-d", "--network", "none", "--name", name, "--restart", "on-failure", "tiny", "true")
    eventually(lambda: state(wherry, name) == ("exited", 0))


@pytest.mark.parametrize(("flags", "after"), [((), "exited"), (("--stop-signal", "TERM"), "running")])
def test_a_signal_ends_restarts_unless_another_was_chosen(wherry, name, eventually, flags, after):
    program = '$|=1; $SIG{HUP} = sub { exit 1 }; print "ready\\n"; sleep 1000'
    flags = ("--network", "none", "--restart", "always", *flags)
    wherry("run", "-d", "--name", name, *flags, "tiny", "perl", "-e", program)
    eventually(lambda: wherry("logs", name).out == "ready\n")
    wherry("kill", "-s", "HUP", name)
    eventually(lambda: state(wherry, name) == ("running", 1) if flags[4:] else state(wherry, name) == ("exited", 0))
