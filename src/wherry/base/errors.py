"""Every error a user can meet, by cause.

    WherryError
    ├── InvalidInput        what the user wrote is not well-formed or makes no sense
    │   └── UsageError      the command line itself: unknown flag, missing argument
    ├── NotFound            the named thing does not exist
    ├── Conflict            the named thing exists, is in use, or is in the wrong state
    ├── Denied              the other side (a registry, the kernel) refuses
    ├── Unsupported         well-formed, but this version or machine cannot do it
    ├── Unavailable         a part of the machine or a remote service is missing or does not answer
    ├── Corrupt             stored or received bytes are not what they claim to be
    │   └── HostileArchive  an archive tries to reach outside its root, or to exhaust the machine
    ├── ProgramFailed       a program that Wherry ran for its own purposes failed
    ├── StepFailed          a build step's own command failed (carries its exit code)
    ├── OperationFailed     an operation on an environment failed; what holds now is in the message
    └── CommandFailed       a container's command could not be executed at all
        ├── CommandNotFound       no such file, or not on the PATH
        └── CommandNotExecutable  permission denied, a directory, wrong format

The message says what failed, on what and why; the hint says what to do about it. Errors become exit codes
in `cli/main.py` and HTTP codes in the servers, nowhere else.
"""

from __future__ import annotations

__all__ = [
    "CommandFailed",
    "CommandNotExecutable",
    "CommandNotFound",
    "Conflict",
    "Corrupt",
    "Denied",
    "HostileArchive",
    "InvalidInput",
    "NotFound",
    "OperationFailed",
    "ProgramFailed",
    "StepFailed",
    "Unavailable",
    "Unsupported",
    "UsageError",
    "WherryError",
]


class WherryError(Exception):
    """Base of the tree. `hint` is one sentence without a trailing newline, or empty."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidInput(WherryError):
    """What the user wrote is not well-formed or contradicts itself."""


class UsageError(InvalidInput):
    """The command line itself is wrong."""


class NotFound(WherryError):
    """The named thing does not exist."""


class Conflict(WherryError):
    """The named thing already exists, is in use, or is in a state that forbids the operation."""


class Denied(WherryError):
    """Refused: by a registry's authentication, or by the kernel for want of privilege."""


class Unsupported(WherryError):
    """Well-formed, but neither this version nor this machine can do it."""


class Unavailable(WherryError):
    """A part of the machine or a remote service is missing or does not answer."""


class Corrupt(WherryError):
    """Bytes are not what their digest, size or format says."""


class HostileArchive(Corrupt):
    """An archive reaches outside its root or exceeds a limit; nothing outside the root was written."""


class ProgramFailed(WherryError):
    """A program run for Wherry's own purposes failed. `status` is its exit code, negative for a signal."""

    def __init__(self, message: str, *, argv: tuple[str, ...], status: int, stderr: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.argv = argv
        self.status = status
        self.stderr = stderr


class StepFailed(WherryError):
    """A build step's command ended with `exit_code` (non-zero; 128+n for signal n)."""

    def __init__(self, message: str, *, exit_code: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


class OperationFailed(WherryError):
    """An operation on an environment failed; what holds now is in the message."""


class CommandFailed(WherryError):
    """The OCI runtime could not execute a container's command."""


class CommandNotFound(CommandFailed):
    """The command is not there (exit code 127)."""


class CommandNotExecutable(CommandFailed):
    """The command is there and cannot be executed (exit code 126)."""
