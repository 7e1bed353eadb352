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
    _check_shared(request)
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


def _check_shared(request: ContainerRequest) -> None:
    """What a namespace that belongs to somebody else does not take."""
    if request.hostname and request.uts_mode == "host":
        raise InvalidInput("conflicting options: hostname and the UTS mode")
    if not request.network.startswith("container:"):
        return
    for value, what in (
        (request.hostname, "hostname and the"),
        (request.dns, "dns and the"),
        (request.add_hosts, "custom host-to-IP mapping and the"),
        (request.mac_address, "mac-address and the"),
        (request.ports or request.publish_all, "port publishing and the container type"),
        (request.expose, "port exposing and the container type"),
    ):
        if value:
            raise InvalidInput(f"conflicting options: {what} network mode")


def _check_limits(limits: LimitsRequest) -> None:
    _check_memory(limits)
    _check_cpus(limits)
    if not -1000 <= limits.oom_score_adj <= 1000:
        raise InvalidInput(f"Invalid value {limits.oom_score_adj}, range for oom score adj is [-1000, 1000]")


def _check_memory(limits: LimitsRequest) -> None:
    if 0 < limits.memory < _LEAST_MEMORY:
        raise InvalidInput("Minimum memory limit allowed is 6MB")
    if 0 < limits.memory_swap < limits.memory:
        raise InvalidInput("Minimum memoryswap limit should be larger than memory limit")
    if limits.memory_swap > 0 and not limits.memory:
        raise InvalidInput("You should always set the Memory limit when using Memoryswap limit")
    if 0 < limits.memory_reservation < _LEAST_MEMORY:
        raise InvalidInput("Minimum memory reservation allowed is 6MB")
    if 0 < limits.memory < limits.memory_reservation:
        raise InvalidInput("Minimum memory limit can not be less than memory reservation limit")


def _check_cpus(limits: LimitsRequest) -> None:
    cpus = os.cpu_count() or 1
    for name, value in (("Period", limits.cpu_period), ("Quota", limits.cpu_quota)):
        if limits.nano_cpus and value:
            raise InvalidInput(f"Conflicting options: Nano CPUs and CPU {name} cannot both be set")
    if limits.nano_cpus and not 10_000_000 <= limits.nano_cpus <= cpus * 1_000_000_000:
        raise InvalidInput(f"Range of CPUs is from 0.01 to {cpus:.2f}, as there are only {cpus} CPUs available")
    if limits.cpu_period and not 1000 <= limits.cpu_period <= 1_000_000:
        raise InvalidInput("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < limits.cpu_quota < 1000:
        raise InvalidInput("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    _numbers(limits.cpuset_mems, "mems")
    if max(_numbers(limits.cpuset_cpus, "cpus"), default=0) >= cpus:
        available = f"0-{cpus - 1}" if cpus > 1 else "0"
        raise InvalidInput(f"Requested CPUs are not available - requested {limits.cpuset_cpus}, available: {available}")


def _numbers(text: str, what: str) -> set[int]:
    """The ends of the ranges of a set as `0-2,7`."""
    ends = [end for part in text.split(",") for end in part.split("-", 1)] if text else []
    if not all(end.isascii() and end.isdigit() for end in ends):
        raise InvalidInput(f"Invalid value {text} for cpuset {what}", hint="write for instance 0-2,7")
    return {int(end) for end in ends}
