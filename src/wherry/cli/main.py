"""The entry: which verb, loaded when it is called; errors become messages and exit codes here and nowhere else.

Exit codes are Docker's: 125 for a command line or an engine that fails `run` and its like, 126 and 127 for commands
that cannot be executed or found, 128+n for a signal, 1 for everything else.
"""

from __future__ import annotations

import os
import sys

from wherry.base.errors import (
    CommandNotExecutable,
    CommandNotFound,
    InvalidInput,
    StepFailed,
    UsageError,
    WherryError,
)
from wherry.cli.flags import Help, Misuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

__all__ = ["main", "module_of", "run"]

# verb: (module, summary). A group's module looks at the next word itself.
_VERBS = {
    "app": ("app", "Applications and their versions"),
    "attach": ("lifecycle", "Attach to a running container"),
    "base": ("base", "Base images from the distribution's own packages"),
    "build": ("build", "Build an image from a Dockerfile"),
    "builder": ("builder", "Build images, and remove the build cache"),
    "compose": ("compose", "Run the services of a Compose file"),
    "container": ("container", "Manage containers"),
    "copy": ("copy", "Copy an image between registries, layouts, archives and the store"),
    "cp": ("cp", "Copy files between a container and this machine"),
    "create": ("run", "Make a container without starting it"),
    "deploy": ("deploy", "Let a new version of a project replace what an environment runs"),
    "diff": ("diff", "Show what a container changed in its files"),
    "doctor": ("doctor", "Say which parts the machine has, and install what is missing"),
    "env": ("env", "Environments: deployed, load-balanced projects"),
    "exec": ("exec", "Run a command in a running container"),
    "export": ("export", "Write a container's files as a tar archive"),
    "history": ("images", "Show how an image came to be"),
    "image": ("image", "Manage images"),
    "images": ("images", "List images"),
    "info": ("info", "Show what this installation is and runs on"),
    "inspect": ("inspect", "Show everything about containers, images, volumes or networks"),
    "internal": ("internal", ""),
    "kill": ("lifecycle", "Send a signal to containers"),
    "load": ("load", "Load images from an archive"),
    "login": ("login", "Log in to a registry"),
    "logout": ("login", "Log out from a registry"),
    "logs": ("logs", "Show what a container wrote"),
    "manifest": ("manifest", "Look at manifests in a registry"),
    "network": ("network", "Look at networks"),
    "pause": ("lifecycle", "Freeze containers"),
    "port": ("port", "Show the published ports of a container"),
    "ps": ("ps", "List containers"),
    "pull": ("pull", "Fetch an image from its registry"),
    "push": ("push", "Send an image to its registry"),
    "registry": ("registry", "Serve images to other machines"),
    "rename": ("lifecycle", "Rename a container"),
    "restart": ("lifecycle", "Stop containers and start them again"),
    "rm": ("lifecycle", "Remove containers"),
    "rmi": ("images", "Remove images"),
    "run": ("run", "Run a command in a new container"),
    "save": ("save", "Save images to an archive"),
    "serve": ("serve", "Keep environments as they are to be, and show them in a browser"),
    "start": ("lifecycle", "Start stopped containers"),
    "stop": ("lifecycle", "Stop running containers"),
    "system": ("system", "Look after the installation"),
    "tag": ("images", "Give an image a further name"),
    "top": ("port", "Show the processes of a container"),
    "unpause": ("lifecycle", "Thaw containers"),
    "version": ("version", "Show the version"),
    "volume": ("volume", "Manage volumes"),
    "wait": ("lifecycle", "Wait until containers end, and print their exit codes"),
}


