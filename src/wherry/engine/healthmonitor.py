"""The one process that runs the health checks of an installation; it is there while there are containers to check.

It waits for the kernel alone: for the database's journal to grow (a container started, ended, was paused), for the
output and the end of a check, and for the moment when the next one is due. It knows a container by its row and by
two files of its bundle that were written when the container was started (`write_check`), so it needs neither
images nor the engine.
"""

from __future__ import annotations

import json
import os
import select
import time

from wherry.base.errors import Unavailable
from wherry.base.files import atomic_write, read_text, remove_if_exists
from wherry.base.locks import FileLock
from wherry.base.processes import process_identity
from wherry.engine.background import monitor_note
from wherry.engine.health import OUTPUT_BYTES, HealthCheck, HealthResult, judge, next_check, show_output, timed_out
from wherry.runtime.probing import Probe, end_probe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from wherry.base.paths import Layout
    from wherry.engine.health import Health
    from wherry.engine.healthrecords import CheckedRun, HealthRecords
    from wherry.store.database import Database

__all__ = ["HealthMonitor", "write_check"]

_MILLISECOND = 1_000_000
_KILL = 5_000_000_000  # nanoseconds that a killed check may take to end until the runtime is killed too


def write_check(bundle: str, runtime: Sequence[str], check: HealthCheck, process: dict[str, Any]) -> None:
    """Put what the monitor needs into the bundle; `runtime` is the beginning of the OCI runtime's command line."""
    atomic_write(f"{bundle}/health-process.json", json.dumps(process).encode(), mode=0o600, durable=False)
    known = {"runtime": list(runtime), "check": check._asdict()}
    atomic_write(f"{bundle}/health.json", json.dumps(known).encode(), durable=False)


class _Checked:
    """A running container: when its next check is due, or the check that is under way."""

    def __init__(self, run: CheckedRun, bundle: str, runtime: list[str], check: HealthCheck, due: int) -> None:
        self.run = run
        self.bundle = bundle
        self.check = check
        self.health: Health = run.health
        self.due = due  # by the timer: of the next check, or the end of this one's time
        self.began = 0  # by the clock
        self.probe: Probe | None = None
        self.is_late = False
        self._runtime = runtime

    def begin(self, now: int, clock: int) -> Probe:
        """Raises OSError where no process can be made, or the container is gone."""
        self.began, self.is_late, self.due = clock, False, now + self.check.timeout
        process = f"{self.bundle}/health-process.json"
        self.probe = Probe(self._runtime, self.bundle, self.run.container_id, process, OUTPUT_BYTES)
        return self.probe

    def result(self, probe: Probe, ended: int) -> HealthResult:
        """What came of the check that has ended."""
        code, words = probe.finish()
        output = show_output(probe.output, cut=probe.is_cut)
        if self.is_late:
            return HealthResult(self.began, ended, -1, timed_out(self.check, output))
        if code is None:
            return HealthResult(self.began, ended, -1, f"OCI runtime exec failed: {words}: unknown")
        return HealthResult(self.began, ended, code, output)


