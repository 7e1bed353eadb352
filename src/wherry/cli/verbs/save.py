"""`save`."""

from __future__ import annotations

import os
import sys

from wherry.base.errors import InvalidInput
from wherry.base.progress import nobody
from wherry.cli.context import engine
from wherry.cli.flags import Command, Flag

__all__ = ["run"]

_FLAGS = (Flag("output", "str", "Write to a file, and not to standard output", short="o"),)


def run(argv: list[str]) -> int:
    """Write images as an archive that `load` and Docker read."""
    command = Command(
        "wherry save", "[OPTIONS] IMAGE [IMAGE...]", "Save one or more images to a tar archive", _FLAGS, least=1
    )
    parsed = command.parse(argv[1:])
    opened = engine()
    if parsed["output"]:
        from wherry.transfer.dockerarchive import write_file

        _check_directory(parsed["output"])
        write_file(parsed["output"], lambda write: opened.exchange.save(parsed.args, write, nobody))
        return 0
    if sys.stdout.isatty():
        raise InvalidInput("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    from wherry.base.files import write_all

    opened.exchange.save(parsed.args, lambda data: write_all(1, data), nobody)
    return 0


def _check_directory(path: str) -> None:
    directory = os.path.dirname(path) or "."
    if not os.path.isdir(directory):
        raise InvalidInput(f'failed to save image: invalid output path: directory "{directory}" does not exist')
    if os.path.isdir(path):
        raise InvalidInput(f'failed to save image: invalid output path: "{path}" is a directory')
