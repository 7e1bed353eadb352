"""`info`."""

from __future__ import annotations

from wherry.cli.context import engine
from wherry.cli.flags import Command, Flag
from wherry.cli.output import human_size, render_one

__all__ = ["run"]

_FLAGS = (Flag("format", "str", "json, or a Go template", short="f"),)


def run(argv: list[str]) -> int:
    """Print what the installation is and runs on."""
    from wherry.engine.system import information

    parsed = Command("wherry info", "[OPTIONS]", "Show what this installation is and runs on", _FLAGS, most=0).parse(
        argv[1:]
    )
    facts = information(engine())
    if parsed["format"]:
        print(render_one(facts, parsed["format"]))
        return 0
    for name, value in facts.items():
        print(f"{name}: {human_size(value) if name == 'MemTotal' else value}")
    return 0
