"""The monitor over a real database, with a program in the runtime's place: nothing here needs root."""

import json
import os
import sys
import threading

import pytest

from wherry.base.errors import Unavailable
from wherry.base.locks import FileLock, is_held
from wherry.base.paths import Layout
from wherry.engine.background import is_watching, monitor_note
from wherry.engine.health import HealthCheck
from wherry.engine.healthmonitor import HealthMonitor, write_check
from wherry.engine.healthrecords import HealthRecords
from wherry.engine.records import Container, ContainerRecords, ContainerState, NetworkState
from wherry.engine.request import ContainerRequest
from wherry.store import Database

# Runs the command beside itself: `RUNTIME --log F --log-format json exec --process P --pid-file F ID`.
RUNTIME = """
import json, subprocess, sys
child = subprocess.Popen(json.load(open(sys.argv[7]))["args"], start_new_session=True)
open(sys.argv[9], "w").write(str(child.pid))
code = child.wait()
sys.exit(code if code >= 0 else 128 - code)
"""
MILLISECOND = 1_000_000


class House:
    """An installation with rows and bundles, and no containers."""

    def __init__(self, directory):
        self.layout = Layout(f"{directory}/root", f"{directory}/run")
        self.directory = directory
        self.database = Database(self.layout.database)
        self.records = ContainerRecords(self.database, self.layout)
        (directory / "runtime.py").write_text(RUNTIME)
        self.threads = []

    def run(self, name, *command, **check):
        """A container that has just been started."""
        bundle = self.layout.container_run(name)
        os.makedirs(bundle, exist_ok=True)
        self.arrange(name, command, **check)
        state = ContainerState("created")
        self.records.add(Container(name, name, "i", "", "", ContainerRequest("i"), 0, state, NetworkState()))
        self.records.update(name, status="running", started=1, health="starting")

    def arrange(self, name, command, **check):
        defaults = {"interval": 20 * MILLISECOND, "timeout": 10_000 * MILLISECOND, "retries": 2}
        runtime = (sys.executable, "-I", "-S", f"{self.directory}/runtime.py")
        write_check(
            self.layout.container_run(name),
            runtime,
            HealthCheck(tuple(command), **{**defaults, **check}),
            {"args": command},
        )

    def monitor(self, records=HealthRecords):
        """In a thread, with a connection of its own, as another process has."""

        def watch():
            database = Database(self.layout.database)
            HealthMonitor(self.layout, database, records(database)).run()
            database.close()

        thread = threading.Thread(target=watch)
        thread.start()
        self.threads.append(thread)
        return thread

    def until(self, condition, seconds=30):
        assert self.database.wait_until(lambda: condition() or None, seconds), "it did not come true in time"

    def health(self, name):
        return self.records.get(name).state.health

    def results(self, name):
        return self.records.health.results(name)

    def close(self):
        for container in self.records.all():
            self.records.update(container.id, status="exited")
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive()
        self.database.close()


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    made.close()


def test_several_containers_each_by_its_own_check(house):
    house.run("good", "true")
    house.run("bad", "sh", "-c", "echo no; exit 4")
    house.monitor()
    house.until(lambda: (house.health("good"), house.health("bad")) == ("healthy", "unhealthy"))
    last = house.results("bad")[-1]
    assert (last.exit_code, last.output) == (4, "no\n")
    assert last.started < last.ended
    house.until(lambda: house.records.get("bad").state.health_streak > 6)
    assert len(house.results("bad")) == 5


def test_a_container_that_comes_later_is_seen_and_one_that_ends_is_let_go(house):
    house.run("one", "true")
    monitor = house.monitor()
    house.until(lambda: house.health("one") == "healthy")
    assert is_watching(house.layout)
    house.run("two", "true")
    house.until(lambda: house.health("two") == "healthy")
    house.records.update("one", status="exited")
    known = len(house.results("one"))
    house.until(lambda: len(house.results("two")) == 5)
    assert len(house.results("one")) in (known, known + 1)
    house.records.update("two", status="exited")
    monitor.join(30)
    assert not monitor.is_alive()
    assert not is_watching(house.layout)
    assert not os.path.exists(monitor_note(house.layout))
    assert not is_held(f"{house.layout.locks}/health")


