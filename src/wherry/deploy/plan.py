"""Plans: from what is wanted and what there is to stages of steps. Pure; `operations.py` carries them out.

What is observed decides, not what was planned before: the same functions plan an operation from rest, the end of one
that was cut off, and the way back from any point of it. Steps of one stage may be done at once; a stage begins when the
one before it has ended.
"""

from __future__ import annotations

from wherry.base.values import NamedTuple
from wherry.deploy.routing import HEAVIEST
from wherry.deploy.steps import (
    Check,
    EnsureAccessories,
    EnsureBalancer,
    Enter,
    Evaluate,
    Exchange,
    Forget,
    Leave,
    Restart,
    RunHooks,
    RunRelease,
    Settle,
    Start,
    Stop,
    Terminate,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from wherry.deploy.steps import Stage
    from wherry.deploy.wish import Wish

__all__ = [
    "FULL",
    "Member",
    "Plan",
    "converge",
    "plan_deployment",
    "plan_rebuild",
    "plan_restart",
    "plan_swap",
    "plan_termination",
    "split_weights",
]

FULL = 100


class Member(NamedTuple):
    """An instance as it is found. `weight` is 0 where the balancer does not have it."""

    name: str
    revision: int
    weight: int = 0
    draining: bool = False
    running: bool = True
    healthy: bool = True

    @property
    def serves(self) -> bool:
        """Whether it gets new requests."""
        return self.weight > 0 and not self.draining

    @property
    def usable(self) -> bool:
        """Whether it could."""
        return self.running and self.healthy

    @property
    def number(self) -> int:
        """The number in its name."""
        return int(self.name.removeprefix("i-"))


class Plan(NamedTuple):
    """Stages, and how many instances with new names they start."""

    stages: tuple[Stage, ...]
    started: int = 0


class _Draft:
    """A plan in the making. New instances are named from `first` on."""

    def __init__(self, wish: Wish, first: int) -> None:
        self._wish = wish
        self._first = first
        self._started = 0
        self._stages: list[Stage] = []

    def add(self, *steps: object) -> None:
        """A stage, unless it is empty."""
        if steps:
            self._stages.append(steps)  # type: ignore[arg-type]

    def start(self, count: int) -> list[str]:
        """Start instances and wait until they are healthy; their names."""
        names = [f"i-{self._first + self._started + index}" for index in range(count)]
        self._started += count
        self.add(*(Start(name, self._wish.revision, self._wish.version) for name in names))
        self.add(*map(Check, names))
        return names

    def enter(self, names: Sequence[str]) -> None:
        """Let instances get requests."""
        if names:
            self.add(Enter(tuple((name, FULL) for name in names)))

    def end(self, members: Sequence[Member]) -> None:
        """Take instances out of the balancer, where they are in it, and away."""
        leaving = tuple(one.name for one in members if one.weight)
        if leaving:
            self.add(Leave(leaving))
        self.add(*(Stop(one.name) for one in members))

    def settle(self) -> Plan:
        """The plan, which ends with what the environment then is."""
        self.add(Settle(self._wish.revision, self._wish.version, self._wish.size))
        return self.plan()

    def plan(self) -> Plan:
        """The plan as it is."""
        return Plan(tuple(self._stages), self._started)


# --- deployments


def plan_deployment(wish: Wish, members: Sequence[Member], first: int) -> Plan:
    """Replace whatever there is by `wish.size` instances of `wish.revision`, as the policy says.

    Capacity while it is under way: all-at-once has none for a time, rolling lacks one batch, the others have all.
    """
    draft = _Draft(wish, first)
    _prepare(draft, wish)
    mine = [one for one in members if one.revision == wish.revision and one.usable]
    others = sorted((one for one in members if one not in mine), key=lambda one: (one.usable, one.number))
    missing = max(0, wish.size - len(mine))
    if not any(one.usable for one in others):
        _launch(draft, mine, others, missing)
    else:
        _POLICIES[wish.policy](draft, wish, mine, others, missing)
    if wish.postdeploy:
        draft.add(RunHooks(f"{wish.hooks}postdeploy", wish.revision, wish.version))
    return draft.settle()


def _prepare(draft: _Draft, wish: Wish) -> None:
    """The release comes after accessories are replaced: a migration may need what their new definition brings."""
    draft.add(EnsureBalancer())
    if wish.accessories:
        draft.add(EnsureAccessories(wish.revision, wish.replace_accessories))
    if wish.predeploy:
        draft.add(RunHooks(f"{wish.hooks}predeploy", wish.revision, wish.version))
    if wish.release:
        draft.add(RunRelease(wish.revision, wish.version))


def _launch(draft: _Draft, mine: list[Member], others: list[Member], missing: int) -> None:
    """Nothing serves that could be spared."""
    draft.end(others)
    _enter_idle(draft, mine)
    draft.enter(draft.start(missing))


def _enter_idle(draft: _Draft, mine: list[Member]) -> None:
    idle = [one.name for one in mine if not one.serves]
    draft.add(*map(Check, idle))
    draft.enter(idle)


def _all_at_once(draft: _Draft, wish: Wish, mine: list[Member], others: list[Member], missing: int) -> None:
    del wish
    draft.end(others)
    _enter_idle(draft, mine)
    draft.enter(draft.start(missing))


def _rolling(draft: _Draft, wish: Wish, mine: list[Member], others: list[Member], missing: int) -> None:
    _enter_idle(draft, mine)
    while others or missing:
        if others:
            draft.end(others[: wish.batch])
            others = others[wish.batch :]
        batch = missing if not others and wish.batch > missing else min(wish.batch, missing)
        draft.enter(draft.start(batch))
        missing -= batch


def _additional(draft: _Draft, wish: Wish, mine: list[Member], others: list[Member], missing: int) -> None:
    """One batch more than wanted comes first, so that each batch that leaves has been replaced already."""
    _enter_idle(draft, mine)
    extra = min(wish.batch, missing)
    draft.enter(draft.start(extra))
    _rolling(draft, wish, [], others, missing - extra)


def _immutable(draft: _Draft, wish: Wish, mine: list[Member], others: list[Member], missing: int) -> None:
    """One instance is tried, then the rest; none gets a request before all are healthy."""
    del wish
    idle = [one.name for one in mine if not one.serves]
    draft.add(*map(Check, idle))
    tried = draft.start(min(1, missing))
    rest = draft.start(missing - len(tried))
    draft.enter([*idle, *tried, *rest])
    draft.end(others)


def _traffic_splitting(draft: _Draft, wish: Wish, mine: list[Member], others: list[Member], missing: int) -> None:
    draft.add(*(Check(one.name) for one in mine if not one.serves))
    names = [*(one.name for one in mine), *draft.start(missing)]
    old = [one.name for one in others if one.serves and one.usable]
    if old:
        heavy, light = split_weights(len(old), len(names), wish.percent)
        draft.add(Enter((*((name, heavy) for name in old), *((name, light) for name in names))))
        draft.add(Evaluate(wish.revision, wish.version, wish.evaluation))
    draft.enter(names)
    draft.end(others)


_POLICIES = {
    "all-at-once": _all_at_once,
    "rolling": _rolling,
    "rolling-additional": _additional,
    "immutable": _immutable,
    "traffic-splitting": _traffic_splitting,
}


def split_weights(old: int, new: int, percent: float) -> tuple[int, int]:
    """The weights of `old` and `new` instances with which the new ones get nearest to `percent` of the requests."""

    def miss(heavy: int, light: int) -> float:
        return abs(new * light / (old * heavy + new * light) - percent / 100)

    ratio = percent * old / ((100 - percent) * new)
    pairs = [(heavy, round(heavy * ratio)) for heavy in range(1, HEAVIEST + 1)]
    pairs += [(round(light / ratio), light) for light in range(1, HEAVIEST + 1)]
    within = [(max(1, min(one, HEAVIEST)), max(1, min(two, HEAVIEST))) for one, two in pairs]
    return min(within, key=lambda pair: (miss(*pair), sum(pair)))


# --- everything else


def converge(wish: Wish, members: Sequence[Member], first: int) -> Plan:
    """Come to `wish.size` healthy instances of `wish.revision` from anywhere, and never with less capacity meanwhile.

    This is what undoes a deployment from any point of it, scales, and replaces instances that are dead.
    """
    draft = _Draft(wish, first)
    draft.add(EnsureBalancer())
    mine = sorted((one for one in members if one.revision == wish.revision and one.usable), key=_keep_order)
    kept, surplus = mine[: wish.size], mine[wish.size :]
    back = tuple((one.name, FULL) for one in kept if one.weight and (one.draining or one.weight != FULL))
    if back:
        draft.add(Enter(back))
    others = [one for one in members if one not in mine]
    draft.end([one for one in others if not one.weight])
    idle = [one.name for one in kept if not one.weight]
    draft.add(*map(Check, idle))
    draft.enter(idle)
    draft.enter(draft.start(wish.size - len(kept)))
    draft.end([*(one for one in others if one.weight), *surplus])
    return draft.settle()


def _keep_order(one: Member) -> tuple[bool, int]:
    """Those that serve are kept first, then the older ones."""
    return not one.serves, one.number


def plan_restart(wish: Wish, members: Sequence[Member]) -> Plan:
    """Restart in place, a batch after the other."""
    draft = _Draft(wish, 0)
    draft.add(EnsureBalancer())
    running = sorted((one for one in members if one.running), key=lambda one: one.number)
    for begin in range(0, len(running), max(wish.batch, 1)):
        batch = running[begin : begin + max(wish.batch, 1)]
        serving = [one.name for one in batch if one.serves]
        if serving:
            draft.add(Leave(tuple(serving)))
        draft.add(*(Restart(one.name) for one in batch))
        draft.add(*(Check(one.name) for one in batch))
        draft.enter(serving)
    return draft.plan()


def plan_rebuild(wish: Wish, members: Sequence[Member], first: int) -> Plan:
    """Everything anew, accessories included; volumes stay. Nothing answers meanwhile."""
    draft = _Draft(wish, first)
    draft.add(EnsureBalancer())
    draft.end(members)
    draft.add(EnsureAccessories(wish.revision, anew=True))
    draft.enter(draft.start(wish.size))
    return draft.settle()


def plan_termination(wish: Wish, members: Sequence[Member]) -> Plan:
    """Nothing is left but the history, and the volumes where they are to stay."""
    draft = _Draft(wish, 0)
    draft.end(members)
    draft.add(Forget())
    draft.add(Terminate(wish.volumes))
    return draft.plan()


def plan_swap(wish: Wish) -> Plan:
    """Hosts change hands in one moment."""
    return Plan(((EnsureBalancer(),), (Exchange(wish.hosts),)))
