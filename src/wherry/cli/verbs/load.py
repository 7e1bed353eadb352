"""`load`."""

from __future__ import annotations

import sys

from wherry.base.errors import InvalidInput, NotFound
from wherry.base.progress import nobody
from wherry.cli.context import engine
from wherry.cli.flags import Command, Flag

__all__ = ["run"]

_FLAGS = (
    Flag("input", "str", "Read from a file, and not from standard input", short="i"),
    Flag("quiet", "bool", "Show no progress", short="q"),
)


def run(argv: list[str]) -> int:
    """Take the images of an archive into the store."""
    summary = "Load images from a docker or OCI archive, compressed or not"
    parsed = Command("wherry load", "[OPTIONS]", summary, _FLAGS, most=0).parse(argv[1:])
    from wherry.cli.transfers import layer_lines

    path = parsed["input"]
    if not path and sys.stdin.isatty():
        raise InvalidInput("requested load from stdin, but stdin is empty", hint="name a file with -i")
    try:
        file = open(path, "rb") if path else sys.stdin.buffer
    except FileNotFoundError:
        raise NotFound(f"open {path}: no such file or directory") from None
    sink = nobody if parsed["quiet"] or not sys.stderr.isatty() else layer_lines(sys.stderr)
    for loaded in engine().exchange.load(file, path or "standard input", sink):
        for name, identifier in loaded.displaced:
            print(
                f"The image {name} already exists, renaming the old one with ID {identifier} to empty string",
            )
        for name in loaded.names:
            print(f"Loaded image: {name}")
        if not loaded.names:
            print(f"Loaded image ID: {loaded.image.id}")
    return 0
