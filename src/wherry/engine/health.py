"""Health as a value: what a check is, and what each result makes of a container's health. Pure: time is given to it.

The rules are Docker's (Engine API 1.41 `HealthConfig` and `Health`; Dockerfile reference, HEALTHCHECK). Times are
nanoseconds.
"""

from __future__ import annotations

from wherry.base.clock import duration_text
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.engine.request import HealthRequest

__all__ = [
    "HEALTHY",
    "LOG_LENGTH",
    "OUTPUT_BYTES",
    "STARTING",
    "UNHEALTHY",
    "Health",
    "HealthCheck",
    "HealthResult",
    "check_of",
    "judge",
    "next_check",
    "show_output",
    "timed_out",
]

STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"
LOG_LENGTH = 5
"""Results that are kept."""
OUTPUT_BYTES = 4096
"""Of each result's output; what is longer is cut, with three dots behind."""

_SECOND = 1_000_000_000
_SHELL = ("/bin/sh", "-c")


class HealthCheck(NamedTuple):
    """A check that is to be run: the command as it is executed, and every time as it holds."""

    command: tuple[str, ...]
    interval: int = 30 * _SECOND
    timeout: int = 30 * _SECOND
    start_period: int = 0
    start_interval: int = 5 * _SECOND
    retries: int = 3


class HealthResult(NamedTuple):
    """One run of a check; the exit code is -1 where there was none."""

    started: int
    ended: int
    exit_code: int
    output: str


class Health(NamedTuple):
    """What is known of a container; `streak` counts the failures since the last success."""

    status: str = STARTING
    streak: int = 0


def check_of(wanted: HealthRequest | None, shell: tuple[str, ...] | None = None) -> HealthCheck | None:
    """The check that `wanted` comes to, None where it is NONE, empty or of a kind that Docker does not know either.

    `shell` is the image's SHELL, which CMD-SHELL is run by.
    """
    if wanted is None or not wanted.test[1:] or wanted.test[0] not in ("CMD", "CMD-SHELL"):
        return None
    kind, *command = wanted.test
    defaults = HealthCheck(())
    return HealthCheck(
        (*((shell or _SHELL) if kind == "CMD-SHELL" else ()), *command),
        wanted.interval or defaults.interval,
        wanted.timeout or defaults.timeout,
        wanted.start_period,
        wanted.start_interval or defaults.start_interval,
        wanted.retries if wanted.retries > 0 else defaults.retries,
    )


def judge(health: Health, check: HealthCheck, result: HealthResult, container_started: int) -> Health:
    """Health after `result`: one success makes healthy, `retries` failures in a row make unhealthy.

    While the container is starting, failures of checks that began within its start period do not count.
    """
    if result.exit_code == 0:
        return Health(HEALTHY, 0)
    if health.status == STARTING and result.started - container_started < check.start_period:
        return health
    streak = health.streak + 1
    return Health(UNHEALTHY if streak >= check.retries else health.status, streak)


def next_check(health: Health, check: HealthCheck, container_started: int, now: int) -> int:
    """How long to wait after a result (or after the start) until the next check."""
    if health.status == STARTING and now - container_started < check.start_period:
        return check.start_interval
    return check.interval


def show_output(data: bytes, *, cut: bool) -> str:
    """What the log says of the output; `cut` tells that there was more."""
    return data.decode(errors="replace") + ("..." if cut else "")


def timed_out(check: HealthCheck, output: str) -> str:
    """What the log says of a check that was killed."""
    return f"Health check exceeded timeout ({duration_text(check.timeout)})" + (f": {output}" if output else "")
