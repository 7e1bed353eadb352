"""Whether a bundle's monitor (conmon) lives; needs no OCI runtime, so that every command can ask."""

from __future__ import annotations

import os

from wherry.base.processes import is_living, wait_for_end

__all__ = ["is_monitored", "kill_monitor", "wait_for_monitor"]


def is_monitored(bundle: str) -> bool:
    """Whether the monitor lives; it does from `create` until it has written how the container ended."""
    return is_living(_identity(bundle))


def wait_for_monitor(bundle: str, timeout: float | None) -> bool:
    """Block until the monitor is gone; whether that was within `timeout` seconds."""
    return wait_for_end(_identity(bundle), timeout)


def kill_monitor(bundle: str) -> None:
    """Kill it and wait for its end; harmless where it is gone."""
    import signal

    identity = _identity(bundle)
    try:
        if is_living(identity):
            os.kill(int(identity.partition(".")[0]), signal.SIGKILL)
    except ProcessLookupError:
        return
    wait_for_end(identity, 10)


def _identity(bundle: str) -> str:
    try:
        with open(f"{bundle}/monitor", encoding="ascii") as file:
            return file.read()
    except FileNotFoundError:
        return ""
