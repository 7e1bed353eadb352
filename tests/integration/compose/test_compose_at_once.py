"""Several commands on one project at once, and commands that are killed: one after another they make it whole."""

import fcntl
import json
import os
import random
import subprocess
import time

import pytest

HEAD = "x-s: &s {image: tiny, stop_grace_period: 0s, command: sleep 1000}\n"
PROJECT = """
services:
  a: {<<: *s}
  b: {<<: *s, depends_on: [a], volumes: ['data:/data', /anonymous]}
  c: {<<: *s, scale: 2}
volumes: {data: }
"""


class Composed:
    """Runs `wherry compose` in a directory of its own."""

    def __init__(self, wherry, directory):
        self.wherry, self.directory = wherry, directory
        self.name = os.path.basename(directory)

    def write(self, text):
        with open(f"{self.directory}/compose.yaml", "w") as file:
            file.write(HEAD + text)

    def __call__(self, *arguments, **options):
        return self.wherry("compose", *arguments, cwd=self.directory, **options)

    def start(self, *arguments):
        pipe = subprocess.PIPE
        return self.wherry.start("compose", *arguments, cwd=self.directory, stdout=pipe, stderr=subprocess.STDOUT)

    def states(self):
        shown = self.wherry("ps", "-a", "--format", "{{json .}}", "--filter", f"name={self.name}")
        return {one["Names"]: one["State"] for one in map(json.loads, shown.out.splitlines())}

    def resources(self, kind):
        names = self.wherry(kind, "ls", "--format", "{{.Name}}").out.split()
        return [name for name in names if name.startswith(f"{self.name}_")]


@pytest.fixture
def compose(wherry, tmp_path_factory, request):
    directory = str(tmp_path_factory.mktemp("o" + request.node.name.partition("[")[0].replace("_", "")[4:20]))
    project = Composed(wherry, directory)
    yield project
    project.write("services: {}\n")
    project("down", "-v", "--remove-orphans", "-t", "0")
    assert project.states() == {}
    assert project.resources("network") == []


def all_running(compose):
    return {f"{compose.name}-{name}": "running" for name in ("a-1", "b-1", "c-1", "c-2")}


def test_two_up_at_once_make_one_project_and_the_second_finds_nothing_to_do(compose):
    compose.write(PROJECT)
    both = [compose.start("up", "-d") for _ in range(2)]
    told = sorted((process.communicate(timeout=120)[0].decode() for process in both), key=lambda text: "Creat" in text)
    assert [process.returncode for process in both] == [0, 0], told
    assert sorted(told[0].splitlines()) == [f" Container {name}  Running" for name in sorted(all_running(compose))]
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
