"""`compose`: the options that name the project, and which command; each command is a module of its own."""

from __future__ import annotations

import os

from wherry.base.errors import InvalidInput, UsageError
from wherry.cli.flags import Command, Flag, Help

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.composing import Invocation
    from wherry.cli.flags import Parsed

__all__ = ["FLAGS", "run"]

FLAGS = (
    Flag("all-resources", "bool", "Include all resources, even those not used by services"),
    Flag("ansi", "str", "When to print colours (never, always, auto)", default="auto"),
    Flag("compatibility", "bool", "Run in backward compatibility mode", unsupported="container names have hyphens"),
    Flag("dry-run", "bool", "Show what a command would do, and do nothing"),
    Flag("env-file", "list", "An alternate environment file"),
    Flag("file", "list", "Compose configuration files (- for standard input)", short="f"),
    Flag("parallel", "int", "How much to do at once, -1 for no limit", default=-1),
    Flag("profile", "list", "A profile to activate"),
    Flag("progress", "str", "How progress is shown (auto, tty, plain, json, quiet)", default="auto"),
    Flag("project-directory", "str", "Where relative paths begin (default: where the first Compose file is)"),
    Flag("project-name", "str", "Project name", short="p"),
    Flag("version", "bool", "Show the version", short="v"),
)

_ANSI, _PROGRESS = ("never", "always", "auto"), ("auto", "tty", "plain", "json", "quiet")

# command: (module, summary). Aliases have no summary.
_COMMANDS = {
    "attach": (
        "compose_exec",
        "Attach local standard input, output, and error streams to a service's running container",
    ),
    "build": ("compose_build", "Build or rebuild services"),
    "cp": ("compose_cp", "Copy files/folders between a service container and the local filesystem"),
    "events": ("compose_logs", "Receive real time events from containers"),
    "exec": ("compose_exec", "Execute a command in a running container"),
    "images": ("compose_ps", "List images used by the created containers"),
    "logs": ("compose_logs", "View output from containers"),
    "ls": ("compose_ps", "List running compose projects"),
    "port": ("compose_ps", "Print the public port for a port binding"),
    "ps": ("compose_ps", "List containers"),
    "pull": ("compose_build", "Pull service images"),
    "push": ("compose_build", "Push service images"),
    "run": ("compose_exec", "Run a one-off command on a service"),
    "top": ("compose_ps", "Display the running processes"),
    "wait": ("compose_logs", "Block until containers of all (or specified) services stop"),
    "create": ("compose_up", "Create containers for a service"),
    "down": ("compose_down", "Stop and remove containers, networks"),
    "kill": ("compose_down", "Force stop service containers"),
    "pause": ("compose_down", "Pause services"),
    "restart": ("compose_down", "Restart service containers"),
    "rm": ("compose_down", "Remove stopped service containers"),
    "start": ("compose_down", "Start services"),
    "stop": ("compose_down", "Stop services"),
    "unpause": ("compose_down", "Unpause services"),
    "up": ("compose_up", "Create and start containers"),
    "config": ("compose_config", "Parse, resolve and render compose file in canonical format"),
    "convert": ("compose_config", ""),
    "version": ("compose_config", "Show the Docker Compose version information"),
}


def run(argv: list[str]) -> int:
    """Parse the options before the command, then hand over."""
    command = Command("wherry compose", "[OPTIONS] COMMAND", _SUMMARY, FLAGS, interspersed=False)
    try:
        parsed = command.parse(argv[1:])
    except Help as text:
        raise Help(f"{text}\n\n{_commands()}") from None
    if parsed["version"]:
        parsed.args = ["version", *parsed.args]
    if not parsed.args or parsed.args[0] == "help":
        raise Help(f"{command.help()}\n\n{_commands()}")
    word = parsed.args[0]
    if word not in _COMMANDS:
        from wherry.compose.tree import nearest

        near = nearest(word, _COMMANDS)
        hint = f"did you mean `{near}`?" if near else "See 'wherry compose --help'."
        raise UsageError(f'unknown docker command: "compose {word}"', hint=hint)
    from importlib import import_module

    module = import_module(f"wherry.cli.verbs.{_COMMANDS[word][0]}")
    code: int = module.run(_invocation(parsed), parsed.args)
    return code


_SUMMARY = "Define and run multi-container applications with Wherry"


def _commands() -> str:
    width = max(map(len, _COMMANDS)) + 3
    lines = [f"  {word:<{width}}{summary}" for word, (_, summary) in sorted(_COMMANDS.items()) if summary]
    closing = "Run 'wherry compose COMMAND --help' for more information on a command."
    return "\n".join(["Commands:", *lines, "", closing])


def _invocation(parsed: Parsed) -> Invocation:
    from wherry.cli.composing import Invocation
    from wherry.compose import ProjectOptions

    environment = dict(os.environ)
    ansi = parsed["ansi"] if "ansi" in parsed.given else environment.get("COMPOSE_ANSI") or "auto"
    progress = parsed["progress"] if "progress" in parsed.given else environment.get("COMPOSE_PROGRESS") or "auto"
    for name, value, allowed in (("ansi", ansi, _ANSI), ("progress", progress, _PROGRESS)):
        if value not in allowed:
            raise InvalidInput(f'unsupported --{name} value "{value}"', hint=", ".join(allowed))
    parallel = parsed["parallel"]
    if "parallel" not in parsed.given and environment.get("COMPOSE_PARALLEL_LIMIT", "").isdigit():
        parallel = int(environment["COMPOSE_PARALLEL_LIMIT"])
    options = ProjectOptions(
        environment=environment,
        cwd=os.getcwd(),
        files=tuple(parsed["file"]),
        name=parsed["project-name"],
        directory=parsed["project-directory"],
        env_files=tuple(parsed["env-file"]),
        profiles=tuple(parsed["profile"]),
    )
    return Invocation(options, ansi, progress, parallel, parsed["dry-run"], parsed["all-resources"])
