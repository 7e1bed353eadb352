"""`version`. Imports nothing heavy: what it costs is what every command costs."""

from __future__ import annotations

from wherry import __version__
from wherry.cli.flags import Command, Flag

__all__ = ["run"]

_FLAGS = (Flag("format", "str", "json, or a Go template", short="f"), Flag("short", "bool", "One line"))


def run(argv: list[str]) -> int:
    """Print the version."""
    parsed = Command("wherry version", "[OPTIONS]", "Show the version", _FLAGS, most=0).parse(argv[1:])
    if parsed["format"]:
        from wherry.cli.output import render_one

        print(render_one(_facts(), parsed["format"]))
    elif parsed["short"]:
        print(f"wherry version {__version__}")
    else:
        print(f"Version:  {__version__}\nPython:   {_python()}\nOS/Arch:  {_platform()}")
    return 0


def _facts() -> dict[str, object]:
    facts = {"Version": __version__, "Python": _python(), "Os": "linux", "Arch": _platform().partition("/")[2]}
    return {**facts, "ApiVersion": "1.41", "Client": facts, "Server": facts}


def _python() -> str:
    import sys

    return ".".join(str(part) for part in sys.version_info[:3])


def _platform() -> str:
    import os

    machine = os.uname().machine
    return "linux/" + {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
