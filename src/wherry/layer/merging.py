"""An archive becomes part of a tree that has content already and that others may change meanwhile (`cp`).

Unlike a layer (`layer.unpacking`), nothing has a meaning besides itself: names that begin with `.wh.` are files.
"""

from __future__ import annotations

import errno
import os
import stat

from wherry.base.errors import Conflict
from wherry.layer.tarreader import Entry, TarReader
from wherry.layer.unpacking import Limits, Unpacker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["merge"]

_COPY = 1 << 20
_NO_LIMITS = Limits(entries=1 << 62, size=1 << 62)


def merge(
    read: Callable[[int], bytes],
    directory: int,
    *,
    where: str,
    follow: Callable[[str], int],
    keep_owner: bool,
    owner: tuple[int, int] | None = None,
) -> None:
    """Put what the archive holds into the open `directory`, which errors call `where`.

    Files take the place of files, and directories are merged; a directory in the way of something else, or the other
    way round, raises Conflict. `owner` is given to all; else entries get their own owners where `keep_owner`, and else
    that of this process. `follow(name)` opens the directory that a link in `directory` leads to.
    """
    merger = _Merger(directory, where, follow, keep_owner=keep_owner, owner=owner)
    try:
        merger.run(read)
    finally:
        merger.close()


class _Merger(Unpacker):
    _knows_whiteouts = False

    def __init__(
        self,
        directory: int,
        where: str,
        follow: Callable[[str], int],
        *,
        keep_owner: bool,
        owner: tuple[int, int] | None,
    ) -> None:
        super().__init__(f"/proc/self/fd/{directory}", (), _NO_LIMITS, overlay=False)
        self._where = where
        self._follow = follow
        self._keep_owner = keep_owner
        self._owner = owner

    def _counted(self, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
        """Reads in large pieces, and neither hashes nor counts."""
        buffer, position = b"", 0

        def take(count: int) -> bytes:
            nonlocal buffer, position
            if position >= len(buffer):
                buffer, position = read(_COPY), 0
            piece = buffer[position : position + count]
            position += len(piece)
            return piece

        return take

    def _apply_root(self, entry: Entry) -> None:
        """The directory that is copied into stays what it is."""

    def _opened(self, name: bytes, base: bytes, parent: int) -> int:
        try:
            return os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        except FileNotFoundError:
            return self._implied(name, base, parent)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
        return self._follow(os.fsdecode(name))

    def _vacate(self, name: bytes, base: bytes, fd: int) -> None:
        try:
            status = os.lstat(base, dir_fd=fd)
        except FileNotFoundError:
            return
        if stat.S_ISDIR(status.st_mode):
            raise Conflict(f'cannot overwrite directory "{self._shown(name)}" with non-directory "{os.fsdecode(name)}"')
        os.unlink(base, dir_fd=fd)

    def _directory(self, entry: Entry, name: bytes, fd: int, base: bytes, _: TarReader) -> None:
        try:
            os.mkdir(base, 0o700, dir_fd=fd)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(base, dir_fd=fd).st_mode):
                words = f'cannot overwrite non-directory "{self._shown(name)}" with directory "{os.fsdecode(name)}"'
                raise Conflict(words) from None
        self._finish(self._parent(name), entry)
        self._times.put(name, entry.mtime)

    def _shown(self, name: bytes) -> str:
        return os.path.join(self._where, os.fsdecode(name))

    def _own(self, base: bytes, fd: int, entry: Entry) -> None:
        if self._owner is not None or self._keep_owner:
            uid, gid = self._owner or (entry.uid, entry.gid)
            os.chown(base, uid, gid, dir_fd=fd, follow_symlinks=False)

    def _finish(self, fd: int, entry: Entry) -> None:
        if self._owner is not None:
            entry = entry._replace(uid=self._owner[0], gid=self._owner[1])
        elif not self._keep_owner:
            status = os.fstat(fd)
            entry = entry._replace(uid=status.st_uid, gid=status.st_gid)
        super()._finish(fd, entry)
