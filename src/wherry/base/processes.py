"""Telling whether a process that was noted earlier is still the same and still lives."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LAST = 2**31 - 1

__all__ = ["boot_id", "is_living", "process_identity", "start_apart", "start_orphan", "wait_for_end"]


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


def start_apart(argv: Sequence[str], *, env: Mapping[str, str], cwd: str, keep: Sequence[int] = ()) -> int:
    """Start `argv` in a session of its own, in `cwd`, with the descriptors `keep` and no streams; its process id.

    Nothing else that the caller, or its caller, has open is passed on: locks and pipes are not to live as long as it
    does. The caller waits for it. What cannot be executed ends with 127. It is what `subprocess` would do without the
    time that loading it takes, which every `run` would wait for.
    """
    pid = os.fork()
    if not pid:
        _become(argv, env, cwd, keep)
    return pid


def start_orphan(argv: Sequence[str], *, env: Mapping[str, str], cwd: str = "/") -> None:
    """Start `argv` as `start_apart` does, but nobody's child: it may outlive its starter and is waited for by init."""
    pid = os.fork()
    if not pid:
        if os.fork():
            os._exit(0)
        _become(argv, env, cwd, ())
    os.waitpid(pid, 0)


def _become(argv: Sequence[str], env: Mapping[str, str], cwd: str, keep: Sequence[int]) -> None:
    """Turn this process, just forked, into `argv`."""
    try:
        import signal

        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and what it starts would too
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        os.chdir(cwd)
        nothing = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(nothing, fd)
        _close_all_but(keep)
        os.execve(argv[0], list(argv), dict(env))  # noqa: S606 (a program found by its path, without a shell)
    finally:
        os._exit(127)


def _close_all_but(keep: Sequence[int]) -> None:
    """Leave the streams and `keep` to the program that comes."""
    first = 3
    for fd in sorted({fd for fd in keep if fd >= first}):
        os.set_inheritable(fd, True)
        os.closerange(first, fd)
        first = fd + 1
    os.closerange(first, _LAST)
