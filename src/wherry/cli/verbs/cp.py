"""`cp`."""

from __future__ import annotations

import os
import sys

from wherry.base.errors import InvalidInput
from wherry.cli.context import engine
from wherry.cli.flags import Command, Flag
from wherry.cli.output import human_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.cli.flags import Parsed

__all__ = ["FLAGS", "check_local_target", "input_archive", "run", "split_place"]

FLAGS = (
    Flag("archive", "bool", "Give everything to the container's user", short="a"),
    Flag("follow-link", "bool", "Follow a symbolic link in SRC_PATH", short="L"),
)
_QUIET = Flag("quiet", "bool", "Print nothing (by itself where there is no terminal)", short="q")


def run(argv: list[str]) -> int:
    """Copy between a container and this machine."""
    usage = "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n       wherry cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH"
    summary = "Copy files/folders between a container and the local filesystem"
    parsed = Command("wherry cp", usage, summary, (*FLAGS, _QUIET), least=2, most=2).parse(argv[1:])
    quiet = parsed["quiet"] if "quiet" in parsed.given else not sys.stdout.isatty()
    (source, path), (target, place) = (split_place(text) for text in parsed.args)
    _check(source, path, target, place)
    if source:
        return _from(source, path, parsed, quiet=quiet)
    return _to(target, place, parsed, quiet=quiet)


def split_place(text: str) -> tuple[str, str]:
    """Container and path; no container for what is of this machine: an absolute path, or one without a colon."""
    name, colon, path = text.partition(":")
    if not colon or text.startswith(("/", ".")):
        return "", text
    return name, path


def _check(source: str, path: str, target: str, place: str) -> None:
    if not path and not source:
        raise InvalidInput("source can not be empty")
    if not place and not target:
        raise InvalidInput("destination can not be empty")
    if (source and not path) or (target and not place):
        raise InvalidInput("path cannot be empty", hint="write CONTAINER:PATH")
    if source and target:
        raise InvalidInput("copying between containers is not supported", hint="copy to a file here, then from it")
    if not source and not target:
        raise InvalidInput("must specify at least one container source", hint="write CONTAINER:PATH on one side")


def _from(container: str, path: str, parsed: Parsed, *, quiet: bool) -> int:
    target = parsed.args[1]
    if target == "-":
        if sys.stdout.isatty():
            raise InvalidInput("cowardly refusing to write an archive to a terminal", hint="redirect it")
        from wherry.base.files import write_all

        engine().files.read_from(container, path, lambda data: write_all(1, data), follow=parsed["follow-link"])
        return 0
    check_local_target(target)
    copied = engine().files.copy_from(container, path, target, follow=parsed["follow-link"])
    return _told(copied, target, quiet=quiet)


def _to(container: str, place: str, parsed: Parsed, *, quiet: bool) -> int:
    source = parsed.args[0]
    files = engine().files
    if source == "-":
        files.write_to(container, place, input_archive(), archive=parsed["archive"])
        return 0
    copied = files.copy_to(container, place, source, follow=parsed["follow-link"], archive=parsed["archive"])
    return _told(copied, parsed.args[1], quiet=quiet)


def _told(copied: int, where: str, *, quiet: bool) -> int:
    if not quiet:
        print(f"Successfully copied {human_size(copied, digits=3)} to {where}", file=sys.stderr)
    return 0


def check_local_target(path: str) -> None:
    """Raises InvalidInput in Docker's words where the directory to copy into is not there, or a device is."""
    import stat

    directory = os.path.dirname(os.path.normpath(path))
    if directory and not os.path.exists(directory):
        raise InvalidInput(f'invalid output path: directory "{directory}" does not exist')
    if os.path.exists(path):
        mode = os.stat(path).st_mode
        if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
            raise InvalidInput(f'invalid output path: "{path}" must be a directory or a regular file')


def input_archive() -> Callable[[int], bytes]:
    """The uncompressed bytes of the archive on standard input."""
    if sys.stdin.isatty():
        raise InvalidInput("the archive is read from standard input, which is a terminal", hint="redirect it")
    from io import BufferedReader, FileIO

    from wherry.build.archives import open_stream

    return open_stream(BufferedReader(FileIO(0, closefd=False)))
