"""The steps of operations, as values. Each does one thing, and doing it again where it was cut off ends it.

The exceptions are `RunRelease` and `RunHooks`: what they run is the user's, and nobody knows whether it may run twice.
"""

from __future__ import annotations

from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = [
    "ONCE",
    "Check",
    "EnsureAccessories",
    "EnsureBalancer",
    "Enter",
    "Evaluate",
    "Exchange",
    "Forget",
    "Leave",
    "Restart",
    "RunHooks",
    "RunRelease",
    "Settle",
    "Stage",
    "Start",
    "Step",
    "Stop",
    "Terminate",
    "decode_step",
    "encode_step",
    "sentences",
]


class EnsureBalancer(NamedTuple):
    """Have the load balancer run."""

    def describe(self) -> str:
        """As a sentence without its full stop."""
        return "Have the load balancer run"


class EnsureAccessories(NamedTuple):
    """Have the stateful services of a revision run; changed ones are replaced only with `replace`, all with `anew`."""

    revision: int
    replace: bool = False
    anew: bool = False

    def describe(self) -> str:
        """As a sentence without its full stop."""
        if self.anew:
            return "Make the accessories anew, and keep their volumes"
        return "Have the accessories run" + (", replacing those that changed" if self.replace else "")


class RunHooks(NamedTuple):
    """Run the version's hooks of a phase (see `hooks.PHASES`) on this machine, in the order of their names."""

    phase: str
    revision: int
    version: str

    def describe(self) -> str:
        """As a sentence without its full stop."""
        return f"Run the {self.phase} hooks of version {self.version}"


class RunRelease(NamedTuple):
    """Run the release command of a version, once."""

    revision: int
    version: str

    def describe(self) -> str:
        """As a sentence without its full stop."""
        return f"Run the release step of version {self.version}"


class Start(NamedTuple):
    """Bring up an instance of a revision; it gets no requests yet."""

    instance: str
    revision: int
    version: str

    def describe(self) -> str:
        """As a sentence without its full stop."""
        return f"Start instance {self.instance} with version {self.version}"


class Check(NamedTuple):
    """Wait until an instance answers as configured."""

    instance: str

    def describe(self) -> str:
        """As a sentence without its full stop."""
        return f"Wait until {self.instance} is healthy"


class Enter(NamedTuple):
    """Give instances these weights in the balancer, all at once; whoever drains serves again."""

    weights: tuple[tuple[str, int], ...]

    def describe(self) -> str:
        """As a sentence without its full stop."""
        if len({weight for _, weight in self.weights}) == 1 and self.weights[0][1] == 100:
            return f"Let {_and(name for name, _ in self.weights)} get requests"
        return "Share the requests: " + ", ".join(f"{name} with weight {weight}" for name, weight in self.weights)


class Leave(NamedTuple):
    """Take instances out of the balancer: nothing new, and what is under way ends, up to the limit."""

    instances: tuple[str, ...]

    def describe(self) -> str:
        """As a sentence without its full stop."""
        return f"Take {_and(self.instances)} out of the load balancer, and let requests under way end"


class Stop(NamedTuple):
    """End an instance and take it away; its logs stay."""

    instance: str

    def describe(self) -> str:
        """As a sentence without its full stop."""
        return f"Stop {self.instance}"


class Restart(NamedTuple):
    """Restart an instance's containers in place."""

    instance: str

    def describe(self) -> str:
        """As a sentence without its full stop."""
        return f"Restart {self.instance}"


class Evaluate(NamedTuple):
    """Watch the instances of a revision for a time (seconds), and fail where they do badly."""

    revision: int
    version: str
    seconds: float

    def describe(self) -> str:
        """As a sentence without its full stop."""
        return f"Watch version {self.version} for {self.seconds:g} seconds"


class Settle(NamedTuple):
    """Write down that the environment now is `size` instances of a revision."""

    revision: int
    version: str
    size: int

    def describe(self) -> str:
        """As a sentence without its full stop."""
        what = f"{self.size} instance{'' if self.size == 1 else 's'}"
        return f"Make {what} of version {self.version} what the environment is" if self.revision else "Settle"


class Exchange(NamedTuple):
    """Give environments these hosts, seen whole or not at all."""

    hosts: tuple[tuple[str, str], ...]

    def describe(self) -> str:
        """As a sentence without its full stop."""
        return "Give " + " and ".join(f"{name} the host {host}" for name, host in self.hosts) + ", in one moment"


class Forget(NamedTuple):
    """Take the environment out of the balancer."""

    def describe(self) -> str:
        """As a sentence without its full stop."""
        return "Take the environment's routes away"


class Terminate(NamedTuple):
    """Take away everything that the environment has on its target; its volumes only where `volumes`."""

    volumes: bool = False

    def describe(self) -> str:
        """As a sentence without its full stop."""
        return f"Remove the accessories and networks, and {'' if self.volumes else 'keep '}the volumes"


if TYPE_CHECKING:
    Step = (
        EnsureBalancer
        | EnsureAccessories
        | RunHooks
        | RunRelease
        | Start
        | Check
        | Enter
        | Leave
        | Stop
        | Restart
        | Evaluate
        | Settle
        | Exchange
        | Forget
        | Terminate
    )
    Stage = tuple[Step, ...]
else:
    Step = Stage = tuple

ONCE = (RunHooks, RunRelease)
_CLASSES: dict[str, Any] = {
    one.__name__: one
    for one in (
        *(EnsureBalancer, EnsureAccessories, RunHooks, RunRelease, Start, Check, Enter, Leave, Stop, Restart),
        *(Evaluate, Settle, Exchange, Forget, Terminate),
    )
}
_PAIRS = ("weights", "hosts")


def encode_step(step: Step) -> dict[str, Any]:
    """The step as plain values."""
    return {"step": type(step).__name__, **step._asdict()}


def decode_step(values: dict[str, Any]) -> Step:
    """The step again."""
    fields = {
        name: tuple(tuple(one) if name in _PAIRS else one for one in value) if isinstance(value, list) else value
        for name, value in values.items()
        if name != "step"
    }
    step: Step = _CLASSES[values["step"]](**fields)
    return step


def sentences(stages: Sequence[Stage]) -> list[str]:
    """What is going to be done, a numbered line for each stage."""
    lines = []
    for number, stage in enumerate(stages, 1):
        words = "; ".join(step.describe() for step in stage)
        lines.append(f"{number}. {words}.")
    return lines


def _and(names: Any) -> str:
    listed = list(names)
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}" if listed else "nothing"
