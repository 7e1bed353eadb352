"""Carrying operations out: their steps, stage by stage, and the way back where one fails or somebody asks for its end.

Whoever calls holds the environment's lock. What is done is in the journal before and after each step. An operation that
was cut off is known by having not ended while nobody holds the lock; carrying it out again ends it or takes it back.
"""

from __future__ import annotations

from wherry.base.errors import WherryError
from wherry.base.progress import Finished, Started, nobody, serialized
from wherry.deploy.membership import Membership
from wherry.deploy.retreat import cannot_be_aborted, way_back
from wherry.deploy.stepping import Stepping
from wherry.deploy.steps import ONCE, RunRelease
from wherry.deploy.target import RELEASE
from wherry.deploy.telling import began, ended, turned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from wherry.base.progress import Sink
    from wherry.deploy.journal import Operation, StepRecord
    from wherry.deploy.parts import Parts

__all__ = ["Operations"]

_AT_ONCE = 8  # steps of one stage
_LEFT = ("waiting", "running")


class _Aborted(WherryError):
    """Somebody asked for the operation's end."""


class Operations:
    """Carries out the operations of one installation. `progress` hears of steps, as tasks named OPERATION.POSITION."""

    def __init__(self, parts: Parts, progress: Sink = nobody) -> None:
        self._parts = parts
        self._journal = parts.records.journal
        self._progress = serialized(progress)
        self.membership = Membership(parts)

    def begin(self, operation: Operation) -> Operation:
        """Carry out one that was just written down; see `carry_out`."""
        self._announce(operation, began(operation))
        return self.carry_out(operation)

    def revive(self, environment: str) -> list[str]:
        """Bring back what stands still, and say so; see `revival.revive`. The sentences."""
        from wherry.deploy.revival import revive

        records = self._parts.records
        deployment = records.environment(environment).revision
        told = revive(self._parts, self.membership, environment)
        for severity, words, instance in told:
            records.tell(environment, severity, words, deployment=deployment, instance=instance)
        return [words for _, words, _ in told]

    def resume(self, operation: Operation) -> Operation:
        """End one that was cut off, or take it back; see `carry_out`."""
        self._announce(operation, ("WARN", f"The {operation.kind} that was cut off is taken up again."))
        steps = self._journal.steps(operation)
        self._end_release(operation, steps)
        why = operation.cause if operation.state == "undoing" else _why_not_on(operation, steps)
        if not why:
            return self.carry_out(operation)
        turned_back = self._turn(operation, why)
        return self.carry_out(turned_back) if turned_back else self._end(operation, "broken", why)

    def _end_release(self, operation: Operation, steps: Sequence[StepRecord]) -> None:
        """Whoever ran the release step is gone, but its container may be at it: nothing else goes on beside it."""
        for step in (one.step for one in steps if one.state == "running"):
            if isinstance(step, RunRelease):
                self._parts.target.stop(operation.environment, RELEASE, None, nobody)
                words = f"The release step of version {step.version} was cut off, and ended where it still ran"
                self._announce(operation, ("WARN", f"{words}: how far it had come is not known."))

    def carry_out(self, operation: Operation) -> Operation:
        """Do what is left of it. Its state says what it came to: done, undone (taken back) or broken, with a cause."""
        while True:
            try:
                self._do_what_is_left(operation)
            except WherryError as error:
                why = error.message
            except Exception as error:  # noqa: BLE001 (whatever it is, the environment must not stay half-way)
                kept = self._keep_traceback(operation)
                why = f"this is a bug in Wherry: {type(error).__name__}: {error} (the details are in {kept})"
            else:
                return self._end(operation, "undone" if operation.state == "undoing" else "done", operation.cause)
            if operation.state == "undoing":
                return self._end(operation, "broken", f"{operation.cause}; and it could not be taken back: {why}")
            turned_back = self._turn(operation, why)
            if turned_back is None:
                return self._end(operation, "broken", why)
            operation = turned_back

    def _keep_traceback(self, operation: Operation) -> str:
        """Where the traceback that is being handled is kept."""
        import traceback

        from wherry.base.files import atomic_write, ensure_directory

        directory = ensure_directory(f"{self._parts.layout.root}/environments/{operation.environment}", 0o700)
        path = f"{directory}/bug-{operation.id}.txt"
        atomic_write(path, traceback.format_exc().encode(), mode=0o600)
        return path

    # --- steps

    def _do_what_is_left(self, operation: Operation) -> None:
        left = [one for one in self._journal.steps(operation) if one.state in _LEFT]
        for stage in dict.fromkeys(one.stage for one in left):
            self._look(operation)
            self._do_stage(operation, [one for one in left if one.stage == stage])

    def _do_stage(self, operation: Operation, steps: Sequence[StepRecord]) -> None:
        """All of them, at once; where some fail, the first one's error is raised when all have ended."""
        if len(steps) == 1:
            self._do(operation, steps[0])
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(len(steps), _AT_ONCE)) as pool:
            futures = [pool.submit(self._do, operation, one) for one in steps]
        for future in futures:
            future.result()

    def _do(self, operation: Operation, record: StepRecord) -> None:
        task = f"{operation.id}.{record.position}"
        stepping = Stepping(
            self._parts,
            self.membership,
            operation,
            lambda: self._look(operation),
            lambda severity, words, instance="": self._announce(operation, (severity, words), instance),
            self._progress,
        )
        self._progress(Started(task, record.step.describe()))
        self._journal.mark(operation, record.position, "running")
        try:
            stepping.do(record.step, task)
        except Exception as error:
            why = error.message if isinstance(error, WherryError) else repr(error)
            self._journal.mark(operation, record.position, "failed", why)
            self._progress(Finished(task, error=why))
            raise
        self._journal.mark(operation, record.position, "done")
        self._progress(Finished(task))

    def _look(self, operation: Operation) -> None:
        """Raises where somebody asked for the operation's end, and it can be ended."""
        if operation.state == "undoing" or cannot_be_aborted(operation):
            return
        who = self._journal.aborted_by(operation)
        if who:
            raise _Aborted(f"{who} aborted it")

    # --- ends

    def _turn(self, operation: Operation, why: str) -> Operation | None:
        """From now on it is taken back; None where there is no way back, or none is wanted."""
        first = self._parts.records.last_number(operation.environment) + 1
        members = self.membership.members(operation.environment)
        plan = way_back(operation, members, first, aborted=bool(self._journal.aborted_by(operation)))
        if plan is None:
            return None
        records = self._parts.records
        with records.database.write():
            records.number_instances(operation.environment, plan.started)
            records.change_environment(operation.environment, status="Aborting")
            operation = self._journal.turn(operation, why, plan.stages)
        self._announce(operation, turned(operation))
        return operation

    def _end(self, operation: Operation, state: str, cause: str) -> Operation:
        """Write down how it ended, all of it at once, and say so."""
        records, name = self._parts.records, operation.environment
        aborted = bool(self._journal.aborted_by(operation))
        with records.database.write():
            self._journal.end(operation, state, cause)
            if operation.wish.deployment:
                result = {"done": "succeeded", "undone": "aborted" if aborted else "failed"}.get(state, "broken")
                records.history.end(name, operation.wish.deployment, result, cause)
            if operation.kind == "terminate" and state == "done":
                records.change_environment(name, status="Terminated", terminated=self._parts.clock())
            else:
                records.change_environment(name, status="Ready")
            operation = self._journal.operation(operation.id)
        self._announce(operation, ended(records, operation))
        return operation

    def _announce(self, operation: Operation, what: tuple[str, str], instance: str = "") -> None:
        wish, tell = operation.wish, self._parts.records.tell
        tell(operation.environment, *what, version=wish.version, deployment=wish.deployment, instance=instance)


def _why_not_on(operation: Operation, steps: Sequence[StepRecord]) -> str:
    """Why an operation that was cut off is taken back rather than ended; empty where it can go on."""
    if operation.abort_by and not cannot_be_aborted(operation):
        return f"{operation.abort_by} aborted it"
    failed = next((one.error for one in steps if one.state == "failed"), "")
    if failed:
        return failed
    if any(one.state == "running" and isinstance(one.step, ONCE) for one in steps):
        return "it was cut off while a command ran of which nobody knows whether it may run twice"
    return ""
