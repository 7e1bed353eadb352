"""What a request may not ask, told before anything is made, in Docker's words. Reads only how many CPUs there are."""

from __future__ import annotations

import os

from wherry.base.errors import InvalidInput
from wherry.engine.signals import signal_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.engine.request import ContainerRequest, HealthRequest, LimitsRequest

__all__ = ["check_request"]

_LEAST_MEMORY = 6 << 20
_MILLISECOND = 1_000_000


def check_request(request: ContainerRequest) -> None:
    """Raises InvalidInput for the first value that no container can have."""
    if request.stop_signal:
        signal_number(request.stop_signal)
    if request.working_dir and not request.working_dir.startswith("/"):
        raise InvalidInput(f"the working directory '{request.working_dir}' is invalid, it needs to be an absolute path")
    _check_health(request.health)
    _check_modes(request)
    _check_limits(request.limits)


def _check_health(health: HealthRequest) -> None:
    for what, value in (
        ("Interval", health.interval),
        ("Timeout", health.timeout),
        ("StartPeriod", health.start_period),
        ("StartInterval", health.start_interval),
    ):
        if value and value < _MILLISECOND:
            raise InvalidInput(f"{what} in Healthcheck cannot be less than 1ms")
    if health.retries < 0:
        raise InvalidInput("Retries in Healthcheck cannot be negative")


def _check_modes(request: ContainerRequest) -> None:
    for what, mode, allowed in (
        ("PID", request.pid_mode, ("", "host")),
        ("IPC", request.ipc_mode, ("", "private", "host", "shareable", "none")),
        ("UTS", request.uts_mode, ("", "host")),
        ("CGROUP", request.cgroup_mode, ("", "private", "host")),
    ):
        joins = what in ("PID", "IPC") and mode.startswith("container:") and mode != "container:"
        if mode not in allowed and not joins:
            raise InvalidInput(f"Invalid {what} mode: {mode}", hint=f"--{_FLAGS[what]}: invalid {what} mode")


_FLAGS = {"PID": "pid", "IPC": "ipc", "UTS": "uts", "CGROUP": "cgroupns"}


def _check_limits(limits: LimitsRequest) -> None:
    cpus = os.cpu_count() or 1
    if limits.nano_cpus and not 10_000_000 <= limits.nano_cpus <= cpus * 1_000_000_000:
        raise InvalidInput(f"Range of CPUs is from 0.01 to {cpus:.2f}, as there are only {cpus} CPUs available")
    if 0 < limits.memory < _LEAST_MEMORY:
        raise InvalidInput("Minimum memory limit allowed is 6MB")
    if not -1000 <= limits.oom_score_adj <= 1000:
        raise InvalidInput(f"Invalid value {limits.oom_score_adj}, range for oom score adj is [-1000, 1000]")
