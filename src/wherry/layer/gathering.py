"""A file or tree that others may change meanwhile, as a tar archive: walked by descriptors, never through a link.

Unlike a layer (`layer.packing`), it is what is there, seen from one directory, under a name of the caller's choice.
"""

from __future__ import annotations

import errno
import os
import stat

from wherry.layer.builder import read_xattrs
from wherry.layer.tarwriter import CHUNK, Meta, TarWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["gather"]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ZEROS = bytes(CHUNK)


def gather(
    parent: int, name: bytes, shown: bytes, write: Callable[[bytes], object], *, leave_out: frozenset[int] = frozenset()
) -> int:
    """Write `name`, which is in the open directory `parent` (`.` for that itself), as `shown`, and all below it.

    Where `shown` is empty, what is in the directory is written without the directory itself. What goes away meanwhile
    is left out; a file that becomes smaller meanwhile is filled with zeros, one that grows is cut. Sockets are left
    out: no archive can hold them. Of file systems below whose number (`st_dev`) is in `leave_out`, only the directory
    that they are mounted on is written. Returns the bytes of content.
    """
    gatherer = _Gatherer(write, leave_out)
    gatherer.run(parent, name, shown)
    return gatherer.content


class _Gatherer:
    def __init__(self, write: Callable[[bytes], object], leave_out: frozenset[int]) -> None:
        self._tar = TarWriter(write)
        self._leave_out = leave_out
        self._links: dict[tuple[int, int], bytes] = {}
        self.content = 0

    def run(self, parent: int, name: bytes, shown: bytes) -> None:
        """A stack of open directories, each with what is still to be written in it."""
        ways = [self._single(parent, name, shown)]
        held: list[int] = []
        try:
            while ways:
                step = next(ways[-1], None)
                if step is not None:
                    held.append(step[0])
                    ways.append(self._inside(*step))
                    continue
                ways.pop()
                if held:
                    os.close(held.pop())
        finally:
            for fd in held:
                os.close(fd)
        self._tar.finish()

    def _single(self, parent: int, name: bytes, shown: bytes) -> Iterator[tuple[int, bytes]]:
        yield from self._entry(parent, name, shown)

    def _inside(self, directory: int, shown: bytes) -> Iterator[tuple[int, bytes]]:
        for name in sorted(map(os.fsencode, os.listdir(directory))):
            try:
                yield from self._below(directory, name, shown + b"/" + name if shown else name)
            except FileNotFoundError:
                continue

    def _below(self, parent: int, name: bytes, shown: bytes) -> Iterator[tuple[int, bytes]]:
        for step in self._entry(parent, name, shown):
            if os.fstat(step[0]).st_dev in self._leave_out:
                os.close(step[0])
            else:
                yield step

    def _entry(self, parent: int, name: bytes, shown: bytes) -> Iterator[tuple[int, bytes]]:
        """Write one entry; gives it, opened, where it is a directory whose content is to follow."""
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            fd = _open(name, _DIRECTORY, parent)
            if shown:
                self._tar.directory(shown, _meta(os.fstat(fd), fd))
            yield fd, shown
        elif not self._linked(shown, status):
            self._leaf(parent, name, shown, status)

    def _linked(self, shown: bytes, status: os.stat_result) -> bool:
        """Write a further name of a file that is in the archive already."""
        if status.st_nlink < 2:
            return False
        first = self._links.setdefault((status.st_dev, status.st_ino), shown)
        if first != shown:
            self._tar.hard_link(shown, _meta(status), first)
        return first != shown

    def _leaf(self, parent: int, name: bytes, shown: bytes, status: os.stat_result) -> None:
        mode = status.st_mode
        if stat.S_ISREG(mode):
            self._regular(parent, name, shown)
        elif stat.S_ISLNK(mode):
            self._tar.symlink(shown, _meta(status), os.readlink(name, dir_fd=parent))
        elif stat.S_ISFIFO(mode):
            self._tar.fifo(shown, _meta(status))
        elif stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            self._tar.device(shown, _meta(status), block=stat.S_ISBLK(mode), number=status.st_rdev)

    def _regular(self, parent: int, name: bytes, shown: bytes) -> None:
        fd = _open(name, _FILE, parent)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise FileNotFoundError(errno.ENOENT, "replaced while it was read", os.fsdecode(name))
            size = status.st_size
            self._tar.file_header(shown, _meta(status, fd), size)
            left = size
            while left:
                data = os.read(fd, min(left, CHUNK)) or _ZEROS[:left]
                self._tar.content(data)
                left -= len(data)
            self._tar.padding(size)
            self.content += size
        finally:
            os.close(fd)


def _open(name: bytes, flags: int, parent: int) -> int:
    try:
        return os.open(name, flags, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):  # it became something else a moment ago
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fsdecode(name)) from None
        raise


def _meta(status: os.stat_result, fd: int = -1) -> Meta:
    xattrs = read_xattrs(fd) if fd >= 0 else {}
    return Meta(stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns // 1_000_000_000, xattrs)
