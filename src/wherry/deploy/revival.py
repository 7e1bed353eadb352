"""Bringing back what stands still: after a reboot, or where somebody stopped it. Nothing is replaced by it.

The container engine starts again what has a restart policy; the rest, and the balancer, are seen to here.
"""

from __future__ import annotations

from wherry.base.errors import WherryError
from wherry.base.progress import nobody
from wherry.deploy.admission import watchful

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from wherry.deploy.membership import Membership
    from wherry.deploy.parts import Parts
    from wherry.deploy.target import ObservedInstance, ObservedService

__all__ = ["revive", "stands_still"]

_STILL = ("created", "exited", "dead")
# Whose restart policy is at it: it may lack what a reboot took (its secrets are kept in memory alone).
_RESTARTING = "restarting"


def stands_still(parts: Parts, environment: str) -> bool:
    """Whether there is something to be started for `revive`."""
    return not parts.balancer.running() or next(_still(parts, environment), None) is not None


def revive(parts: Parts, membership: Membership, environment: str) -> list[tuple[str, str, str]]:
    """Have the balancer run, start accessories and instances that stand still, and have the balancer hold the rows.

    What was done: severity, a sentence, and an instance's name or nothing; empty where all was well. What cannot be
    started is told, and does not keep the rest from being started. The environment's lock is held. Raises WherryError
    where the balancer cannot be had.
    """
    found = parts.records.environment(environment)
    if found.terminated:
        return []
    told = []
    if not parts.balancer.running():
        parts.balancer.ensure()
        told.append(("WARN", "The load balancer did not run and was started.", ""))
    for one in _still(parts, environment):
        told += _start(parts, membership, one)
    wanted = membership.section(environment)
    if wanted.pools and wanted != parts.balancer.sections().get(environment):
        membership.hold(environment)
    return told


def _still(parts: Parts, environment: str) -> Iterator[ObservedInstance]:
    """Accessories first, since instances depend on them; of the instances those that belong to the environment."""
    rows = {one.name for one in parts.records.instances(environment)}
    for one in sorted(parts.target.observe(environment), key=lambda one: bool(one.name)):
        if (not one.name or one.name in rows) and any(map(_stands, one.services)):
            yield one


def _stands(service: ObservedService) -> bool:
    """Whether it does not run and has not ended well: a service that has, has done its work."""
    return service.status == _RESTARTING or _is_still(service)


def _is_still(service: ObservedService) -> bool:
    return service.status in _STILL and (service.status != "exited" or bool(service.exit_code))


def _start(parts: Parts, membership: Membership, instance: ObservedInstance) -> Iterator[tuple[str, str, str]]:
    """Start it as its revision wants it. Of what its restart policy is at, only a failure is told."""
    environment, name = instance.environment, instance.name
    look = watchful(parts, environment, name)
    error = ""
    try:
        if name:
            revision = next(one.revision for one in parts.records.instances(environment) if one.name == name)
            parts.target.start(membership.instance_wish(environment, name, revision), nobody, look)
        else:
            wish = membership.accessory_wish(environment, _revision(parts, environment))
            parts.target.ensure_accessories(wish, nobody, look=look)
    except WherryError as failed:
        error = failed.message
    for one in instance.services:
        what = f"{one.service} of {name}" if name else f"The accessory {one.service}"
        if error and _stands(one):
            how = "stood still" if _is_still(one) else "is being restarted"
            yield "ERROR", f"{what} {how} and cannot be started: {error}.", name
        elif _is_still(one):
            yield "WARN", f"{what} stood still ({one.status}, exit code {one.exit_code}) and was started again.", name


def _revision(parts: Parts, environment: str) -> int:
    """What the environment is or, where it is nothing yet, what it is becoming."""
    pending = parts.records.journal.pending(environment)
    return parts.records.environment(environment).revision or (pending.wish.revision if pending else 0)
