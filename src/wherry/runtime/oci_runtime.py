"""Containers as the OCI runtime and conmon see them.

The command lines are built by pure methods; state that must not survive a reboot is below the run directory, so two
installations never meet.
"""

from __future__ import annotations

import os

from wherry.base.errors import ProgramFailed, WherryError
from wherry.base.files import atomic_write, remove_if_exists, remove_tree
from wherry.base.jsontext import decode, encode
from wherry.base.processes import process_identity, start_apart
from wherry.base.programs import require, run
from wherry.base.values import NamedTuple
from wherry.runtime.failures import launch_failure
from wherry.runtime.monitor import wait_for_monitor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from wherry.base.paths import Layout
    from wherry.runtime.attachment import Attachment

__all__ = ["ExitRecord", "Launch", "OciRuntime", "State"]

_GATE_MILLISECONDS = 1000


class Launch(NamedTuple):
    """How a container is to be created; `kept` descriptors stay open as long as its monitor lives."""

    id: str
    log_path: str
    exit_command: tuple[str, ...]
    terminal: bool = False
    stdin_open: bool = False
    keep_stdin: bool = False  # detached with -i: nobody's end of input is the container's
    log_driver: str = "k8s-file"
    kept: tuple[int, ...] = ()


class State(NamedTuple):
    """What the monitor said when the container was created."""

    pid: int
    monitor: int


class ExitRecord(NamedTuple):
    """How it ended; the time in nanoseconds since the epoch."""

    code: int
    finished_at: int


class _Work:
    """Something done once while the runtime is busy; its error waits until the container can be named and removed."""

    def __init__(self, action: Callable[[], object] | None) -> None:
        self._action = action
        self._error: BaseException | None = None

    def do(self) -> None:
        action, self._action = self._action, None
        try:
            if action is not None:
                action()
        except BaseException as error:  # noqa: BLE001 (raised again by `check`)
            self._error = error

    def check(self) -> None:
        if self._error is not None:
            raise self._error


