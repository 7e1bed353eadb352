"""The OCI runtime's complaints, told apart by cause."""

from __future__ import annotations

from wherry.base.errors import CommandNotExecutable, CommandNotFound, WherryError
from wherry.base.files import read_text

__all__ = ["launch_failure", "logged_complaint", "reason"]

_NOT_FOUND = ("executable file not found", "no such file or directory")
_NOT_EXECUTABLE = ("permission denied", "is a directory", "exec format error", "not a directory")


def launch_failure(message: str, what: str = "create") -> WherryError:
    """The error for a runtime that could not start a process, in the words that Docker's users know."""
    why = reason(message)
    text = f"OCI runtime {what} failed: {why}"
    low = why.lower()
    if "chdir to cwd" in low:
        return CommandNotExecutable(text, hint="the working directory is not in the container")
    if "exec" in low and any(words in low for words in _NOT_FOUND):
        return CommandNotFound(text, hint="the command is not in the image, or not on its PATH")
    if "exec" in low and any(words in low for words in _NOT_EXECUTABLE):
        return CommandNotExecutable(text, hint="the command is in the image, but cannot be executed")
    return WherryError(text)


def logged_complaint(path: str) -> str:
    """The last error in the runtime's log (JSON): what it said of itself, not what a command wrote; empty for none."""
    return next((line for line in reversed(read_text(path).splitlines()) if '"level":"error"' in line), "")


def reason(message: str) -> str:
    """The last line that says something, without the runtime's log decoration."""
    lines = [line.strip() for line in message.strip().splitlines() if line.strip()]
    if not lines:
        return "the runtime said nothing"
    last = lines[-1]
    if last.startswith("{") and '"msg"' in last:
        import json

        try:
            last = str(json.loads(last)["msg"])
        except (ValueError, KeyError):
            return last
    if 'level=error msg="' in last:
        last = last.partition('msg="')[2].rstrip('"').replace('\\"', '"')
    return last
