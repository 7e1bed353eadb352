"""Bringing back what stands still: after a reboot, or where somebody stopped it. Nothing is replaced by it.

The container engine starts again what has a restart policy; the rest, and the balancer, are seen to here.
"""

from __future__ import annotations

from wherry.base.errors import WherryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from wherry.deploy.membership import Membership
    from wherry.deploy.parts import Parts
    from wherry.deploy.target import ObservedInstance, ObservedService

__all__ = ["revive", "stands_still"]

_STILL = ("created", "exited", "dead")


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
    told += [_start(parts, environment, name, one) for name, one in _still(parts, environment)]
    wanted = membership.section(environment)
    if wanted.pools and wanted != parts.balancer.sections().get(environment):
        membership.hold(environment)
    return told


def _still(parts: Parts, environment: str) -> Iterator[tuple[str, ObservedService]]:
    """Accessories first, since instances depend on them; of the instances those that belong to the environment."""
    rows = {one.name for one in parts.records.instances(environment)}
    observed = sorted(parts.target.observe(environment), key=lambda one: bool(one.name))
    for one in observed:
        if not one.name or one.name in rows:
            yield from ((one.name, service) for service in _standing(one))


def _standing(instance: ObservedInstance) -> list[ObservedService]:
    """Those that do not run and have not ended well: a service that has, has done its work."""
    return [one for one in instance.services if one.status in _STILL and (one.status != "exited" or one.exit_code)]


def _start(parts: Parts, environment: str, name: str, one: ObservedService) -> tuple[str, str, str]:
    what = f"{one.service} of {name}" if name else f"The accessory {one.service}"
    try:
        parts.target.restart(environment, name, one.service)
    except WherryError as error:
        return "ERROR", f"{what} stood still and cannot be started: {error.message}.", name
    return "WARN", f"{what} stood still ({one.status}, exit code {one.exit_code}) and was started again.", name
