"""Which instances an operation is at work on, from its steps; in Beanstalk's words. Pure."""

from __future__ import annotations

from wherry.base.values import NamedTuple
from wherry.deploy.ailments import ago
from wherry.deploy.steps import Check, Enter, Leave, Restart, Start, Stop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from wherry.deploy.journal import Operation, StepRecord
    from wherry.deploy.steps import Step

__all__ = ["Command", "commands_of", "running_sentence"]

_NOUNS = {
    "create": "Launch",
    "deploy": "Application update",
    "configuration": "Configuration update",
    "rollback": "Rollback",
    "scale": "Change of size",
    "mend": "Replacement of instances",
    "restart": "Restart",
    "rebuild": "Rebuild",
    "swap": "Swap of hosts",
    "terminate": "Termination",
    "restore": "Restoration",
}
_ENTERING, _LEAVING = (Start, Check, Enter), (Leave, Stop)
_OVER = ("done", "dropped", "failed")


class Command(NamedTuple):
    """What an operation does with an instance, and since how many seconds."""

    sentence: str
    seconds: float


def commands_of(steps: Sequence[StepRecord], now: float) -> dict[str, Command]:
    """By instance, for those of whose steps some have begun and some have not ended. `now` is seconds since 1970."""
    mine: dict[str, list[StepRecord]] = {}
    for one in steps:
        for name in _instances(one.step):
            mine.setdefault(name, []).append(one)
    return {name: _command(records, now) for name, found in mine.items() if (records := _under_way(found))}


def _under_way(records: Sequence[StepRecord]) -> list[StepRecord]:
    """The steps from the last way in, restart or way out that has begun and not ended; none for nothing."""
    groups: dict[str, list[StepRecord]] = {}
    for one in records:
        groups.setdefault(_way(one.step), []).append(one)
    for found in reversed(groups.values()):
        if any(one.started for one in found) and any(one.state not in _OVER for one in found):
            return found
    return []


def _way(step: Step) -> str:
    return "in" if isinstance(step, _ENTERING) else "out" if isinstance(step, _LEAVING) else "restart"


def _command(records: Sequence[StepRecord], now: float) -> Command:
    seconds = now - min(one.started for one in records if one.started) / 1e9
    way = _way(records[0].step)
    what = {"in": "initialization", "out": "removal", "restart": "application restart"}[way]
    return Command(f"Performing {what} (running for {ago(seconds)}).", max(0.0, seconds))


def _instances(step: Step) -> tuple[str, ...]:
    if isinstance(step, Start | Check | Stop | Restart):
        return (step.instance,)
    if isinstance(step, Leave):
        return step.instances
    return tuple(name for name, _ in step.weights) if isinstance(step, Enter) else ()


def running_sentence(operation: Operation, steps: Sequence[StepRecord], seconds: float) -> str:
    """`Application update in progress (running for 19 seconds). Now: Start instance i-3 with version v2.`"""
    noun = _NOUNS.get(operation.kind, operation.kind.capitalize())
    undoing = " is taken back" if operation.state == "undoing" else " in progress"
    running = [one.step.describe() for one in steps if one.state == "running"]
    now = f" Now: {'; '.join(running[:2])}{' and more' if len(running) > 2 else ''}." if running else ""
    return f"{noun}{undoing} (running for {ago(seconds)}).{now}"
