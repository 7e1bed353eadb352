"""`exec`."""

from __future__ import annotations

import os

from wherry.cli import parsing
from wherry.cli.context import engine
from wherry.cli.flags import Command, Flag, Misuse
from wherry.engine.request import ExecRequest

__all__ = ["run"]

_FLAGS = (
    Flag("detach", "bool", "Run in the background", short="d"),
    Flag("detach-keys", "str", "Key sequence for detaching", unsupported="an exec ends with its terminal"),
    Flag("env", "list", "Set an environment variable", short="e"),
    Flag("env-file", "list", "Read environment variables from a file"),
    Flag("interactive", "bool", "Keep the input open", short="i"),
    Flag("privileged", "bool", "Give all privileges that this machine can give"),
    Flag("tty", "bool", "Give the command a terminal", short="t"),
    Flag("user", "str", "User (name or number, with :group)", short="u"),
    Flag("workdir", "str", "Working directory", short="w"),
)


def run(argv: list[str]) -> int:
    """Run a further command in a running container; its exit code."""
    usage = "[OPTIONS] CONTAINER COMMAND [ARG...]"
    command = Command("wherry exec", usage, "Run a command in a running container", _FLAGS, least=2, interspersed=False)
    parsed = command.parse(argv[1:])
    if parsed["tty"] and parsed["interactive"] and not os.isatty(0):
        raise Misuse("the input device is not a TTY")
    container, *words = parsed.args
    request = ExecRequest(
        command=tuple(words),
        environment=parsing.parse_environment(parsed["env"], parsed["env-file"]),
        working_dir=parsed["workdir"],
        user=parsed["user"],
        tty=parsed["tty"] and not parsed["detach"],
        stdin_open=parsed["interactive"],
        detached=parsed["detach"],
        privileged=parsed["privileged"],
    )
    return engine().containers.execute(container, request)
