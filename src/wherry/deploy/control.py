"""What keeps environments as they are wanted, turn after turn: `wherry serve` calls `turn` every few seconds.

The first turn brings back what stands still, as after a reboot; the balancer is started again at any. A turn ends what
was cut off, looks at everything once, keeps what was measured, tells changes of health, replaces instances that stay
bad, scales, and begins what is due by the clock. Operations run on threads of their own, one at a time for each
environment, so that no environment waits for another. Of several processes that do this on one installation, one does
it, and another one takes over when that ends.
"""

from __future__ import annotations

import threading

from wherry.base.errors import Conflict, WherryError
from wherry.base.locks import FileLock
from wherry.base.progress import Warned, nobody
from wherry.deploy.ailments import ago
from wherry.deploy.assessing import read_machine
from wherry.deploy.environments import Environments
from wherry.deploy.exclusion import Exclusion
from wherry.deploy.health import judge
from wherry.deploy.patience import Patience
from wherry.deploy.revival import stands_still
from wherry.deploy.sampling import Sampler
from wherry.deploy.scaling import Sample, decide, reach_back, rule_of
from wherry.deploy.schedules import Schedules
from wherry.deploy.series import Series
from wherry.deploy.settings import Settings
from wherry.deploy.traffic import Window
from wherry.deploy.transitions import Transitions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.base.progress import Sink
    from wherry.deploy.health import EnvironmentHealth, Facts, Machine
    from wherry.deploy.model import Environment
    from wherry.deploy.parts import Parts

__all__ = ["Control", "Follower"]

_RETRY_SECONDS = 1.0


class Follower:
    """Takes requests in as the balancer answers them, on a thread of its own, which ends with the process.

    Where the balancer does not run, it is asked again after `retry` seconds.
    """

    def __init__(self, parts: Parts, window: Window, retry: float = _RETRY_SECONDS) -> None:
        self._parts = parts
        self._window = window
        self._retry = retry
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def start(self) -> None:
        """Begin, where it has not begun."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._follow, name="requests", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Take nothing in any more."""
        self._stopping.set()

    def _follow(self) -> None:
        since = self._parts.clock() / 1e9
        while not self._stopping.is_set():
            try:
                for record in self._parts.balancer.access("", since, follow=True):
                    self._window.add(record)
                    since = max(since, record.time + 0.001)
                    if self._stopping.is_set():
                        return
            except WherryError:
                pass
            self._stopping.wait(self._retry)