def run() -> NoReturn:
    """The whole process: `main`, and its end at once.

    What one command makes is gone with its process, so taking it apart only costs time; threads that call Python
    meanwhile, as those of a server do, would abort it, and those that still work would keep it.
    """
    try:
        code = main()
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except OSError:
        code = 1
    os._exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    verb = arguments[0] if arguments else "help"
    try:
        if sys.stdout is None:  # closed by the caller
            sys.stdout = open(os.devnull, "w", encoding="utf-8")
        code = _dispatch(verb, arguments)
        sys.stdout.flush()
    except Help as help_text:
        print(help_text)
        return 0
    except WherryError as error:
        return _report(error, verb)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except OSError as error:
        return _report(_from_system(error), verb)
    except Exception as error:  # noqa: BLE001 (the last resort: a bug, told as one)
        undecodable = next(filter(_is_no_text, arguments), None) if isinstance(error, UnicodeEncodeError) else None
        if undecodable is not None:
            return _report(InvalidInput(f"{undecodable!r} is not text in UTF-8"), verb)
        return _report_bug(error, verb)
    return code


def _is_no_text(argument: str) -> bool:
    """Whether it holds bytes that are not UTF-8, which a file's name may have and nothing that has a name here."""
    return not argument.isascii() and any("\udc80" <= one <= "\udcff" for one in argument)


def _dispatch(verb: str, arguments: list[str]) -> int:
    if verb == "help" and arguments[1:]:
        verb, arguments = arguments[1], [*arguments[1:], "--help"]
    if verb in ("help", "--help", "-h"):
        print(_overview())
        return 0
    if verb in ("--version", "-v"):
        verb, arguments = "version", ["version", "--short"]
    if verb.startswith("--"):
        raise UsageError(f"unknown flag: {verb}", hint="See 'wherry --help'")
    if verb.startswith("-"):
        raise UsageError(f"unknown shorthand flag: '{verb[1:2]}' in {verb}", hint="See 'wherry --help'")
    if verb not in _VERBS and arguments[-1:] == ["--help"]:
        raise Misuse(f"unknown help topic: {verb}", hint="See 'wherry --help'")
    if verb not in _VERBS:
        raise Misuse(f"'{verb}' is not a wherry command.", hint="See 'wherry --help'")
    from importlib import import_module

    code: int = import_module(module_of(verb)).run(arguments)
    return code


def module_of(verb: str) -> str:
    """The module whose `run` does `verb`."""
    return f"wherry.cli.verbs.{_VERBS[verb][0]}"


def _overview() -> str:
    width = max(len(verb) for verb in _VERBS) + 2
    lines = [f"  {verb:<{width}}{summary}" for verb, (_, summary) in _VERBS.items() if summary]
    return "\n".join(
        ["Usage:  wherry COMMAND", "", "From a source tree to a running service, without a daemon.", "", "Commands:"]
        + lines
        + ["", "Run 'wherry COMMAND --help' for more about a command."]
    )


def _report(error: WherryError, verb: str) -> int:
    if os.environ.get("WHERRY_DEBUG"):
        import traceback

        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
            stream.flush()
    print(f"wherry: {error.message}", file=sys.stderr)
    if error.hint:
        print(error.hint, file=sys.stderr)
    return _exit_code(error, verb)


def _report_bug(error: Exception, verb: str) -> int:
    """Say that this is a bug, and keep the traceback where the user can send it from."""
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="wherry-bug-", suffix=".txt", delete=False, errors="replace") as file:
        traceback.print_exc(file=file)
    words = f"this is a bug in Wherry: {type(error).__name__}: {error}"
    return _report(WherryError(words, hint=f"the details are in {file.name}; please report them"), verb)


def _exit_code(error: WherryError, verb: str) -> int:
    if isinstance(error, CommandNotFound):
        return 127
    if isinstance(error, CommandNotExecutable):
        return 126
    if isinstance(error, StepFailed):
        return error.exit_code
    if isinstance(error, Misuse):
        return 1
    if isinstance(error, UsageError) or verb in ("run", "create"):
        return 125
    return 1


def _from_system(error: OSError) -> WherryError:
    what = f"{error.filename}: " if error.filename else ""
    hint = "this needs root" if isinstance(error, PermissionError) and os.geteuid() else ""
    return WherryError(f"{what}{error.strerror or error}", hint=hint)
