"""What comes by the clock: jobs of versions (`cron.yaml`), backups of accessories, certificates that are to be renewed.

A job runs once for its environment, however many instances and processes there are: whoever is to run it writes down so
first, and two cannot. It never runs twice for one time: what was cut off by a kill is told, and comes again at its next
time. Where nothing ran at a time, the latest one of the hour before is made up for, and earlier ones are left out.
"""

from __future__ import annotations

import os
import threading

from wherry.base.errors import WherryError
from wherry.base.processes import is_living, process_identity
from wherry.base.progress import nobody
from wherry.base.values import NamedTuple
from wherry.deploy.cron import KEY, Job, decode_jobs, next_time, parse_expression, run_name, zone_named
from wherry.deploy.running import perform
from wherry.deploy.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.deploy.model import Environment
    from wherry.deploy.parts import Parts

    Perform = Callable[[Parts, str, Job, int], str]

__all__ = ["BACKUP", "Planned", "Run", "Schedules", "due"]

BACKUP = "backup of accessories"  # no job can have this name
_LATE = 3600
_RENEW_SECONDS = 60.0
_KEPT_RUNS = 50  # of each job
_MOST_JOBS = 1000  # whose runs are looked through
_BEGAN = "since"  # the result of a row that says from when on times are counted


class Run(NamedTuple):
    """One run of a job, or a time that it has none for. `time` is the planned one, in seconds since 1970.

    `result` is empty while it is under way, then succeeded, failed, `cut off` or skipped; `started` and `ended` are
    nanoseconds since 1970.
    """

    environment: str
    job: str
    time: int
    started: int
    ended: int
    result: str
    detail: str


class Planned(NamedTuple):
    """A job of what runs, its next time in seconds since 1970 (None for never) and its last run, if there was one."""

    job: Job
    next: int | None
    last: Run | None


def due(parts: Parts, now: float) -> list[threading.Thread]:
    """Begin all that is due at `now`; see `Schedules.due`, which remembers what it has looked at."""
    return Schedules(parts).due(now)


