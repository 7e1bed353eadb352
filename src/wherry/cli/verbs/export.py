"""`export`."""

from __future__ import annotations

import os
import sys

from wherry.base.errors import InvalidInput
from wherry.base.files import remove_if_exists, write_all
from wherry.cli.context import engine
from wherry.cli.flags import Command, Flag

__all__ = ["run"]

_FLAGS = (Flag("output", "str", "Write to a file, and not to standard output", short="o"),)


def run(argv: list[str]) -> int:
    """Write a container's files, without those of its volumes, as a tar archive."""
    summary = "Export a container's filesystem as a tar archive"
    parsed = Command("wherry export", "[OPTIONS] CONTAINER", summary, _FLAGS, least=1, most=1).parse(argv[1:])
    if not parsed["output"]:
        if sys.stdout.isatty():
            raise InvalidInput("cowardly refusing to save to a terminal. Use the -o flag or redirect")
        engine().files.export(parsed.args[0], lambda data: write_all(1, data))
        return 0
    from wherry.cli.verbs.cp import check_local_target

    check_local_target(parsed["output"])
    if os.path.isdir(parsed["output"]):
        raise InvalidInput(f'failed to export container: invalid output path: "{parsed["output"]}" is a directory')
    _write_whole(parsed["output"], parsed.args[0])
    return 0


def _write_whole(path: str, container: str) -> None:
    """The file is there when it is whole, or not at all."""
    temporary = f"{path}.{os.getpid()}.tmp"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            engine().files.export(container, lambda data: write_all(fd, data))
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except BaseException:
        remove_if_exists(temporary)
        raise
