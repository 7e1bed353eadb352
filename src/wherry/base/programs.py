"""Running other programs: found explicitly, without a shell, with their words in the error when they fail."""

from __future__ import annotations

import os

from wherry.base.errors import ProgramFailed, Unavailable
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Finished", "failure", "find", "require", "run"]

_SYSTEM_DIRECTORIES = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


class Finished(NamedTuple):
    """How a program ended: `status` is its exit code, or minus the signal that killed it."""

    argv: tuple[str, ...]
    status: int
    stdout: bytes
    stderr: bytes


def find(name: str, also: Iterable[str] = ()) -> str | None:
    """The absolute path of the program `name` on the PATH, in the system's directories or in `also`; None if absent."""
    for directory in (*os.environ.get("PATH", "").split(":"), *_SYSTEM_DIRECTORIES, *also):
        path = f"{directory}/{name}"
        if directory.startswith("/") and os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return None


def require(name: str, also: Iterable[str] = ()) -> str:
    """As `find`, but raises Unavailable with the way to get the program."""
    path = find(name, also)
    if path is None:
        raise Unavailable(
            f"{name} is not installed on this machine", hint="run `wherry doctor --fix` to install what is missing"
        )
    return path


def run(
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    pass_fds: Sequence[int] = (),
    check: bool = True,
    timeout: float | None = None,
) -> Finished:
    """Run `argv` to its end with `stdin` as its input, and return what it printed.

    With `check`, a non-zero end raises ProgramFailed with the program's own last words. `timeout` is in seconds.
    """
    import subprocess

    try:
        done = subprocess.run(
            list(argv),
            input=stdin,
            capture_output=True,
            env=env,
            cwd=cwd,
            pass_fds=tuple(pass_fds),
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError:
        raise Unavailable(f"{argv[0]} is not installed on this machine", hint="run `wherry doctor --fix`") from None
    except subprocess.TimeoutExpired:
        raise ProgramFailed(f"{argv[0]} did not end within {timeout} seconds", argv=tuple(argv), status=-9) from None
    finished = Finished(tuple(argv), done.returncode, done.stdout, done.stderr)
    if check and done.returncode:
        raise failure(finished)
    return finished


def failure(finished: Finished) -> ProgramFailed:
    """The error for a program that ended badly: its name, its status and its last words."""
    words = finished.stderr.decode(errors="replace").strip()
    how = f"exit code {finished.status}" if finished.status >= 0 else f"signal {-finished.status}"
    name = os.path.basename(finished.argv[0])
    # `ip -batch` says where it stopped after it has said why.
    causes = [line for line in words.splitlines() if not line.startswith("Command failed -:")]
    last = causes[-1] if causes else words or "it said nothing"
    return ProgramFailed(f"{name} failed with {how}: {last}", argv=finished.argv, status=finished.status, stderr=words)
