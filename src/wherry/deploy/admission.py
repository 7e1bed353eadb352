"""Whether an instance may get requests: it answers as configured, several times in a row, and none of it has died."""

from __future__ import annotations

from wherry.base.errors import OperationFailed
from wherry.deploy.sections import addresses_of, endpoints
from wherry.deploy.settings import Settings
from wherry.deploy.target import ACCESSORIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wherry.deploy.membership import Membership
    from wherry.deploy.parts import Parts
    from wherry.deploy.sections import Endpoint
    from wherry.deploy.target import ObservedInstance, ObservedService

__all__ = ["admit", "hopelessness", "watchful"]

_RESTARTS = 3  # after which a container is not expected to stay up any more
_LONGEST = 1.0  # seconds between two questions, whatever the interval of health checks
_LONGEST_WORDS = 200


def admit(parts: Parts, membership: Membership, environment: str, instance: str, look: Callable[[], None]) -> None:
    """Return when the instance is healthy; one without routes has to run as long as others have to answer.

    Raises OperationFailed with the last reason when the time is up, or before it where nothing is to be waited for: a
    container that ended, or that calls itself unhealthy.
    `look` is called at every turn, and may raise.
    """
    found = parts.records.environment(environment)
    settings = Settings(found.settings)
    revision = next(one.revision for one in parts.records.instances(environment) if one.name == instance)
    asked = endpoints(membership.extension_of(environment, revision), settings)
    wanted = max([one.check.healthy for one in asked], default=settings.count("health.healthy"))
    pause = min([one.check.interval for one in asked], default=settings.number("health.interval"))
    deadline = parts.clock() / 1e9 + settings.number("timeout")
    good, reason = 0, "it has not answered yet"
    while good < wanted:
        look()
        observed = _observed(parts, environment, instance)
        hopeless = hopelessness(observed)
        if settings.on("ignore-health") and not hopeless:
            return
        reason = hopeless or _complaint(parts, observed, asked, found.host)
        good = 0 if reason else good + 1
        if hopeless or (reason and parts.clock() / 1e9 > deadline):
            raise OperationFailed(
                f"{instance} is not healthy: {reason}{_last_words(parts, observed)}",
                hint=f"what it said: `wherry env logs {environment} --instance {instance}`",
            )
        if good < wanted:
            parts.pause(min(pause, _LONGEST))


def watchful(
    parts: Parts, environment: str, instance: str, look: Callable[[], None] = lambda: None
) -> Callable[[], None]:
    """What is to be called now and then while an instance (accessories: with no name) comes up.

    It calls `look`, and raises OperationFailed when the environment's `timeout` is over, or when a container was
    started again a few times meanwhile: what others wait for may never come.
    """
    timeout = Settings(parts.records.environment(environment).settings).number("timeout")
    deadline = parts.clock() / 1e9 + timeout
    found = _observed(parts, environment, instance)
    before = {one.container: one.restarts for one in found.services} if found else {}
    what = instance or "the accessories"

    def watch() -> None:
        look()
        observed = _observed(parts, environment, instance)
        services = observed.services if observed else ()
        for one in services:
            again = one.restarts - before.get(one.container, 0)
            if again >= _RESTARTS:
                raise OperationFailed(f"{what} cannot start: {_ended(one, again)}{_said(parts, observed, one)}")
        if parts.clock() / 1e9 > deadline:
            waits = [f"{one.service} is {one.health or one.status}" for one in services if not _is_up(one)]
            why = f": {', '.join(waits)}" if waits else ""
            raise OperationFailed(f"{what} did not start within {timeout:g} seconds{why}")

    return watch


def _is_up(service: ObservedService) -> bool:
    return service.status == "running" and service.health in ("", "healthy")


def _last_words(parts: Parts, observed: ObservedInstance | None) -> str:
    """The last line of the service that ended, to stand after that; empty where none did, or it said nothing."""
    ended = next((one for one in observed.services if one.exit_code and _end(one)), None) if observed else None
    return _said(parts, observed, ended) if ended else ""


def _said(parts: Parts, observed: ObservedInstance | None, service: ObservedService) -> str:
    if observed is None:
        return ""
    name = observed.name or ACCESSORIES
    said = parts.target.logs(observed.environment, tail=1, instances=[name], services=[service.service])
    last = b"".join(one.data for one in said).decode(errors="replace").strip()[:_LONGEST_WORDS]
    return f": {last}" if last else ""


def _observed(parts: Parts, environment: str, instance: str) -> ObservedInstance | None:
    return next((one for one in parts.target.observe(environment) if one.name == instance), None)


def hopelessness(observed: ObservedInstance | None) -> str:
    """Why it will not become healthy; empty where it may."""
    if observed is None or not observed.services:
        return "it has no containers"
    return next((found for one in observed.services if (found := _end(one))), "")


def _end(service: ObservedService) -> str:
    if service.status == "dead" or (service.status == "exited" and service.exit_code):
        return _ended(service)
    if service.restarts >= _RESTARTS:
        return _ended(service, service.restarts)
    if service.health == "unhealthy" and service.status == "running":  # what does not run is called so, too
        return f"{service.service} calls itself unhealthy"
    return ""


def _ended(service: ObservedService, times: int = 0) -> str:
    """A container that runs again has no exit code any more."""
    code = f" with code {service.exit_code}" if service.exit_code or service.status in ("exited", "dead") else ""
    killed = ", killed for want of memory" if service.oom_killed else ""
    often = f"{',' if code or killed else ''} {times} times" if times else ""
    return f"{service.service} exited{code}{killed}{often}"


def _complaint(parts: Parts, observed: ObservedInstance | None, asked: Sequence[Endpoint], host: str) -> str:
    """What is wrong with an instance at this moment; empty for nothing. Its routed services are asked."""
    for one in observed.services if observed else ():
        if one.status not in ("running", "exited"):
            return f"{one.service} is {one.status}"
        if one.health == "starting":
            return f"{one.service} is starting"
    for endpoint in asked:
        service = endpoint.route.service
        addresses = addresses_of(observed, service)
        if not addresses or not all(addresses):
            return f"{service} does not run"
        for address in addresses:
            probed = parts.probe(address, endpoint.route.port, endpoint.check, endpoint.route.host or host)
            if not probed.healthy:
                where = f"{service} at {address}" if len(addresses) > 1 else service
                return f"{where}: {probed.reason}"
    return ""
