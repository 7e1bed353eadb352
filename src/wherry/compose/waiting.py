"""The conditions of `depends_on` and of `--wait`, decided whenever a container changes and never by a clock."""

from __future__ import annotations

import time

from wherry.base.errors import Conflict, StepFailed, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    from wherry.compose.engine import ComposeEngine
    from wherry.compose.model import Project
    from wherry.compose.state import ObservedContainer

    T = TypeVar("T")
    Look = Callable[[], None]

__all__ = ["wait_for", "wait_until_ready"]

_LOOK_SECONDS = 1.0


def wait_for(engine: ComposeEngine, project: Project, service: str, condition: str, look: Look | None = None) -> None:
    """Block until all containers of the service meet the condition. Raises Conflict as soon as they never will.

    A container that its restart policy starts again and again is waited for; `look` is called once a second, and may
    raise to end that.
    """

    def is_met() -> bool | None:
        mine = [one for one in engine.containers(project.name) if one.service == service and not one.is_one_off]
        if condition == "service_completed_successfully":
            return _completed(service, mine)
        return _healthy(mine)

    _until(engine, is_met, None, look)


def _until(
    engine: ComposeEngine, condition: Callable[[], T | None], timeout: float | None, look: Look | None
) -> T | None:
    if look is None:
        return engine.wait_until(condition, timeout)
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = _LOOK_SECONDS if deadline is None else deadline - time.monotonic()
        met = engine.wait_until(condition, max(0.0, min(left, _LOOK_SECONDS)))
        if met is not None or left <= 0:
            return met
        look()


def _completed(service: str, containers: Iterable[ObservedContainer]) -> bool | None:
    for one in containers:
        if one.is_running or one.status == "created":
            return None
        if one.exit_code:
            raise Conflict(f'service "{service}" didn\'t complete successfully: exit {one.exit_code}')
    return True


def _healthy(containers: Iterable[ObservedContainer]) -> bool | None:
    for one in containers:
        if one.status in ("exited", "dead"):
            raise Conflict(f"dependency failed to start: container {one.name} exited ({one.exit_code})")
        if one.status in ("restarting", "created"):  # nobody has asked this run of it about its health
            return None
        if one.health == "unhealthy":
            raise Conflict(f"dependency failed to start: container {one.name} is unhealthy")
        if not one.health and one.is_running:
            raise Conflict(
                f"dependency failed to start: container {one.name} has no healthcheck configured",
                hint="give the service a healthcheck, or wait for service_started",
            )
        if one.health != "healthy":
            return None
    return True


def wait_until_ready(engine: ComposeEngine, project: Project, timeout: float | None, look: Look | None = None) -> None:
    """`--wait`: every container runs, and is healthy where it has a health check.

    A service that others wait for to complete may end well. Raises StepFailed (exit code 1) where one ends or is
    unhealthy, Unavailable after `timeout` seconds. For `look` see `wait_for`.
    """
    may_end = {
        dependency.service
        for service in project.services.values()
        for dependency in service.dependencies
        if dependency.condition == "service_completed_successfully"
    }

    def are_ready() -> bool | None:
        mine = [one for one in engine.containers(project.name) if one.service in project.services]
        states = [_is_ready(one, may_end) for one in mine if not one.is_one_off]
        return True if all(states) else None

    if _until(engine, are_ready, timeout, look) is None:
        raise Unavailable("application not healthy after %gs" % (timeout or 0), hint="see `wherry compose ps` and logs")


def _is_ready(one: ObservedContainer, may_end: set[str]) -> bool:
    if one.status in ("exited", "dead"):
        if one.exit_code == 0 and one.service in may_end:
            return True
        raise StepFailed(f"container {one.name} exited ({one.exit_code})", exit_code=1)
    if one.health == "unhealthy" and one.status not in ("restarting", "created"):
        raise StepFailed(f"container {one.name} is unhealthy", exit_code=1)
    return one.status == "running" and one.health in ("", "healthy")
