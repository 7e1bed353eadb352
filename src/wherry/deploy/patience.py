"""How long instances have been bad, and which of them are to be replaced for it. Pure.

An instance's grace (`health.grace`) counts from when it was first seen bad. A container with a restart policy has that
time to come back by itself; one that runs again for a shorter time has not come back yet.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.deploy.ailments import InstanceFacts
    from wherry.deploy.health import Facts
    from wherry.deploy.target import ObservedService

__all__ = ["MISSING", "Patience", "illness"]

MISSING = ""
"""What stands for instances that there should be and are not."""
_MOST_SECONDS = 3600.0  # between two attempts that fail


class Patience:
    """What was seen of the instances of all environments so far. Times are seconds since 1970."""

    def __init__(self) -> None:
        self._since: dict[str, dict[str, float]] = {}
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, float] = {}

    def look(self, facts: Facts, grace: float) -> dict[str, str] | None:
        """Instances to be replaced now, each with why; an empty mapping where some are missing, None for nothing."""
        name, now = facts.environment.name, facts.now
        before, since = self._since.get(name, {}), {}
        ill = _ill(facts)
        for one in facts.instances:
            if one.name in ill or (one.name in before and _is_convalescent(one, now, grace)):
                since[one.name] = before.get(one.name, now)
        if sum(one.serves for one in facts.instances) < facts.environment.size:
            since[MISSING] = before.get(MISSING, now)
        self._since[name] = since
        if now < self._not_before.get(name, 0.0):
            return None
        due = {one for one, began in since.items() if now - began >= grace}
        if not due:
            return None
        return {one: ill.get(one, "it does not stay up") for one in due if one != MISSING}

    def forget(self, environment: str) -> None:
        """Begin anew: an operation has changed what there is, or does."""
        self._since.pop(environment, None)

    def succeeded(self, environment: str) -> None:
        """A replacement has succeeded."""
        self._failures.pop(environment, None)
        self._not_before.pop(environment, None)

    def failed(self, environment: str, now: float, grace: float) -> float:
        """A replacement has failed, or done nothing: the next one waits for the grace, then for twice that, and so on,
        an hour at most. When it is tried."""
        count = self._failures[environment] = self._failures.get(environment, 0) + 1
        pause: float = min(_MOST_SECONDS, max(grace, 10.0) * 2.0 ** min(count - 1, 20))
        self._not_before[environment] = now + pause
        return now + pause


def _ill(facts: Facts) -> dict[str, str]:
    heard = facts.routed and facts.balancer
    return {one.name: why for one in facts.instances if (why := illness(one, routed=heard))}


def illness(one: InstanceFacts, *, routed: bool) -> str:
    """Why an instance cannot do its work at this moment; empty where it can. `routed`: whether to hear the balancer."""
    if not one.services:
        return "its containers are gone"
    for service in one.services:
        if why := _failing(service):
            return why
    down = [state for state in one.servers if state.status == "down"] if routed and one.serves else []
    return f"{down[0].pool}: {down[0].reason or 'its health check fails'}" if down else ""


def _failing(service: ObservedService) -> str:
    killed = ", killed for want of memory" if service.oom_killed else ""
    if service.status == "dead" or (service.status == "exited" and service.exit_code):
        return f"{service.service} exited with code {service.exit_code}{killed}"
    if service.status == "restarting":
        return f"{service.service} exits with code {service.exit_code}{killed} again and again"
    return f"{service.service} calls itself unhealthy" if service.health == "unhealthy" else ""


def _is_convalescent(one: InstanceFacts, now: float, grace: float) -> bool:
    """Whether it was restarted so lately that nobody knows yet whether it stays up."""
    return any(service.restarts and now - service.started < grace for service in one.services)
