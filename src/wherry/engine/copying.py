"""`cp`: files between two trees, this machine's and a container's, or a tar stream in place of one of them.

What is read goes as an archive from one side to the other. On both sides every name is walked by the kernel below that
side's root, so that no link in a container leads out of it, whatever its processes do meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat
import threading

from wherry.base.errors import Conflict, InvalidInput, NotFound, WherryError
from wherry.base.files import write_all
from wherry.base.values import NamedTuple
from wherry.engine.copyrules import Target, absolute, names_content, placed, split_entry
from wherry.kernel.rooted import open_in_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Source",
    "Tree",
    "copy",
    "find_source",
    "find_target",
    "followed",
    "local_path",
    "read_archive",
    "write_archive",
]

_PATH = os.O_PATH | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_MOST_LINKS = 40  # path_resolution(7)


class Tree(NamedTuple):
    """One side: `root` is an open directory, `name` the container's or empty for this machine."""

    root: int
    name: str = ""
    leave_out: frozenset[int] = frozenset()  # file systems of the kernel's, by `st_dev`

    def shown(self, path: str) -> str:
        """The path as users write it."""
        return f"{self.name}:{path}" if self.name else path


class Source(NamedTuple):
    """What is copied: `entry` in the open directory `parent`, which whoever copies closes; `name` is its name there."""

    parent: int
    entry: str
    name: str
    is_directory: bool


def find_source(tree: Tree, path: str, *, follow: bool) -> Source:
    """`path` is absolute; a link at its end is followed only with `follow`. Raises NotFound."""
    name = split_entry(path)[1]
    if follow:
        path = followed(tree, path)
    try:
        if path.endswith("/") or names_content(path):
            return Source(open_in_root(tree.root, path, _DIRECTORY), ".", name, is_directory=True)
        parent, entry = os.path.split(path)
        directory = open_in_root(tree.root, parent, _DIRECTORY)
        try:
            status = os.stat(entry, dir_fd=directory, follow_symlinks=False)
        except BaseException:
            os.close(directory)
            raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _missing(tree, path, error) from None
    return Source(directory, entry, name, stat.S_ISDIR(status.st_mode))


def _missing(tree: Tree, path: str, error: OSError) -> WherryError:
    if isinstance(error, NotADirectoryError):
        return Conflict(f"{tree.shown(path)}: not a directory")
    if tree.name:
        return NotFound(f"Could not find the file {path} in container {tree.name}")
    return NotFound(f"{path}: no such file or directory")


def followed(tree: Tree, path: str) -> str:
    """Where the links at the end of `path` lead, as a path below the root; nothing need be there."""
    for _ in range(_MOST_LINKS):
        parent, entry = os.path.split(path.rstrip("/") if path.strip("/") else path)
        if names_content(path) or not entry:
            return path
        target = _link_at(tree, parent, entry)
        if target is None:
            return path
        path = os.path.join(parent, target)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def _link_at(tree: Tree, parent: str, entry: str) -> str | None:
    try:
        directory = open_in_root(tree.root, parent, _PATH | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        return os.readlink(entry, dir_fd=directory)
    except OSError:
        return None
    finally:
        os.close(directory)


def find_target(tree: Tree, path: str) -> Target:
    """What is at the absolute `path`, links at its end followed even where they lead to nothing yet.

    Raises InvalidInput where that is a device or anything else that is neither directory nor file.
    """
    ending = "/." if names_content(path) else "/" if path.endswith("/") else ""
    chased = followed(tree, path.removesuffix(ending)) if ending and path.strip("/.") else followed(tree, path)
    chased = chased.rstrip("/") + ending if ending else chased
    try:
        fd = open_in_root(tree.root, chased, _PATH)
    except (FileNotFoundError, NotADirectoryError):
        return Target(chased)
    try:
        mode = os.fstat(fd).st_mode
    finally:
        os.close(fd)
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise InvalidInput(f'destination "{tree.shown(path)}" must be a directory or a regular file')
    return Target(chased, exists=True, is_directory=stat.S_ISDIR(mode))


def copy(
    origin: Tree, source: Source, into: Tree, target: Target, *, keep_owner: bool, owner: tuple[int, int] | None = None
) -> int:
    """Copy, as Docker's rules say; the bytes of content. `owner` gets all; else see `layer.merging.merge`."""
    from wherry.layer.gathering import gather

    place, name = placed(source.name, target, is_directory=source.is_directory)

    def pack(write: Callable[[bytes], object]) -> int:
        entry, shown = os.fsencode(source.entry), os.fsencode(name)
        return gather(source.parent, entry, shown, write, leave_out=origin.leave_out)

    with _Stream(pack) as stream:
        _merge(stream.read, into, place, keep_owner=keep_owner, owner=owner)
        return stream.finish()


def _merge(
    read: Callable[[int], bytes], into: Tree, place: str, *, keep_owner: bool, owner: tuple[int, int] | None
) -> None:
    from wherry.layer.merging import merge

    def follow(name: str) -> int:
        return open_in_root(into.root, f"{place}/{name}", _DIRECTORY)

    try:
        directory = open_in_root(into.root, place, _DIRECTORY)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _missing(into, place, error) from None
    try:
        merge(read, directory, where=place, follow=follow, keep_owner=keep_owner, owner=owner)
    except OSError as error:
        raise _explained(error, into, place) from error
    finally:
        os.close(directory)


def _explained(error: OSError, into: Tree, place: str) -> WherryError:
    if error.errno != errno.EROFS:
        name = os.fsdecode(error.filename) if error.filename else ""
        return WherryError(f"cannot copy to {into.shown(os.path.join(place, name))}: {error.strerror}")
    return Conflict(
        f"cannot copy to {into.shown(place)}: it is marked read-only",
        hint="copy to a volume that is not, or make the container without --read-only",
    )


class _Stream:
    """The archive that `pack` writes, as something to read; an error of the writer is raised to the reader."""

    def __init__(self, pack: Callable[[Callable[[bytes], object]], int]) -> None:
        self._pack = pack
        self._error: BaseException | None = None
        self._result = 0
        self._reading, self._writing = os.pipe()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self) -> _Stream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._reading)  # a writer that still writes gets EPIPE
        self._thread.join()

    def _write(self) -> None:
        try:
            self._result = self._pack(lambda data: write_all(self._writing, data))
        except BaseException as error:  # noqa: BLE001 (raised where the archive is read)
            self._error = error
        finally:
            os.close(self._writing)

    def read(self, count: int) -> bytes:
        """At most `count` bytes; none at the end."""
        data = os.read(self._reading, count)
        if not data:
            self.finish()
        return data

    def finish(self) -> int:
        """Wait for the writer; what `pack` returned, or its error."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._result


def write_archive(origin: Tree, source: Source, write: Callable[[bytes], object]) -> int:
    """`cp CONTAINER:PATH -`."""
    from wherry.layer.gathering import gather

    entry, shown = os.fsencode(source.entry), os.fsencode(source.name)
    return gather(source.parent, entry, shown, write, leave_out=origin.leave_out)


def read_archive(
    read: Callable[[int], bytes], into: Tree, target: Target, *, owner: tuple[int, int] | None = None
) -> None:
    """`cp - CONTAINER:PATH`: the stream `read`, compressed or not. Raises InvalidInput where no directory is there."""
    if not target.is_directory:
        raise InvalidInput(f'destination "{into.shown(target.path)}" must be a directory')
    _merge(read, into, target.path, keep_owner=True, owner=owner)


def local_path(path: str) -> str:
    """A path of this machine, absolute."""
    return absolute(path, os.getcwd())
