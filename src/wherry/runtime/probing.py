"""One bounded run of a command in a running container, for a caller that waits for many things at once.

The bundle tells about a probe that is under way (`probe`: the runtime's process; `probe-pid`: the command's), so that
whoever comes after a caller that was killed can end what it left.
"""

from __future__ import annotations

import os
import signal

from wherry.base.files import read_text, remove_if_exists
from wherry.base.processes import is_living, process_identity, wait_for_end
from wherry.runtime.failures import logged_complaint, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Probe", "end_probe"]

_BLOCK = 1 << 16
_KILL_SECONDS = 5.0


class Probe:
    """Begun when it is made. `output_fd` and `end_fd` become readable when there is output, and at the end.

    Of the output, standard error included, the first `limit` bytes are kept and the rest is read and dropped.
    """

    def __init__(self, runtime: Sequence[str], bundle: str, container_id: str, process: str, limit: int) -> None:
        self._bundle = bundle
        self._limit = limit
        self.output = b""
        self.is_cut = False
        for name in ("probe-pid", "probe-log"):
            remove_if_exists(f"{bundle}/{name}")
        argv = [*runtime, "--log", f"{bundle}/probe-log", "--log-format", "json", "exec"]
        argv += ["--process", process, "--pid-file", f"{bundle}/probe-pid", container_id]
        self.output_fd, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(writing, True)
        try:
            self._pid = _spawn(argv, writing)
        except BaseException:
            os.close(self.output_fd)
            raise
        finally:
            os.close(writing)
        self.end_fd = os.pidfd_open(self._pid)
        try:
            with open(f"{bundle}/probe", "w", encoding="ascii") as note:
                note.write(process_identity(self._pid))
        except BaseException:
            self.kill(hard=True)
            self.finish()
            raise

    def read(self) -> bool:
        """Take the output that has come; False at its end."""
        try:
            while data := os.read(self.output_fd, _BLOCK):
                room = self._limit - len(self.output)
                self.output += data[:room]
                self.is_cut = self.is_cut or len(data) > room
                if len(data) < _BLOCK:
                    return True
        except BlockingIOError:
            return True
        return False

    def kill(self, *, hard: bool = False) -> None:
        """Kill the command with all of its process group, or, where it is `hard` or not there yet, the runtime."""
        if hard or not _kill_command(self._bundle, self._pid):
            os.kill(self._pid, signal.SIGKILL)

    def finish(self) -> tuple[int | None, str]:
        """To be called when `end_fd` says that it has ended: the exit code and nothing, or None and the runtime's
        words where the command could not be run. What the command left behind may go on writing; nobody listens."""
        self.read()
        status = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        complaint = logged_complaint(f"{self._bundle}/probe-log") if status else ""
        self.close()
        return (None, reason(complaint)) if complaint else (status if status >= 0 else 128 - status, "")

    def close(self) -> None:
        """Give the descriptors back and take the notes away."""
        os.close(self.output_fd)
        os.close(self.end_fd)
        for name in ("probe", "probe-pid", "probe-log"):
            remove_if_exists(f"{self._bundle}/{name}")


def _spawn(argv: list[str], output: int) -> int:
    """Start it in a session of its own, without input, both streams going to `output`."""
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, output, 1),
        (os.POSIX_SPAWN_DUP2, output, 2),
    ]
    ignored = (signal.SIGPIPE, signal.SIGXFSZ)  # by Python, and by what it starts unless told otherwise
    return os.posix_spawn(argv[0], argv, os.environ, file_actions=actions, setsid=True, setsigdef=ignored)


def end_probe(bundle: str) -> None:
    """Kill the probe that the bundle tells of and wait for its end; harmless where there is none.

    The runtime leads each command into a session, so its process group is the command with what it started.
    """
    identity = read_text(f"{bundle}/probe")
    if not is_living(identity):
        return
    runtime = int(identity.partition(".")[0])
    try:
        if not _kill_command(bundle, runtime) or not wait_for_end(identity, _KILL_SECONDS):
            os.kill(runtime, signal.SIGKILL)
    except ProcessLookupError:
        return
    wait_for_end(identity, _KILL_SECONDS)


def _kill_command(bundle: str, runtime: int) -> bool:
    """Kill what the process `runtime` has started in the container; whether there was anything.

    A command can be at work before the runtime has noted it: then it is whatever the runtime has started.
    """
    noted = read_text(f"{bundle}/probe-pid").strip()
    commands = [int(noted)] if noted.isdigit() and _parent(int(noted)) == runtime else _children(runtime)
    killed = [command for command in commands if _kill_group(command)]
    return bool(killed)


def _kill_group(command: int) -> bool:
    try:
        leads = os.getpgid(command) == command
        (os.killpg if leads else os.kill)(command, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _children(pid: int) -> list[int]:
    """Of all its threads."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            found += [int(child) for child in read_text(f"/proc/{pid}/task/{thread}/children").split()]
    except OSError:
        pass  # it ends meanwhile
    return found


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return int(stat.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0
