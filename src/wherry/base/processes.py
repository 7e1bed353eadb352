"""Telling whether a process that was noted earlier is still the same and still lives."""

from __future__ import annotations

import os

__all__ = ["boot_id", "is_living", "process_identity", "wait_for_end"]


def boot_id() -> str:
    """Changes with every boot of the machine."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def process_identity(pid: int) -> str:
    """`PID.START.BOOT` of a living process (START in clock ticks since boot); empty where there is none.

    No other process ever has the same, however often numbers are reused. A zombie does not live.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else f"{pid}.{fields[19]}.{boot_id()[:8]}"


def is_living(identity: str) -> bool:
    """Whether the process of that identity lives."""
    pid = identity.partition(".")[0]
    return pid.isdigit() and process_identity(int(pid)) == identity


def wait_for_end(identity: str, timeout: float | None) -> bool:
    """Block until the process is gone; whether that was within `timeout` seconds."""
    import select

    if not is_living(identity):
        return True
    try:
        pidfd = os.pidfd_open(int(identity.partition(".")[0]))
    except ProcessLookupError:
        return True
    try:
        if not is_living(identity):
            return True
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        return bool(poll.poll(None if timeout is None else timeout * 1000))
    finally:
        os.close(pidfd)
