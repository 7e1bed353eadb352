"""Jobs by the clock on fakes: once for each time, whoever looks and whatever is killed."""

import signal
import subprocess
import sys
import threading

import pytest

from wherry.base.errors import OperationFailed, Unavailable
from wherry.base.paths import Layout
from wherry.compose.location import ProjectOptions
from wherry.deploy.applications import Applications
from wherry.deploy.cron import KEY, Job
from wherry.deploy.environments import Environments
from wherry.deploy.fakes import World, fake_parts
from wherry.deploy.running import perform
from wherry.deploy.schedules import BACKUP, Schedules, due

MODEL = {
    "services": {"web": {"image": "web", "ports": [{"target": 80}]}, "worker": {"image": "worker"}},
    "networks": {"default": {}},
}
HOURLY = Job("hourly", "0 * * * *", url="/tasks")
DAYS = 86_400
MIDNIGHT = 20_000 * DAYS


def install(root, *jobs):
    parts = fake_parts(Layout(str(root / "root"), str(root / "run")), World())
    parts.versions.models["/project"] = {**MODEL, KEY: [one._asdict() for one in jobs]}
    Applications(parts).add_version("shop", ProjectOptions({}, "/project"))
    Environments(parts, "me").create("shop", "shop", "v1", settings={"min": "3"})
    return parts


class Watch:
    """Schedules whose jobs are written down instead of done; `fails` are jobs that fail."""

    def __init__(self, parts):
        self.done, self.fails, self.parts = [], set(), parts
        self.schedules = Schedules(parts, self._perform)

    def _perform(self, parts, name, job, time):
        self.done.append((name, job.name, time - MIDNIGHT))
        if job.name in self.fails:
            raise OperationFailed("it did not like it")
        return "well"

    def at(self, seconds):
        for thread in self.schedules.due(MIDNIGHT + seconds):
            thread.join()

    def results(self):
        return [(run.job, run.time - MIDNIGHT, run.result) for run in reversed(self.schedules.runs("shop"))]

    def events(self):
        return [(one.severity, one.message) for one in self.parts.records.history.events("shop")][2:]


@pytest.fixture
def watch(tmp_path):
    made = Watch(install(tmp_path, HOURLY))
    made.at(10)
    return made


def test_a_job_runs_once_at_each_of_its_times(watch):
    for seconds in (3590, 3600, 3601, 3605, 7199, 7201, 7205):
        watch.at(seconds)
    assert watch.done == [("shop", "hourly", 3600), ("shop", "hourly", 7200)]
    assert watch.results() == [("hourly", 3600, "succeeded"), ("hourly", 7200, "succeeded")]
    assert watch.events()[0] == ("INFO", "Job hourly succeeded after 0s: well.")


def test_times_before_it_was_known_do_not_count(tmp_path):
    watch = Watch(install(tmp_path, HOURLY))
    watch.at(3600)
    watch.at(3605)
    assert watch.done == []
    assert watch.results() == []