class Schedules:
    """The schedules of one installation. `perform` does a job and returns what to say of it, or raises WherryError."""

    def __init__(self, parts: Parts, perform: Perform = perform) -> None:
        self._parts = parts
        self._records = parts.records
        self._perform = perform
        self._owner = process_identity(os.getpid())
        self._jobs: dict[tuple[str, str], list[Job]] = {}  # a version never changes
        self._next: dict[tuple[str, str, str], float] = {}  # nothing is due before
        self._renewing: threading.Thread | None = None
        self._renew_at = 0.0

    def due(self, now: float) -> list[threading.Thread]:
        """Begin all that is due at `now` (seconds since 1970) and return at once; the threads that work on it."""
        self._tell_cut_off()
        threads = []
        for environment in self._records.environments():
            if environment.revision:
                jobs = [*self._jobs_of(environment), *_backup_job(environment)]
                threads += [thread for job in jobs if (thread := self._begin_due(environment, job, now))]
        return threads + self._renew(now)

    def runs(self, environment: str, limit: int = 50) -> list[Run]:
        """Runs of all jobs, the newest first."""
        query = (
            "SELECT environment, job, time, started, ended, result, detail FROM schedule_runs"
            " WHERE environment = ? AND result <> ? ORDER BY time DESC, job LIMIT ?"
        )
        with self._records.database.read() as connection:
            return [Run(*row) for row in connection.execute(query, (environment, _BEGAN, limit))]

    def planned(self, environment: Environment, now: float) -> list[Planned]:
        """What the environment does by the clock, in the order of `cron.yaml`, and its backup last."""
        last: dict[str, Run] = {}
        for run in self.runs(environment.name, _KEPT_RUNS * _MOST_JOBS):
            last.setdefault(run.job, run)
        jobs = [*(self._jobs_of(environment) if environment.revision else ()), *_backup_job(environment)]
        return [
            Planned(one, next_time(parse_expression(one.schedule), zone_named(one.timezone), now), last.get(one.name))
            for one in jobs
        ]

    # --- which

    def _jobs_of(self, environment: Environment) -> list[Job]:
        key = environment.application, environment.version
        if key not in self._jobs:
            self._jobs[key] = decode_jobs(self._records.version(*key).model.get(KEY))
        return self._jobs[key]

    def _begin_due(self, environment: Environment, job: Job, now: float) -> threading.Thread | None:
        """The thread that runs the job, where it is due and nobody else has it."""
        schedule = f"{job.schedule} {job.timezone}"
        key = environment.name, job.name, schedule
        if now < self._next.get(key, 0.0):
            return None
        expression, zone = parse_expression(job.schedule), zone_named(job.timezone)
        last = self._last(key)
        if last is None:
            self._claim(key, int(now), _BEGAN)
            last = int(now)
        first = next_time(expression, zone, last)
        if first is None or first > now:
            self._next[key] = now + 3600 if first is None else first
            return None
        latest = first
        moment: int | None = max(first, int(now) - _LATE - 1)
        while (moment := next_time(expression, zone, moment or 0)) is not None and moment <= now:
            latest = moment
        if now - latest > _LATE:
            self._skip(environment, job, key, latest, f"was missed at {_clock(latest)}, more than an hour ago")
            return None
        if self._is_running(environment.name, job.name):
            self._skip(environment, job, key, latest, f"has not ended since the time before {_clock(latest)}")
            return None
        return self._start(environment, job, key, latest, skipped=latest != first)

    def _last(self, key: tuple[str, str, str]) -> int | None:
        query = "SELECT max(time) FROM schedule_runs WHERE environment = ? AND job = ? AND schedule = ?"
        with self._records.database.read() as connection:
            found: int | None = connection.execute(query, key).fetchone()[0]
            return found

    def _is_running(self, environment: str, job: str) -> bool:
        query = "SELECT 1 FROM schedule_runs WHERE environment = ? AND job = ? AND result = '' LIMIT 1"
        with self._records.database.read() as connection:
            return connection.execute(query, (environment, job)).fetchone() is not None

    # --- who

    def _claim(self, key: tuple[str, str, str], time: int, result: str = "", detail: str = "") -> bool:
        """Write down that this process runs the job at that time (or that nobody does); False where it is taken."""
        now = self._parts.clock()
        row = (*key, time, self._owner, now, now if result else 0, result, detail)
        with self._records.database.write() as connection:
            done = connection.execute("INSERT OR IGNORE INTO schedule_runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            connection.execute(
                "DELETE FROM schedule_runs WHERE environment = ? AND job = ? AND result <> '' AND time < (SELECT time"
                " FROM schedule_runs WHERE environment = ? AND job = ? ORDER BY time DESC LIMIT 1 OFFSET ?)",
                (*key[:2], *key[:2], _KEPT_RUNS),
            )
            return done.rowcount == 1

    def _skip(self, environment: Environment, job: Job, key: tuple[str, str, str], time: int, why: str) -> None:
        if self._claim(key, time, "skipped", why):
            self._records.tell(environment.name, "WARN", f"Job {job.name} {why}: it is left out this time.")

    def _tell_cut_off(self) -> None:
        """End what a process was about that is no more."""
        query = "SELECT environment, job, schedule, time, owner FROM schedule_runs WHERE result = ''"
        with self._records.database.read() as connection:
            rows = connection.execute(query).fetchall()
        for environment, job, schedule, time, owner in rows:
            if not is_living(owner) and self._end((environment, job, schedule), time, "cut off", ""):
                self._parts.target.stop(environment, run_name(job), None, nobody)
                words = f"Job {job} of {_clock(time)} was cut off. It is not run again before its next time."
                self._records.tell(environment, "ERROR", words)

    def _end(self, key: tuple[str, str, str], time: int, result: str, detail: str) -> bool:
        """Write down how it ended; False where that is written."""
        query = (
            "UPDATE schedule_runs SET ended = ?, result = ?, detail = ?"
            " WHERE environment = ? AND job = ? AND schedule = ? AND time = ? AND result = ''"
        )
        with self._records.database.write() as connection:
            return connection.execute(query, (self._parts.clock(), result, detail, *key, time)).rowcount == 1

    # --- doing it

    def _start(
        self, environment: Environment, job: Job, key: tuple[str, str, str], time: int, *, skipped: bool
    ) -> threading.Thread | None:
        if not self._claim(key, time):
            return None
        if skipped:
            words = f"Job {job.name} was missed at earlier times: it runs once, for {_clock(time)}."
            self._records.tell(environment.name, "WARN", words)
        thread = threading.Thread(target=self._run, args=(environment, job, key, time), name=job.name, daemon=True)
        thread.start()
        return thread

    def _run(self, environment: Environment, job: Job, key: tuple[str, str, str], time: int) -> None:
        began = self._parts.clock()
        try:
            detail, result = self._perform(self._parts, environment.name, job, time), "succeeded"
        except WherryError as error:
            detail, result = error.message, "failed"
        except Exception as error:  # noqa: BLE001 (whatever it is, the run must not stay open)
            detail, result = f"this is a bug in Wherry: {type(error).__name__}: {error}", "failed"
        if self._end(key, time, result, detail):
            from wherry.base.clock import duration_text

            took = duration_text(self._parts.clock() - began)
            words = f"Job {job.name} {result} after {took}{': ' if detail else ''}{detail}"
            self._records.tell(environment.name, "INFO" if result == "succeeded" else "ERROR", words.rstrip(".") + ".")

    def _renew(self, now: float) -> list[threading.Thread]:
        """Certificates, once a minute and one round after another."""
        if now < self._renew_at or (self._renewing is not None and self._renewing.is_alive()):
            return []
        self._renew_at = now + _RENEW_SECONDS
        if not any(Settings(one.settings).text("tls") == "acme" for one in self._records.environments()):
            return []
        from wherry.deploy.acme import renew_due

        self._renewing = threading.Thread(target=renew_due, args=(self._parts,), name="certificates", daemon=True)
        self._renewing.start()
        return [self._renewing]


def _backup_job(environment: Environment) -> list[Job]:
    schedule = Settings(environment.settings).text("backup.schedule")
    return [Job(BACKUP, schedule)] if schedule else []


def _clock(seconds: int) -> str:
    import time

    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
