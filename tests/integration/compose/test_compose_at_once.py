"""Several commands on one project at once, and commands that are killed: one after another they make it whole."""

import fcntl
import json
import random
import subprocess
import time

import pytest

from composed import Composed, project_of

HEAD = "x-s: &s {image: tiny, stop_grace_period: 0s, command: sleep 1000}\n"
PROJECT = """
services:
  a: {<<: *s}
  b: {<<: *s, depends_on: [a], volumes: ['data:/data', /anonymous]}
  c: {<<: *s, scale: 2}
volumes: {data: }
"""


class Project(Composed):
    head = HEAD

    def states(self):
        shown = self.wherry("ps", "-a", "--format", "{{json .}}", "--filter", f"name={self.name}")
        return {one["Names"]: one["State"] for one in map(json.loads, shown.out.splitlines())}

    def resources(self, kind):
        names = self.wherry(kind, "ls", "--format", "{{.Name}}").out.split()
        return [name for name in names if name.startswith(f"{self.name}_")]


@pytest.fixture
def compose(wherry, tmp_path_factory, request):
    with project_of(Project, wherry, tmp_path_factory, request, prefix="o") as project:
        yield project
    assert project.states() == {}
    assert project.resources("network") == []


def all_running(compose):
    return {f"{compose.name}-{name}": "running" for name in ("a-1", "b-1", "c-1", "c-2")}


def test_two_up_at_once_make_one_project_and_the_second_finds_nothing_to_do(compose):
    compose.write(PROJECT)
    both = [compose.start("up", "-d") for _ in range(2)]
    told = sorted((process.communicate(timeout=120)[0].decode() for process in both), key=lambda text: "Creat" in text)
    assert [process.returncode for process in both] == [0, 0], told
    lines = sorted(line for line in told[0].splitlines() if not line.startswith("Waiting for another command"))
    assert lines == [f" Container {name}  Running" for name in sorted(all_running(compose))]
    assert compose.states() == all_running(compose)


@pytest.mark.parametrize("changed", [False, True])
def test_up_and_down_at_once_come_one_after_the_other(compose, changed):
    compose.write(PROJECT)
    compose("up", "-d")
    if changed:
        compose.write(PROJECT.replace("scale: 2", "scale: 2, labels: [changed]"))
    up, down = compose.start("up", "-d"), compose.start("down", "-t", "0")
    told = [process.communicate(timeout=120)[0].decode() for process in (up, down)]
    assert (up.returncode, down.returncode) == (0, 0), told
    assert compose.states() in ({}, all_running(compose))
    assert compose.resources("network") in ([], [f"{compose.name}_default"])
    compose("up", "-d")
    assert compose.states() == all_running(compose)


def test_who_waits_says_so(compose, wherry):
    compose.write("services: {a: {<<: *s, network_mode: none}}")
    path = f"{wherry.run}/locks/compose-{compose.name}"
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        waiting = compose.start("up", "-d")
        words = waiting.stdout.readline().decode()
    assert words == f"Waiting for another command that changes the project {compose.name} ...\n"
    waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    assert compose.states() == {f"{compose.name}-a-1": "running"}


VERSIONED = """
x-v: &v {{<<: *s, labels: {{v: '{v}'}}}}
services:
  a: {{<<: *v}}
  b: {{<<: *v, image: filled, depends_on: [a], volumes: ['data:/data', 'copy:/full', /anonymous], secrets: [t]}}
  c: {{<<: *s, scale: 2}}
volumes: {{data: , copy: }}
secrets: {{t: {{environment: PATH}}}}
networks: {{default: {{driver_opts: {{com.docker.network.driver.mtu: {mtu}}}}}}}
"""


def killed(compose, arguments, seconds):
    """Start a command and kill it after that time, as a crash would; whether it was still at work."""
    process = compose.start(*arguments)
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    return False


@pytest.fixture
def filled(wherry, tmp_path):
    """An image with files where the project has a volume."""
    (tmp_path / "Dockerfile").write_text(
        "FROM tiny\nRUN mkdir /full && for i in $(seq 300); do echo $i > /full/$i; done\n"
    )
    wherry("build", "-q", "-t", "filled", str(tmp_path))


def check_whole(compose, *, kept, named):
    """Everything is there under its name, on one network, with its data."""
    compose("up", "-d")
    assert compose.states() == all_running(compose)
    assert compose.resources("network") == [f"{compose.name}_default"]
    assert sorted(compose.resources("volume")) == [f"{compose.name}_copy", f"{compose.name}_data"]
    shown = compose(
        "exec", "-T", "b", "sh", "-c", "cat /data/file /anonymous/file 2>/dev/null; ls /full | wc -l; cat /full/300"
    )
    assert shown.out.split() == [*(["named"] if named else []), *(["anonymous"] if kept else []), "300", "300"]
    assert "Running" in compose("up", "-d").err


@pytest.mark.slow
def test_twenty_kills_of_up_and_down_are_repaired_by_the_next_up(compose, wherry, filled, eventually):
    chance = random.Random(20261125)
    compose.write(VERSIONED.format(v=0, mtu=1400))
    begun = time.monotonic()
    compose("up", "-d")
    longest, hits = time.monotonic() - begun, 0
    for number in range(1, 21):
        compose("exec", "-T", "b", "sh", "-c", "echo named > /data/file; echo anonymous > /anonymous/file")
        goes_up, with_volumes = number % 2 == 1, number % 4 == 0
        if goes_up:
            compose.write(VERSIONED.format(v=number, mtu=1400 + (number // 2) % 3))
            command = ["up", "-d"]
        else:
            command = ["down", "-t", "0", *(["-v"] if with_volumes else [])]
        hits += killed(compose, command, chance.uniform(0.2, 1.0 if goes_up else 0.7) * longest)
        if goes_up:
            check_whole(compose, kept=True, named=True)
        else:
            compose("down", "-t", "0", *(["-v"] if with_volumes else []))
            assert (compose.states(), compose.resources("network")) == ({}, [])
            assert len(compose.resources("volume")) == (0 if with_volumes else 2)
            check_whole(compose, kept=False, named=not with_volumes)
    assert hits >= 8, "most commands were over before they were killed"
    compose("down", "-v", "-t", "0")
    wherry("rmi", "filled")
    eventually(lambda: not wherry.leftovers())


@pytest.mark.slow
def test_down_that_was_killed_is_repaired_by_up(compose, filled):
    chance = random.Random(5)
    compose.write(VERSIONED.format(v=0, mtu=1400))
    for _ in range(4):
        begun = time.monotonic()
        compose("up", "-d")
        killed(compose, ["down", "-t", "0"], chance.uniform(0.2, 0.8) * (time.monotonic() - begun))
        compose("up", "-d")
        assert compose.states() == all_running(compose)
        assert compose.resources("network") == [f"{compose.name}_default"]
