"""Hooks: a project's own programs at fixed moments of a deployment, as Elastic Beanstalk has them.

They stand beside the Compose file in `.platform/hooks/PHASE/`, are kept in the version with all that they hold, and run
on this machine, one after another in the order of their names: `prebuild` before images are built, `predeploy` before
the release step, `postdeploy` when all instances are in. Where no other version is deployed, but the one that runs with
other variables, those of `.platform/confighooks/PHASE/` run instead. The first that fails ends its phase.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from wherry.base.errors import InvalidInput, OperationFailed
from wherry.base.files import ensure_directory, remove_tree
from wherry.deploy.tail import Tail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from subprocess import Popen
    from typing import Any

    Warn = Callable[[str], None]

__all__ = ["CONFIGURATION", "KEY", "PHASES", "phases", "read_hooks", "run_hooks"]

KEY = "x-wherry-hooks"
CONFIGURATION = "configuration-"  # begins the phases of changed variables
PHASES = {
    "prebuild": ".platform/hooks/prebuild",
    "predeploy": ".platform/hooks/predeploy",
    "postdeploy": ".platform/hooks/postdeploy",
    f"{CONFIGURATION}predeploy": ".platform/confighooks/predeploy",
    f"{CONFIGURATION}postdeploy": ".platform/confighooks/postdeploy",
}
_NEVER = ".platform/confighooks/prebuild"
_LARGEST = 1 << 20
_LAST_LINES = 5
_PIPE, _CHUNK = 1 << 20, 1 << 16
_STARTS = (b"#!", b"\x7fELF")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


# --- in a version


def read_hooks(directory: str, warn: Warn) -> dict[str, dict[str, str]]:
    """The hooks of the project in `directory`, in Base64 by phase and name; files that cannot be executed are told, and
    those that would never run.

    Raises InvalidInput for one larger than a mebibyte, or that begins like no program.
    """
    found = {}
    for phase, place in PHASES.items():
        path = f"{directory}/{place}"
        names = sorted(os.listdir(path)) if os.path.isdir(path) else []
        hooks = {name: text for name in names if (text := _read(f"{path}/{name}", f"{place}/{name}", warn))}
        if hooks:
            found[phase] = hooks
    if os.path.isdir(f"{directory}/{_NEVER}"):
        warn(f"{_NEVER} never runs: where only variables and secrets change, nothing is built")
    return found


def _read(path: str, shown: str, warn: Warn) -> str:
    from base64 import b64encode

    if not os.path.isfile(path):
        return ""
    if not os.stat(path).st_mode & 0o111:
        warn(f"{shown} is not executable, so it is no hook: run `chmod +x` on it if it is to be one")
        return ""
    with open(path, "rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise InvalidInput(f"{shown} is larger than 1 MiB", hint="a hook may fetch what it needs")
    if not data.startswith(_STARTS):
        raise InvalidInput(f"{shown} is neither a script nor a program", hint="begin it with `#!/bin/sh`")
    return b64encode(data).decode()


def phases(model: Mapping[str, Any]) -> set[str]:
    """The phases for which the version with this model has hooks."""
    return {phase for phase, hooks in (model.get(KEY) or {}).items() if hooks}


# --- running them


def run_hooks(
    model: Mapping[str, Any],
    phase: str,
    variables: Mapping[str, str],
    output: Callable[[bytes], None],
    timeout: float,
    directory: str,
) -> None:
    """Run the hooks of a phase; `output` gets what they write as they write it, both streams together.

    They see `variables` beside PATH, HOME and LANG, and share an empty directory below `directory`, which is made anew
    (what a killed run left of it goes first) and gone afterwards; nobody else may use it meanwhile. What a hook leaves
    running is killed. They end with this process. `timeout` (s) is for all of them together.
    Raises OperationFailed with the hook, its exit code and its last lines.
    """
    from base64 import b64decode
    from time import monotonic

    hooks: dict[str, str] = (model.get(KEY) or {}).get(phase) or {}
    deadline = monotonic() + timeout
    environment = {"PATH": _PATH, "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8", **variables}
    remove_tree(directory)
    try:
        for place in ("", "/hooks", "/work"):
            ensure_directory(directory + place, 0o700)
        for name in sorted(hooks):
            path = f"{directory}/hooks/{name}"
            _write_program(path, b64decode(hooks[name]))
            tail = Tail(output)
            code = _run(path, environment, tail, deadline)
            if code != 0:
                raise OperationFailed(_failure(f"{phase} hook {name}", code, timeout, tail.last(_LAST_LINES)))
    finally:
        with suppress(OSError):  # somebody who left the hook's session may write there still: it goes the next time
            remove_tree(directory)


def _write_program(path: str, data: bytes) -> None:
    """By another program: a file that any process has open for writing (so also a child that another thread has just
    forked from this one) cannot be executed."""
    from wherry.base.programs import require, run

    run((require("install"), "-m", "700", "/dev/stdin", path), stdin=data)


def _failure(what: str, code: int | None, timeout: float, last: str) -> str:
    if code is None:
        how = f"had not ended after {timeout:g} s and was stopped"
    else:
        how = f"failed with exit code {code}" if code >= 0 else f"was killed by signal {-code}"
    return f"the {what} {how}{': ' if last else ''}{last}"


def _run(path: str, environment: dict[str, str], output: Callable[[bytes], None], deadline: float) -> int | None:
    """Its exit code, negative for a signal; None where it was killed at the deadline (of `time.monotonic`)."""
    import subprocess

    from wherry.base.programs import find

    setpriv = find("setpriv")
    bound = (setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()
    with subprocess.Popen(
        [*bound, path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=os.path.join(os.path.dirname(path), "../work"),
        start_new_session=True,
    ) as process:
        ended = False
        try:
            ended = _follow(process, output, deadline)
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # it has not been waited for: the number is still its own
        _drain(process, output)
        return process.wait() if ended else None


def _follow(process: Popen[bytes], output: Callable[[bytes], None], deadline: float) -> bool:
    """Pass on what it writes until it has ended; whether that was before the deadline."""
    from selectors import EVENT_READ, DefaultSelector
    from time import monotonic

    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    end = os.pidfd_open(process.pid)
    try:
        with DefaultSelector() as selector:
            selector.register(end, EVENT_READ)
            selector.register(process.stdout, EVENT_READ)
            while ready := selector.select(max(0.0, deadline - monotonic())):
                if any(key.fd == end for key, _ in ready):
                    return True
                if not _pass_on(process, output):
                    selector.unregister(process.stdout)
        return False
    finally:
        os.close(end)


def _pass_on(process: Popen[bytes], output: Callable[[bytes], None]) -> bool:
    """What there is to be read now; False where there will be no more."""
    assert process.stdout is not None
    try:
        data = os.read(process.stdout.fileno(), _CHUNK)
    except BlockingIOError:
        return True
    if data:
        output(data)
    return bool(data)


def _drain(process: Popen[bytes], output: Callable[[bytes], None]) -> None:
    """What is left in the pipe. Who went into a session of its own and still writes is not waited for."""
    for _ in range(_PIPE // _CHUNK):
        if not _pass_on(process, output):
            return