def test_a_check_that_takes_too_long_is_killed(house):
    house.run("slow", "sh", "-c", "echo so far; sleep 1000", timeout=500 * MILLISECOND, retries=1)
    house.monitor()
    house.until(lambda: house.health("slow") == "unhealthy")
    (result, *_) = house.results("slow")
    assert (result.exit_code, result.output) == (-1, "Health check exceeded timeout (500ms): so far\n")


def test_checks_of_one_container_never_overlap(house):
    marks = house.directory / "marks"
    house.run("one", "sh", "-c", f"echo in >> {marks}; sleep 0.05; echo out >> {marks}", interval=MILLISECOND)
    house.monitor()
    house.until(lambda: len(house.results("one")) == 5)
    house.records.update("one", status="paused")
    lines = marks.read_text().split()
    assert lines[:10] == ["in", "out"] * 5


def test_what_a_pause_interrupts_is_not_counted(house):
    os.mkfifo(house.directory / "ready")
    house.run("one", "sh", "-c", f"exec > {house.directory}/ready; echo begun; sleep 1000")
    house.monitor()
    with open(house.directory / "ready") as fifo:
        assert fifo.readline() == "begun\n"
        house.records.update("one", status="paused", health="unhealthy")
        assert fifo.read() == ""  # its writers are gone
    house.arrange("one", ("true",))
    house.records.update("one", status="running")
    house.until(lambda: house.health("one") == "healthy")
    assert {result.exit_code for result in house.results("one")} == {0}


def test_a_new_run_begins_anew(house):
    house.run("one", "false", retries=1)
    house.monitor()
    house.until(lambda: house.health("one") == "unhealthy")
    house.arrange("one", ("true",))
    house.records.update("one", started=2, health="starting", health_streak=0)
    house.until(lambda: house.health("one") == "healthy")


def test_there_is_one_monitor(house):
    house.run("one", "true")
    first = house.monitor()
    house.until(lambda: house.health("one") == "healthy")
    second = house.monitor()
    second.join(30)
    assert first.is_alive()
    assert not second.is_alive()


def test_a_monitor_without_anything_to_do_ends_at_once(house):
    house.monitor().join(30)
    assert not os.path.exists(monitor_note(house.layout))


def test_a_successor_goes_on_with_the_streak(house):
    """A monitor that was killed leaves its row, its results and perhaps a check that is under way."""
    house.run("one", "false", interval=50 * MILLISECOND, retries=3)
    house.records.update("one", health_streak=2)
    house.monitor()
    house.until(lambda: house.health("one") == "unhealthy")
    assert len(house.results("one")) == 1


def test_a_bundle_that_is_gone_does_not_hurt_the_others(house):
    house.run("gone", "true")
    os.unlink(f"{house.layout.container_run('gone')}/health.json")
    house.run("one", "true")
    house.monitor()
    house.until(lambda: house.health("one") == "healthy")
    assert house.results("gone") == []


def test_a_runtime_that_is_missing_is_told_in_the_log(house):
    house.run("one", "true", retries=1)
    path = f"{house.layout.container_run('one')}/health.json"
    with open(path) as file:
        known = json.load(file)
    with open(path, "w") as file:
        json.dump({**known, "runtime": ["/no/such/runtime"]}, file)
    house.monitor()
    house.until(lambda: house.health("one") == "unhealthy")
    assert "No such file" in house.results("one")[0].output


def test_a_disk_that_is_full_for_a_while_does_not_end_the_monitor(house):
    refused = []

    class Full(HealthRecords):
        def record(self, run, health, result):
            if not refused:
                refused.append(result)
                raise Unavailable("cannot use the database: disk is full")
            super().record(run, health, result)

    house.run("one", "true")
    house.monitor(Full)
    house.until(lambda: house.health("one") == "healthy")
    assert refused


def test_the_lock_is_what_makes_it_one(house):
    house.run("one", "true")
    with FileLock(f"{house.layout.locks}/health"):
        house.monitor().join(30)
        assert house.results("one") == []