class OciRuntime:
    """One runtime program with a state directory of its own."""

    def __init__(self, layout: Layout, path: str) -> None:
        self._layout = layout
        self.path = path
        self._state = f"{layout.run}/runtime"

    @property
    def name(self) -> str:
        """`runc` or `crun`."""
        return os.path.basename(self.path)

    def command(self, *arguments: str) -> tuple[str, ...]:
        """The runtime's command line for this installation."""
        return (self.path, "--root", self._state, *arguments)

    def bundle(self, container_id: str) -> str:
        """The directory that holds `config.json`, the root mount, and the monitor's sockets."""
        return self._layout.container_run(container_id)

    def write_bundle(self, container_id: str, spec: dict[str, Any]) -> None:
        """Put the runtime configuration where `create` reads it."""
        atomic_write(f"{self.bundle(container_id)}/config.json", encode(spec).encode(), mode=0o600, durable=False)

    def monitor_command(self, launch: Launch) -> tuple[str, ...]:
        """conmon's command line."""
        bundle = self.bundle(launch.id)
        exit_program, *exit_arguments = launch.exit_command
        argv = [require("conmon"), "--api-version", "1", "--cid", launch.id, "--cuuid", launch.id]
        argv += ["--runtime", self.path, "--runtime-arg", f"--root={self._state}", "--bundle", bundle, "--full-attach"]
        argv += ["--container-pidfile", f"{bundle}/pid", "--conmon-pidfile", f"{bundle}/monitor-pid"]
        argv += ["--exit-dir", f"{bundle}/ended", "--persist-dir", bundle, "--name", launch.id[:12]]
        argv += ["--log-path", f"{launch.log_driver}:{launch.log_path}", "--log-level", "error"]
        argv += ["--no-sync-log"]  # a log is as lasting as Docker's: nobody waits for the disk at a container's end
        argv += [flag for flag, wanted in _flags(launch) if wanted]
        argv += ["--exit-command", exit_program]
        for argument in exit_arguments:
            argv += ["--exit-command-arg", argument]
        return tuple(argv)

    def create(self, launch: Launch, *, meanwhile: Callable[[], object] | None = None) -> State:
        """Create the container, stopped before its command. Raises CommandNotFound and its like.

        `meanwhile` is done while the runtime works, always; what it raises is raised when the runtime is done.
        """
        bundle = self.bundle(launch.id)
        os.makedirs(f"{bundle}/ended", mode=0o700, exist_ok=True)
        remove_if_exists(f"{bundle}/exit")
        os.makedirs(self._state, mode=0o700, exist_ok=True)
        work = _Work(meanwhile)
        try:
            message = self._spawn(self.monitor_command(launch), bundle, launch.kept, work)
        finally:
            work.do()
        pid = int(message.get("pid") or message.get("data") or -1)
        if pid <= 0:
            raise launch_failure(str(message.get("message") or message))
        monitor = _read_number(f"{bundle}/monitor-pid")
        atomic_write(f"{bundle}/monitor", process_identity(monitor).encode(), durable=False)
        work.check()
        return State(pid, monitor)

    def _spawn(self, argv: tuple[str, ...], bundle: str, kept: tuple[int, ...], work: _Work) -> dict[str, Any]:
        """Start conmon, which goes into the background by itself, and wait for its word on the synchronisation pipe."""
        sync_read, sync_write = os.pipe2(os.O_CLOEXEC)
        start_read, start_write = os.pipe2(os.O_CLOEXEC)
        try:
            env = {**os.environ, "_OCI_SYNCPIPE": str(sync_write), "_OCI_STARTPIPE": str(start_read)}
            # It holds on to its directory for life, and writes `oom` there.
            monitor = start_apart(argv, env=env, cwd=bundle, keep=(sync_write, start_read, *kept))
            os.close(sync_write)
            sync_write = -1
            os.write(start_write, b"\0")
            work.do()

            answer = _read_line(sync_read)
            os.waitpid(monitor, 0)
        finally:
            for fd in (sync_read, sync_write, start_read, start_write):
                if fd >= 0:
                    os.close(fd)
        if not answer:
            raise WherryError("conmon ended without a word", hint="its messages are in the system's log")
        value: dict[str, Any] = decode(answer)
        return value

    def prepare_attach(self) -> None:
        """Load what `attach` needs, so that it takes no time later."""
        import wherry.runtime.attachment  # noqa: F401

    def attach(self, container_id: str) -> Attachment:
        """Connect to the container's standard streams; before `start`, nothing it says is missed."""
        from wherry.runtime.attachment import Attachment

        return Attachment.connect(self.bundle(container_id))

    def start(self, container_id: str) -> None:
        """Let the command run."""
        if self.name == "runc" and _open_gate(f"{self._state}/{container_id}/exec.fifo"):
            return
        try:
            run(self.command("start", container_id))
        except ProgramFailed as error:
            raise launch_failure(error.stderr, "start") from None

    def kill(self, container_id: str, signal: str, *, every: bool = False) -> None:
        """Send a signal, by name or number, to the container's first process or to all of them."""
        try:
            run(self.command("kill", *(("--all",) if every else ()), container_id, signal))
        except ProgramFailed as error:
            raise WherryError(f"cannot send {signal} to {container_id[:12]}: {error.stderr or error.message}") from None

    def pause(self, container_id: str) -> None:
        """Freeze every process."""
        run(self.command("pause", container_id))

    def resume(self, container_id: str) -> None:
        """Thaw them."""
        run(self.command("resume", container_id))

    def delete(self, container_id: str, cgroup: str) -> None:
        """Kill what still runs and remove the runtime's state; harmless where there is nothing.

        A container whose processes are all gone leaves only a directory and empty control groups; removing those here
        saves a run of the runtime.
        """
        from wherry.kernel import cgroups

        state = f"{self._state}/{container_id}"
        if not os.path.isdir(state):
            cgroups.remove(cgroup)
            return
        if cgroups.process_ids(cgroup) or not _has_ended(state):
            run(self.command("delete", "--force", container_id), check=False)
        remove_tree(state)
        cgroups.remove(cgroup)

    def read_exit(self, container_id: str) -> ExitRecord | None:
        """What the monitor wrote; None while the container runs, or where the monitor was killed."""
        try:
            with open(f"{self.bundle(container_id)}/exit", encoding="ascii") as file:
                return ExitRecord(int(file.read() or 0), os.fstat(file.fileno()).st_mtime_ns)
        except (FileNotFoundError, ValueError):
            return None

    def wait(self, container_id: str, *, timeout: float | None) -> bool:
        """Block until the container has ended and its end is written; whether that was within `timeout` seconds."""
        return wait_for_monitor(self.bundle(container_id), timeout)


def _flags(launch: Launch) -> tuple[tuple[str, bool], ...]:
    return (
        ("--terminal", launch.terminal),
        ("--stdin", launch.stdin_open),
        ("--leave-stdin-open", launch.keep_stdin),
    )


def _open_gate(fifo: str) -> bool:
    """Start a created container as `runc start` does, without a run of runc: its first process waits for a reader of
    `exec.fifo` (runc libcontainer/container_linux.go, `Exec`). False where that is not to be had: ask runc."""
    import select

    try:
        fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        opened = bool(poll.poll(_GATE_MILLISECONDS)) and os.read(fd, 1) != b""
    finally:
        os.close(fd)
    if opened:
        remove_if_exists(fifo)
    return opened


def _has_ended(state: str) -> bool:
    """Whether the first process of the container is gone."""
    try:
        with open(f"{state}/state.json", "rb") as file:
            value = decode(file.read())
        with open(f"/proc/{value['init_process_pid']}/stat", encoding="utf-8", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return fields[0] == "Z" or int(fields[19]) != int(value["init_process_start"])
    except FileNotFoundError:
        return True
    except (OSError, ValueError, KeyError):
        return False


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""


def _read_number(path: str) -> int:
    return int(_read(path) or 0)


def _read_line(fd: int) -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        piece = os.read(fd, 65536)
        if not piece:
            break
        data += piece
    return data.strip()