def test_two_that_look_at_once_run_it_once(watch):
    others = [Watch(watch.parts) for _ in range(4)]
    barrier = threading.Barrier(4)

    def look(one):
        barrier.wait()
        one.at(3601)

    threads = [threading.Thread(target=look, args=(one,)) for one in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [done for one in others for done in one.done] == [("shop", "hourly", 3600)]


def test_what_was_missed_runs_once_if_it_is_less_than_an_hour_ago(watch):
    later = Watch(watch.parts)
    later.at(5 * 3600 + 600)
    assert later.done == [("shop", "hourly", 5 * 3600)]
    assert later.events()[0][0] == "WARN"
    assert later.events()[0][1].startswith("Job hourly was missed at earlier times: it runs once, for ")


def test_what_was_missed_longer_ago_is_left_out_and_told(tmp_path):
    watch = Watch(install(tmp_path, Job("nightly", "0 3 * * *", url="/")))
    watch.at(0)
    later = Watch(watch.parts)
    later.at(4 * 3600 + 1)
    later.at(4 * 3600 + 5)
    assert later.done == []
    assert later.results() == [("nightly", 3 * 3600, "skipped")]
    assert [one[0] for one in later.events()] == ["WARN"]
    assert "more than an hour ago: it is left out this time." in later.events()[0][1]
    later.at(DAYS + 3 * 3600)
    assert later.done == [("shop", "nightly", DAYS + 3 * 3600)]


def test_a_job_that_fails_is_told_and_comes_again_at_its_next_time(watch):
    watch.fails.add("hourly")
    watch.at(3600)
    watch.at(3700)
    assert watch.results() == [("hourly", 3600, "failed")]
    assert watch.events() == [("ERROR", "Job hourly failed after 0s: it did not like it.")]
    watch.at(7200)
    assert len(watch.done) == 2


def test_a_job_that_takes_longer_than_its_interval_does_not_run_beside_itself(tmp_path):
    parts = install(tmp_path, HOURLY)
    begun, end = threading.Event(), threading.Event()

    def slow(*_):
        begun.set()
        end.wait(60)
        return ""

    schedules = Schedules(parts, slow)
    schedules.due(MIDNIGHT + 10)
    (thread,) = schedules.due(MIDNIGHT + 3600)
    assert begun.wait(60)
    assert schedules.due(MIDNIGHT + 7200) == []
    end.set()
    thread.join()
    results = [(run.time - MIDNIGHT, run.result) for run in schedules.runs("shop")]
    assert results == [(7200, "skipped"), (3600, "succeeded")]


def test_what_is_cut_off_by_a_kill_is_told_and_does_not_run_again(watch):
    source = f"""
import sys, time
from wherry.base.paths import Layout
from wherry.deploy.fakes import World, fake_parts
from wherry.deploy.schedules import Schedules

def perform(parts, name, job, time_):
    print("begun", flush=True)
    time.sleep(600)

parts = fake_parts(Layout({watch.parts.layout.root!r}, {watch.parts.layout.run!r}), World())
[thread] = Schedules(parts, perform).due({MIDNIGHT + 3600})
thread.join()
"""
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"begun\n"
        watch.at(3601)
        assert watch.results() == [("hourly", 3600, "")]
        process.send_signal(signal.SIGKILL)
    watch.at(3610)
    assert watch.done == []
    assert watch.results() == [("hourly", 3600, "cut off")]
    assert watch.events()[-1][0] == "ERROR"
    assert "was cut off" in watch.events()[-1][1]
    watch.at(7200)
    assert watch.done == [("shop", "hourly", 7200)]


def test_another_schedule_counts_from_when_it_is_seen(watch):
    changed = {**MODEL, KEY: [HOURLY._replace(schedule="*/10 * * * *")._asdict()]}
    watch.parts.versions.models["/project"] = changed
    Applications(watch.parts).add_version("shop", ProjectOptions({}, "/project"))
    Environments(watch.parts, "me").deploy("shop", "v2")
    watch.at(3500)
    assert watch.done == []
    watch.at(3601)
    assert watch.done == [("shop", "hourly", 3600)]


def test_nothing_comes_where_nothing_runs(watch):
    Environments(watch.parts, "me").terminate("shop")
    watch.at(3600)
    assert watch.done == []


def test_backups_come_by_their_setting(watch):
    watch.parts.records.change_environment("shop", settings={"backup.schedule": "30 * * * *"})
    watch.at(20)
    watch.at(1800)
    assert watch.done == [("shop", BACKUP, 1800)]


def test_old_runs_are_forgotten(watch):
    for hour in range(1, 70):
        watch.at(hour * 3600)
    assert len(watch.done) == 69
    assert len(watch.schedules.runs("shop", 1000)) == 51


def test_due_begins_what_is_due_by_itself(watch):
    threads = due(watch.parts, MIDNIGHT + 3600)
    for thread in threads:
        thread.join()
    assert len(threads) == 1
    ((job, time, result),) = watch.results()
    assert (job, time, result) == ("hourly", 3600, "failed")  # addresses of fakes lead nowhere


# --- doing it


def test_a_request_where_nothing_runs_says_so(tmp_path):
    parts = install(tmp_path)
    for name in list(parts.target.instances["shop"]):
        parts.target.dead["shop", name] = 1
    with pytest.raises(Unavailable, match="no instance runs that /tasks could be asked of"):
        perform(parts, "shop", HOURLY, MIDNIGHT)


def test_commands_run_in_the_version_and_their_end_counts(tmp_path):
    parts = install(tmp_path)
    job = Job("tidy", "@daily", service="worker", command=("tidy",))
    assert perform(parts, "shop", job, MIDNIGHT) == "releasing"
    assert parts.target.released == ["v1"]
    parts.target._world.release_codes["v1"] = 7
    with pytest.raises(OperationFailed, match="it ended with exit code 7: releasing"):
        perform(parts, "shop", job, MIDNIGHT)
