"""`diff`."""

from __future__ import annotations

from wherry.cli.context import engine
from wherry.cli.flags import Command

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """Print what a container has added (A), changed (C) and deleted (D)."""
    summary = "Show what a container changed in its files"
    parsed = Command("wherry diff", "CONTAINER", summary, least=1, most=1).parse(argv[1:])
    for change in engine().files.changes(parsed.args[0]):
        print(change.kind, change.path)
    return 0
