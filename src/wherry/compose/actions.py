"""What a plan consists of: steps that each do one thing to one container, network or volume, and their order."""

from __future__ import annotations

from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Draft", "Plan", "Step", "describe"]

_WORDS = {
    "create": "Create",
    "start": "Start",
    "stop": "Stop",
    "remove": "Remove",
    "rename": "Rename",
    "wait": "Wait",
    "create-network": "Create",
    "remove-network": "Remove",
    "create-volume": "Create",
    "remove-volume": "Remove",
    "remove-image": "Remove",
    "restart": "Restart",
}


class Step(NamedTuple):
    """One thing to do when the steps `after` are done.

    `verb` is create, start, stop, restart, remove, rename or wait (containers), create-network, remove-network,
    create-volume, remove-volume or remove-image. A container is known by `container`, its identifier, or was made by
    the step `made_by`. `inherits` names the container whose anonymous volumes a new one takes over.
    """

    number: int
    verb: str
    name: str
    after: tuple[int, ...] = ()
    why: str = ""
    service: str = ""
    replica: int = 0
    container: str = ""
    made_by: int = 0
    inherits: str = ""
    condition: str = ""  # of wait
    required: bool = True  # whether a wait in vain stops everything
    volumes: bool = False  # whether remove takes anonymous volumes along

    @property
    def subject(self) -> str:
        """What it is about, as Compose names it in its progress."""
        kind = self.verb.partition("-")[2] or "container"
        return f"{kind.capitalize()} {self.name}"


class Plan(NamedTuple):
    """Steps in an order in which they could be done one by one; containers that are as wanted; warnings."""

    steps: tuple[Step, ...] = ()
    unchanged: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Draft:
    """A plan in the making: steps may be told later that they come after others."""

    def __init__(self) -> None:
        self._steps: dict[int, Step] = {}
        self._after: dict[int, set[int]] = {}
        self.unchanged: list[str] = []
        self.warnings: list[str] = []

    def add(self, step: Step, after: Iterable[int] = ()) -> int:
        """The number of the new step."""
        number = len(self._steps) + 1
        self._steps[number] = step
        self._after[number] = {one for one in after if one}
        return number

    def delay(self, step: int, after: Iterable[int]) -> None:
        """Let `step` also come after these."""
        self._after[step] |= {one for one in after if one and one != step}

    def finish(self) -> Plan:
        """The plan, in order and numbered by it."""
        order: list[int] = []

        def visit(number: int) -> None:
            if number in order:
                return
            for other in sorted(self._after[number]):
                visit(other)
            order.append(number)

        for number in self._steps:
            visit(number)
        new = {old: position for position, old in enumerate(order, 1)}
        steps = [
            self._steps[old]._replace(
                number=new[old],
                after=tuple(sorted(new[other] for other in self._after[old])),
                made_by=new.get(self._steps[old].made_by, 0),
            )
            for old in order
        ]
        return Plan(tuple(steps), tuple(self.unchanged), tuple(self.warnings))


def describe(plan: Plan) -> list[str]:
    """The plan in lines for people: what, and why."""
    lines = []
    for step in plan.steps:
        what = f"{_WORDS[step.verb]} until {step.condition}" if step.verb == "wait" else _WORDS[step.verb]
        lines.append(f"{step.subject}  {what}" + (f" ({step.why})" if step.why else ""))
    return lines