class Control:
    """Looks after the environments of one installation, as `who`. `progress` hears of what went wrong.

    With a `window`, somebody else sees to what is in it; otherwise the balancer's requests are followed.
    """

    def __init__(
        self,
        parts: Parts,
        who: str = "wherry serve",
        progress: Sink = nobody,
        *,
        window: Window | None = None,
        machine: Callable[[], Machine] = read_machine,
    ) -> None:
        self._parts = parts
        self._records = parts.records
        self._who = who
        self._progress = progress
        self._follower = None if window else Follower(parts, window := Window())
        assert window is not None
        self._sampler = Sampler(parts, window, machine)
        self._series = Series(parts.records.database, parts.clock)
        self._transitions = Transitions(parts.records)
        self._patience = Patience()
        self._exclusion = Exclusion(parts, nobody, wait=False)
        self._schedules = Schedules(parts)
        self._lock = FileLock(f"{parts.layout.locks}/control", wait=False)
        self._holds = False
        self._revived: set[str] = set()
        self._working: dict[str, threading.Thread] = {}
        self.health: dict[str, EnvironmentHealth] = {}

    def turn(self) -> bool:
        """Do all that is to be done now; False where another process does it. Operations go on after it has returned.

        Raises WherryError where nothing can be done, as where the database cannot be used; the next turn tries again.
        """
        if not self._is_mine():
            return False
        if self._follower is not None:
            self._follower.start()
        self._working = {name: thread for name, thread in self._working.items() if thread.is_alive()}
        environments = self._records.environments()
        taken = self._sampler.take(environments)
        self._series.add_all(value for one in taken.values() for value in one.values)
        self.health = {name: judge(one.facts) for name, one in taken.items()}
        self._transitions.forget(set(taken))
        for one in taken.values():
            self._guarded(one.facts.environment.name, lambda one=one: self._look_after(one.facts))  # type: ignore[misc]
        self._guarded("schedules", lambda: self._schedules.due(self._parts.clock() / 1e9))
        return True

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the operations that were begun, each for at most `timeout` seconds; whether all have ended."""
        threads = list(self._working.values())
        for thread in threads:
            thread.join(timeout)
        return not any(thread.is_alive() for thread in threads)

    def close(self) -> None:
        """Let another process take over. Operations that are under way are cut off with this process."""
        if self._follower is not None:
            self._follower.stop()
        self._lock.release()
        self._holds = False

    def _is_mine(self) -> bool:
        if not self._holds:
            try:
                self._lock.acquire()
            except BlockingIOError:
                return False
            self._holds = True
        return True

    def _guarded(self, what: str, call: Callable[[], object]) -> None:
        """What goes wrong with one environment must not keep the others from being looked after."""
        try:
            call()
        except WherryError as error:
            self._progress(Warned(f"{what}: {error.message}"))
        except Exception as error:  # noqa: BLE001 (told, and the next turn tries again)
            self._progress(Warned(f"{what}: this is a bug in Wherry: {type(error).__name__}: {error}"))

    # --- one environment

    def _look_after(self, facts: Facts) -> None:
        environment = facts.environment
        self._transitions.look(environment, self.health[environment.name])
        if environment.name in self._working or facts.working:
            self._patience.forget(environment.name)
        elif self._wants_revival(facts):
            self._begin(environment, lambda doer: doer.revive(environment.name))
        elif facts.operation is not None:
            self._begin(environment, lambda doer: doer.recover(environment.name))
        elif environment.revision and environment.status == "Ready" and not facts.trouble:
            self._mend(facts) or self._scale(facts)

    def _wants_revival(self, facts: Facts) -> bool:
        """At first whether anything of it stands still, later only whether the balancer does: the rest is mended."""
        environment = facts.environment
        is_known = environment.name in self._revived
        self._revived.add(environment.name)
        if not (environment.revision or facts.operation):
            return False
        return not facts.balancer if is_known else stands_still(self._parts, environment.name)

    def _mend(self, facts: Facts) -> bool:
        """Replace what has been bad for longer than the grace; whether that was begun."""
        environment = facts.environment
        grace = Settings(environment.settings).number("health.grace")
        dead = self._patience.look(facts, grace)
        if dead is None:
            return False

        def mend(doer: Environments) -> None:
            try:
                for name, why in dead.items():
                    self._tell(environment, "WARN", f"{name} is replaced: {why}, for {ago(grace)} or more.", name)
                is_done = doer.mend(environment.name, dead).operation is not None
            except Conflict:
                return
            except WherryError:
                self._patience.failed(environment.name, self._parts.clock() / 1e9, grace)
                raise
            if is_done:
                self._patience.succeeded(environment.name)
            else:
                self._patience.failed(environment.name, self._parts.clock() / 1e9, grace)

        self._begin(environment, mend)
        return True

    def _scale(self, facts: Facts) -> bool:
        """Have more instances or fewer, where that is due; whether that was begun."""
        environment = facts.environment
        rule = rule_of(Settings(environment.settings))
        if rule is None:
            return False
        points = self._series.read(environment.name, f"scale.{rule.measure}", since=facts.now - reach_back(rule))
        if not points:
            return False
        rule = rule._replace(period=max(rule.period, 2.0 * points[0].width))  # so that each has a measurement
        samples = [Sample(one.time, one.average) for one in points]
        changed = self._records.journal.last_end(environment.name, "scale") / 1e9
        decision = decide(rule, environment.size, samples, facts.now, changed)
        if decision is None:
            return False

        def scale(doer: Environments) -> None:
            words = f"Scaling from {environment.size} to {decision.size}: {decision.reason}."
            self._tell(environment, "INFO", words)
            doer.scale(environment.name, decision.size)

        self._begin(environment, scale)
        return True

    # --- threads

    def _begin(self, environment: Environment, call: Callable[[Environments], object]) -> None:
        """Carry an operation out on a thread, unless one of this process is under way there."""
        name = environment.name
        self._patience.forget(name)

        def work() -> None:
            def operate() -> None:
                try:
                    call(Environments(self._parts, self._who, wait=False))
                except Conflict:
                    pass  # somebody else was faster; the next turn looks again

            self._guarded(name, operate)

        thread = threading.Thread(target=work, name=f"environment-{name}", daemon=True)
        self._working[name] = thread
        thread.start()

    def _tell(self, environment: Environment, severity: str, words: str, instance: str = "") -> None:
        self._records.tell(environment.name, severity, words, deployment=environment.revision, instance=instance)
