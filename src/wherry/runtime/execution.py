"""Further processes in a running container, and containers that need no monitor (a build's steps)."""

from __future__ import annotations

import json
import os

from wherry.base.errors import CommandFailed, CommandNotExecutable, Unavailable, WherryError
from wherry.base.files import atomic_write, remove_if_exists
from wherry.runtime.failures import launch_failure, logged_complaint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from wherry.runtime.oci_runtime import OciRuntime

__all__ = ["execute", "run_to_end"]


def execute(
    runtime: OciRuntime,
    container_id: str,
    process: dict[str, Any],
    *,
    detached: bool,
    stdin: bool,
    streams: tuple[int, int, int] | None = None,
) -> int:
    """Run `process` in the container on this process's own standard streams, or on `streams`; its exit code.

    A terminal is handled by the runtime itself, its size and signals included. Detached, returns 0 once it runs.
    Raises CommandNotFound and its like where the command could not be executed.
    """
    import subprocess

    name = f"{runtime.bundle(container_id)}/exec-{os.getpid()}-{os.urandom(3).hex()}"
    atomic_write(f"{name}.json", json.dumps(process).encode(), mode=0o600, durable=False)
    arguments = ["--log", f"{name}.log", "--log-format", "json", "exec", "--process", f"{name}.json"]
    arguments += ["--detach"] if detached else []
    nothing = subprocess.DEVNULL
    spare = _spare_terminal() if process.get("terminal") and not detached else ()
    own = streams or (None, None, None)
    try:
        child = subprocess.Popen(
            runtime.command(*arguments, container_id),
            stdin=own[0] if stdin and not detached else nothing,
            stdout=nothing if detached else own[1],
            stderr=nothing if detached else spare[1] if spare else own[2],
        )
        code = _wait(child)
        failure = _logged_failure(f"{name}.log")
    finally:
        for fd in spare:
            os.close(fd)
        remove_if_exists(f"{name}.json")
        remove_if_exists(f"{name}.log")
    if failure is not None and code:
        raise failure if isinstance(failure, CommandFailed) else CommandNotExecutable(failure.message)
    return code if code >= 0 else 128 - code


def _spare_terminal() -> tuple[int, ...]:
    """Both ends of a terminal for the runtime to look at where none of our streams is one: it insists on one of its own
    beside the command's. A container's terminal has one stream, so that nothing is missed on standard error."""
    if any(os.isatty(fd) for fd in (0, 1, 2)):
        return ()
    return os.openpty()


def _wait(child: Any) -> int:
    """Wait for the runtime, which passes on the signals that it gets; the interrupt of a terminal reaches both."""
    while True:
        try:
            return int(child.wait())
        except KeyboardInterrupt:
            continue


def _logged_failure(path: str) -> WherryError | None:
    complaint = logged_complaint(path)
    return launch_failure(complaint, "exec") if complaint else None


def run_to_end(
    runtime: OciRuntime,
    container_id: str,
    bundle: str,
    output: Callable[[int, bytes], None],
    kept: tuple[int, ...] = (),
) -> int:
    """Run the container of `bundle` to its end without a monitor, giving what it writes to `output(stream, data)`.

    Its input is empty. Returns its exit code; raises CommandNotFound and its like. If this process dies, the kernel
    kills the container with it.
    """
    import selectors
    import subprocess

    log = f"{bundle}/runtime.log"
    remove_if_exists(log)
    argv = runtime.command("--log", log, "--log-format", "json", "run", "--bundle", bundle, container_id)
    child = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=kept,
        start_new_session=True,
    )
    if child.stdout is None or child.stderr is None:
        raise Unavailable("no pipes for the step's output")
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ, 1)
        selector.register(child.stderr, selectors.EVENT_READ, 2)
        while selector.get_map():
            for key, _ in selector.select():
                data = os.read(key.fd, 65536)
                if data:
                    output(key.data, data)
                else:
                    selector.unregister(key.fileobj)
    code = child.wait()
    child.stdout.close()
    child.stderr.close()
    failure = _logged_failure(log)
    if isinstance(failure, CommandFailed) or (failure is not None and code):
        raise failure
    return code if code >= 0 else 128 - code
