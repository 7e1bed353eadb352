"""The way back from any point of an operation. Pure."""

from __future__ import annotations

from wherry.deploy.plan import Plan, converge
from wherry.deploy.steps import EnsureAccessories, EnsureBalancer, Exchange, Leave, Stop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from wherry.deploy.journal import Operation
    from wherry.deploy.plan import Member
    from wherry.deploy.steps import Stage

__all__ = ["cannot_be_aborted", "way_back"]

_ALWAYS = ("immutable", "traffic-splitting")  # policies of sets that are tried: one that fails goes in any case
_ONWARD = ("terminate", "rebuild")  # what was there before is gone


def cannot_be_aborted(operation: Operation) -> bool:
    """Whether it is always carried out to its end."""
    return operation.kind in _ONWARD


def way_back(operation: Operation, members: Sequence[Member], first: int, *, aborted: bool = False) -> Plan | None:
    """What brings back what there was before it, from what there is now; None where there is no way, or none is wanted.

    An abort is always a way back; a failure is one unless the environment's settings say otherwise, and under policies
    that try a new set beside the old one it always is.
    """
    wish = operation.wish
    tried = bool(wish.before) and wish.policy in _ALWAYS
    if operation.kind == "terminate" or not (wish.undoes or aborted or tried):
        return None
    if operation.kind == "swap":
        return Plan(((EnsureBalancer(),), (Exchange(wish.before_hosts),)))
    if operation.kind == "mend":
        return _without_replacements(members)
    if operation.kind == "restart" and not aborted:  # what does not come back is replaced
        members = [one if one.serves else one._replace(healthy=False) for one in members]
    size = wish.before_size if wish.before else 0
    before = wish._replace(revision=wish.before, version=wish.before_version, size=size)
    plan = converge(before, members, first)
    if operation.kind == "rebuild":
        return plan._replace(stages=((EnsureAccessories(wish.revision),), *plan.stages))
    return plan


def _without_replacements(members: Sequence[Member]) -> Plan:
    """Those that serve stay as they are, what was begun in place of others goes, and the wanted size is what it was."""
    idle = [one for one in members if not one.serves]
    leaving = tuple(one.name for one in idle if one.weight)
    stages: list[Stage] = [(EnsureBalancer(),)]
    if leaving:
        stages.append((Leave(leaving),))
    if idle:
        stages.append(tuple(Stop(one.name) for one in idle))
    return Plan(tuple(stages))