class HealthMonitor:
    """`clock` gives nanoseconds since the epoch, `timer` nanoseconds that never jump."""

    def __init__(
        self,
        layout: Layout,
        database: Database,
        records: HealthRecords,
        clock: Callable[[], int] = time.time_ns,
        timer: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._layout = layout
        self._database = database
        self._records = records
        self._clock = clock
        self._timer = timer
        self._poll = select.poll()
        self._checked: dict[tuple[str, int], _Checked] = {}
        self._probes: dict[int, _Checked] = {}  # by descriptor, also those of containers that are checked no more
        self._changes = -1
        self._is_new = True

    def run(self) -> None:
        """Return when nothing is left to check, or at once where another process is at it."""
        try:
            lock = FileLock(f"{self._layout.locks}/health", wait=False).acquire()
        except BlockingIOError:
            return
        with lock:
            atomic_write(monitor_note(self._layout), process_identity(os.getpid()).encode(), durable=False)
            self._changes = self._database.watch()
            self._poll.register(self._changes, select.POLLIN)
            while self._look(lock) or self._probes:
                self._is_new = False
                self._wait()
            os.close(self._changes)

    def _look(self, lock: FileLock) -> bool:
        """See which containers there are; with none, let go of the lock and say so.

        Both in the writers' turn: whoever starts a container writes its row first and then looks whether a monitor
        lives, so it is either seen here or finds none.
        """
        with self._database.write():
            runs = self._records.runs()
            if not runs and not self._probes:
                remove_if_exists(monitor_note(self._layout))
                lock.release()
                return False
        running = {run.key: run for run in runs if run.status == "running"}
        for key in self._checked.keys() - running.keys():
            self._drop(self._checked.pop(key))
        busy = {checked.run.container_id for checked in self._probes.values()}
        for key in running.keys() - self._checked.keys():
            if running[key].container_id not in busy:  # with a check that is being killed: when that has ended
                self._adopt(running[key])
        return True

    def _adopt(self, run: CheckedRun) -> None:
        """A new monitor goes on where the one before it was killed; else the first interval begins."""
        bundle = self._layout.container_run(run.container_id)
        try:
            known = json.loads(read_text(f"{bundle}/health.json"))
        except ValueError:
            return  # the container is being taken apart
        end_probe(bundle)
        fields = {**known["check"], "command": tuple(known["check"]["command"])}
        check = HealthCheck(**fields)
        now, clock = self._timer(), self._clock()
        since = max(self._records.last_end(run), run.started) if self._is_new else clock
        due = since + next_check(run.health, check, run.started, clock)
        self._checked[run.key] = _Checked(run, bundle, known["runtime"], check, now + max(0, due - clock))

    def _drop(self, checked: _Checked) -> None:
        """The container ended or was paused: what its check says is of no interest any more."""
        if checked.probe is not None:
            checked.probe.kill()
            checked.is_late, checked.due = True, self._timer() + _KILL

    def _wait(self) -> None:
        """Block until something is to be done, and do it."""
        waiting = [*self._checked.values(), *self._probes.values()]
        soonest = min((one.due for one in waiting), default=None)
        left = None if soonest is None else max(0, -(-(soonest - self._timer()) // _MILLISECOND))
        for fd, _ in self._poll.poll(left):
            if fd == self._changes:
                os.read(fd, 65536)
            elif fd in self._probes:
                self._hear(fd)
        now = self._timer()
        for checked in {id(one): one for one in waiting}.values():
            if checked.due <= now:
                self._on_time(checked, now)

    def _on_time(self, checked: _Checked, now: int) -> None:
        if checked.probe is not None:
            checked.probe.kill(hard=checked.is_late)
            checked.is_late = True
            checked.due = now + _KILL
        elif self._is_current(checked):
            try:
                probe = checked.begin(now, self._clock())
            except OSError as error:
                self._judge(checked, HealthResult(checked.began, self._clock(), -1, str(error)))
                return
            for fd in (probe.output_fd, probe.end_fd):
                self._probes[fd] = checked
                self._poll.register(fd, select.POLLIN)

    def _hear(self, fd: int) -> None:
        checked = self._probes[fd]
        probe = checked.probe
        assert probe is not None, "a descriptor is watched as long as its check is under way"
        if fd == probe.output_fd:
            if not probe.read():
                self._forget(fd)
            return
        self._forget(probe.output_fd)
        self._forget(fd)
        result = checked.result(probe, self._clock())
        checked.probe = None
        if self._is_current(checked):
            self._judge(checked, result)

    def _is_current(self, checked: _Checked) -> bool:
        return self._checked.get(checked.run.key) is checked

    def _forget(self, fd: int) -> None:
        if self._probes.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def _judge(self, checked: _Checked, result: HealthResult) -> None:
        run = checked.run
        checked.health = judge(checked.health, checked.check, result, run.started)
        checked.due = self._timer() + next_check(checked.health, checked.check, run.started, self._clock())
        try:
            self._records.record(run, checked.health, result)
        except Unavailable:
            return  # a full disk: what the container's health has become is said with the next result
