"""Control groups and capabilities, as a running container has them."""

import glob
import subprocess
import sys

import pytest

from wherry.kernel import capabilities, cgroups


def test_a_container_is_in_its_group_and_under_its_limits(wherry, name):
    wherry("run", "-d", "--name", name, "-m", "64m", "--pids-limit", "50", "tiny", "sleep", "300")
    state = wherry.inspect(name)
    path = cgroups.cgroup_path(wherry.tag(), state["Id"])
    assert state["State"]["Pid"] in cgroups.process_ids(path)
    if cgroups.version() == "v2":
        limits = {f"{cgroups.ROOT}{path}/memory.max": "67108864", f"{cgroups.ROOT}{path}/pids.max": "50"}
    else:
        limits = {
            f"{cgroups.ROOT}/memory{path}/memory.limit_in_bytes": "67108864",
            f"{cgroups.ROOT}/pids{path}/pids.max": "50",
        }
    for file, value in limits.items():
        with open(file) as opened:
            assert opened.read().strip() == value
    wherry("rm", "-f", name)
    assert cgroups.process_ids(path) == []
    assert not glob.glob(f"{cgroups.ROOT}/*{path}")


def test_who_takes_too_much_memory_is_killed_and_that_is_told(wherry, name):
    wherry(
        "run", "--name", name, "-m", "16m", "--memory-swap", "16m", "tiny", "perl", "-e", "$x = 'x' x 1e8", check=False
    )
    state = wherry.inspect(name)["State"]
    assert (state["OOMKilled"], state["ExitCode"]) == (True, 137)


def bounding(text):
    return int(next(line for line in text.splitlines() if line.startswith("CapBnd:"))[8:], 16)


def test_what_this_process_does_not_hold_is_not_given_and_is_named(wherry, name):
    held = capabilities.held()
    status = wherry("run", "--name", name, "--privileged", "tiny", "cat", "/proc/self/status").out
    assert bounding(status) == sum(1 << number for number, one in enumerate(capabilities.ALL) if one in held)
    named = wherry.inspect(name)["HostConfig"]["CapabilitiesNotHeld"]
    assert named == [one for one in capabilities.ALL if one not in held]


def test_a_caller_with_less_gives_less(wherry, name):
    """A process that has dropped a capability of the default set cannot pass it on."""
    from ctypes import CDLL

    def drop():
        CDLL(None).prctl(24, capabilities.ALL.index("CAP_NET_RAW"), 0, 0, 0)  # PR_CAPBSET_DROP

    done = subprocess.run(
        [sys.executable, "-I", "-m", "wherry", "run", "--rm", "--name", name, "tiny", "cat", "/proc/self/status"],
        env=wherry.environment, capture_output=True, text=True, check=True, preexec_fn=drop,
    )  # fmt: skip
    wanted = [one for one in capabilities.DEFAULT if one != "CAP_NET_RAW" and one in capabilities.held()]
    assert bounding(done.stdout) == sum(1 << capabilities.ALL.index(one) for one in wanted)


@pytest.mark.parametrize(
    ("flags", "present"), [(["--cap-drop", "ALL"], False), (["--cap-drop", "CHOWN"], False), ([], True)]
)
def test_dropped_capabilities_are_gone(wherry, flags, present):
    status = wherry("run", "--rm", *flags, "tiny", "cat", "/proc/self/status").out
    assert bool(bounding(status) & 1) is present
