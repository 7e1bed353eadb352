"""Health checks of real containers: what Docker shows of them, one small process, and nothing lost when it dies."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest


@pytest.fixture
def monitor(wherry):
    """The process that watches, 0 where there is none."""

    def find():
        try:
            with open(f"{wherry.run}/health-monitor") as note:
                pid = int(note.read().partition(".")[0] or 0)
        except FileNotFoundError:
            return 0
        return pid if os.path.exists(f"/proc/{pid}") else 0

    return find


@pytest.fixture
def checked(wherry, name):
    """Starts a container that is checked often, on no network."""

    def start(check, *flags, interval="100ms"):
        flags = ("--network", "none", "--health-cmd", check, "--health-interval", interval, *flags)
        wherry("run", "-d", "--name", name, *flags, "tiny", "sleep", "1000")
        return name

    return start


def health(wherry, name):
    return wherry.inspect(name)["State"]["Health"]


def status(wherry, name):
    return health(wherry, name)["Status"]


def shown(wherry, *flags):
    return wherry("ps", "-a", "--format", "{{.Status}}", *flags).out.strip()


def test_starting_then_healthy(wherry, checked, eventually):
    one = checked("echo fine; echo too >&2; test -e /ready", "--health-retries", "100000")
    assert status(wherry, one) == "starting"
    assert shown(wherry, "-f", f"name={one}").endswith("(health: starting)")
    assert one in wherry("ps", "-f", "health=starting", "--format", "{{.Names}}").out
    wherry("exec", one, "touch", "/ready")
    eventually(lambda: status(wherry, one) == "healthy")
    assert shown(wherry, "-f", f"name={one}").endswith("(healthy)")
    assert wherry("ps", "-q", "-f", "health=starting", "-f", f"name={one}").out == ""
    last = health(wherry, one)["Log"][-1]
    assert (last["ExitCode"], sorted(last["Output"].splitlines())) == (0, ["fine", "too"])  # in either order
    assert last["Start"] < last["End"]
    assert wherry("inspect", "-f", "{{.State.Health.Status}} {{len .State.Health.Log}}", one).out.startswith("healthy ")


def test_unhealthy_after_so_many_failures_and_a_log_of_five(wherry, checked, eventually):
    one = checked("echo no; exit 1", "--health-retries", "2")
    eventually(lambda: health(wherry, one)["FailingStreak"] > 5, 20)
    found = health(wherry, one)
    assert found["Status"] == "unhealthy"
    assert [(result["ExitCode"], result["Output"]) for result in found["Log"]] == [(1, "no\n")] * 5
    assert shown(wherry, "-f", f"name={one}").endswith("(unhealthy)")
    assert one in wherry("ps", "-f", "health=unhealthy", "--format", "{{.Names}}").out


def test_a_start_period_forgives_failures(wherry, checked, eventually):
    one = checked("exit 1", "--health-start-period", "1h", "--health-start-interval", "50ms", "--health-retries", "1")
    eventually(lambda: len(health(wherry, one)["Log"] or ()) == 5)
    assert (status(wherry, one), health(wherry, one)["FailingStreak"]) == ("starting", 0)


def test_a_check_that_takes_too_long_is_killed_with_what_it_started(wherry, checked, eventually):
    one = checked("echo begun; sleep 777 & sleep 778", "--health-timeout", "300ms", "--health-retries", "1")
    eventually(lambda: status(wherry, one) == "unhealthy")
    first = health(wherry, one)["Log"][0]
    assert (first["ExitCode"], first["Output"]) == (-1, "Health check exceeded timeout (300ms): begun\n")
    wherry("pause", one)
    wherry("unpause", one)
    wherry("exec", one, "true")
    wherry("stop", "-t", "0", one)


def test_output_is_cut_and_long_ago_is_forgotten(wherry, checked, eventually):
    one = checked("seq 1 100000")
    eventually(lambda: status(wherry, one) == "healthy")
    output = health(wherry, one)["Log"][0]["Output"]
    assert output.startswith("1\n2\n")
    assert len(output) == 4096 + len("...")
    assert output.endswith("...")


def test_a_command_that_is_not_there(wherry, context, built, name, eventually):
    image = built(context('FROM tiny\nHEALTHCHECK --interval=100ms --retries=1 CMD ["/no/such", "x"]\n'))
    wherry("run", "-d", "--network", "none", "--name", name, image, "sleep", "1000")
    eventually(lambda: status(wherry, name) == "unhealthy")
    first = health(wherry, name)["Log"][0]
    assert first["ExitCode"] == -1
    assert first["Output"].startswith(
        'OCI runtime exec failed: exec failed: unable to start container process: exec: "'
    )


def test_the_image_says_how_and_flags_change_it(wherry, context, built, name, eventually):
    image = built(context("FROM tiny\nUSER ana\nHEALTHCHECK --interval=100ms --retries=9 CMD id -un; echo $NAME\n"))
    wherry("run", "-d", "--network", "none", "--name", name, "--health-retries", "4", image, "sleep", "1000")
    assert wherry.inspect(name)["Config"]["Healthcheck"] == {
        "Test": ["CMD-SHELL", "id -un; echo $NAME"],
        "Interval": 100_000_000,
        "Retries": 4,
    }
    eventually(lambda: status(wherry, name) == "healthy")
    assert health(wherry, name)["Log"][0]["Output"] == "ana\ntiny\n"


def test_no_check_where_it_is_switched_off(wherry, context, built, name):
    image = built(context("FROM tiny\nHEALTHCHECK CMD true\n"))
    wherry("run", "-d", "--network", "none", "--name", name, "--no-healthcheck", image, "sleep", "1000")
    found = wherry.inspect(name)
    assert found["Config"]["Healthcheck"] == {"Test": ["NONE"]}
    assert "Health" not in found["State"]
    assert name in wherry("ps", "-f", "health=none", "--format", "{{.Names}}").out


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--health-cmd", "x", "--no-healthcheck"), "--no-healthcheck conflicts with --health-* options"),
        (("--health-interval=-1s",), "--health-interval cannot be negative"),
        (("--health-retries=-1",), "--health-retries cannot be negative"),
        (("--health-interval=1us",), "Interval in Healthcheck cannot be less than 1ms"),
        (("--health-timeout=x",), 'invalid argument "x" for "--health-timeout" flag: time: invalid duration "x"'),
    ],
)
def test_what_makes_no_sense_is_refused_in_dockers_words(wherry, flags, words):
    done = wherry("create", *flags, "tiny", check=False)
    assert done.returncode == 125
    assert words in done.err


def test_a_pause_and_an_end_make_unhealthy_and_a_start_begins_anew(wherry, checked, eventually):
    one = checked("true")
    eventually(lambda: status(wherry, one) == "healthy")
    wherry("pause", one)
    assert status(wherry, one) == "unhealthy"
    assert shown(wherry, "-f", f"name={one}").endswith("(Paused)")
    wherry("unpause", one)
    eventually(lambda: status(wherry, one) == "healthy")
    wherry("stop", "-t", "0", one)
    known = health(wherry, one)
    assert known["Status"] == "unhealthy"
    wherry("start", one)
    eventually(lambda: status(wherry, one) == "healthy")
    assert health(wherry, one)["Log"][-1] not in known["Log"]


def test_the_monitor_is_one_and_ends_with_the_last_container(wherry, name, monitor, eventually):
    flags = ("--network", "none", "--health-cmd", "true", "--health-interval", "100ms")
    names = [f"{name}-{number}" for number in range(6)]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda one: wherry("run", "-d", "--name", one, *flags, "tiny", "sleep", "1000"), names))
    eventually(lambda: all(status(wherry, one) == "healthy" for one in names), 30)
    assert monitor()
    with open(f"/proc/{monitor()}/status") as file:
        assert "PPid:\t1\n" in file.read()
    assert {os.readlink(f"/proc/{monitor()}/fd/{fd}") for fd in (0, 1, 2)} == {"/dev/null"}
    wherry("rm", "-f", *names)
    eventually(lambda: not monitor())


def test_a_monitor_that_was_killed_is_started_by_the_next_command(wherry, checked, monitor, eventually):
    one = checked("if [ -e /broken ]; then exit 1; fi; sleep 0.05", "--health-retries", "2")
    eventually(lambda: status(wherry, one) == "healthy")
    for _ in range(5):
        killed = monitor()
        os.kill(killed, signal.SIGKILL)
        eventually(lambda killed=killed: not os.path.exists(f"/proc/{killed}"))
        wherry("ps")
        eventually(lambda killed=killed: monitor() not in (0, killed))
    wherry("exec", one, "touch", "/broken")
    eventually(lambda: status(wherry, one) == "unhealthy")


def test_a_check_that_a_killed_monitor_left_is_ended(wherry, checked, monitor, eventually):
    one = checked("echo $$ >> /pids; sleep 1000", "--health-timeout", "1h")

    def begun():
        return wherry("exec", one, "sh", "-c", "cat /pids 2>/dev/null || true").out.split()

    (left,) = eventually(begun)
    os.kill(monitor(), signal.SIGKILL)
    wherry("ps")
    eventually(lambda: len(begun()) == 2)
    assert wherry("exec", one, "kill", "-0", left, check=False).returncode


def test_containers_without_checks_need_no_monitor(wherry, name, monitor, eventually):
    eventually(lambda: not monitor())
    wherry("run", "-d", "--network", "none", "--name", name, "tiny", "sleep", "1000")
    wherry("ps")
    assert not os.path.exists(f"{wherry.run}/health-monitor")
