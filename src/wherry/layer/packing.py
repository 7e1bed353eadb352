"""A directory tree, or the upper directory of an overlay mount, as a layer tar. Deterministic: names are sorted."""

from __future__ import annotations

import errno
import os
import stat

from wherry.base.errors import Unsupported
from wherry.layer.builder import read_xattrs
from wherry.layer.digesting import DigestSink, Packed
from wherry.layer.tarwriter import CHUNK, Meta, TarWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = [
    "hidden_names",
    "is_opaque",
    "is_same_directory",
    "is_whiteout",
    "lower_status",
    "pack_tree",
    "pack_upper",
    "showing_through",
]

_OVERLAY = "trusted.overlay."


def pack_tree(
    root: str, write: Callable[[bytes], object], *, clamp_mtime: int | None = None, settle: bool = False
) -> Packed:
    """Every entry below `root` (not `root` itself); times after `clamp_mtime` (s) become that time.

    With `settle` the tree becomes what the archive says, so that it can serve as the layer's snapshot: it gets those
    times, and sockets, which no archive can hold, are removed.
    """
    return _Packer(root, (), write, clamp_mtime, settle=settle).run()


def pack_upper(
    upper: str,
    lowers: Sequence[str],
    write: Callable[[bytes], object],
    *,
    clamp_mtime: int | None = None,
    settle: bool = False,
) -> Packed:
    """What `upper` changes over `lowers` (topmost first); `settle` as in `pack_tree`.

    A whiteout is written only for what a lower layer has; directories that were copied up and not changed, nor
    anything in them, are left out; an opaque directory becomes whiteouts of what it hides. Raises Unsupported for
    uppers with redirects or metadata-only copies.
    """
    return _Packer(upper, lowers, write, clamp_mtime, settle=settle).run()


def is_whiteout(status: os.stat_result) -> bool:
    """Whether an entry of an upper directory says "removed"."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(path: str | bytes) -> bool:
    """Whether a directory of an upper directory hides everything that lower ones have there."""
    try:
        return os.getxattr(path, _OVERLAY + "opaque", follow_symlinks=False) == b"y"
    except OSError:
        return False


class _Packer:
    def __init__(
        self,
        root: str,
        lowers: Sequence[str],
        write: Callable[[bytes], object],
        clamp: int | None,
        *,
        settle: bool,
    ) -> None:
        self._root = os.fsencode(root)
        self._lowers = [os.fsencode(lower) for lower in lowers]
        self._sink = DigestSink(write)
        self._tar = TarWriter(self._sink.write)
        self._clamp = clamp
        self._links: dict[tuple[int, int], bytes] = {}
        self._settle = settle
        self._way: list[_OnTheWay] = []

    def run(self) -> Packed:
        try:
            self._pack()
            self._tar.finish()
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise Unsupported("a name in the tree is longer than a path can be (4,095 bytes)") from None
            raise
        finally:
            diff_id = self._sink.close()
        return Packed(diff_id, self._sink.size, self._tar.entries)

    def _pack(self) -> None:
        """Walk the tree in order; a stack of what is still to be packed in each directory on the way."""
        ways = [self._inside(b"", self._lowers)]
        while ways:
            step = next(ways[-1], None)
            if step is not None:
                ways.append(self._inside(*step))
                continue
            ways.pop()
            if self._way:
                self._leave(self._way.pop())

    def _leave(self, directory: _OnTheWay) -> None:
        if self._settle:
            _set_mtime(directory.source, directory.meta.mtime if directory.is_written else directory.lower_mtime)

    def _inside(self, name: bytes, lowers: list[bytes]) -> Iterator[tuple[bytes, list[bytes]]]:
        """Pack what is in the directory `name`; gives the directories that are to be packed now.

        `lowers` are the lower directories that show through it.
        """
        with os.scandir(os.path.join(self._root, name)) as entries:
            inside = sorted(entries, key=lambda entry: entry.name)
        for entry in inside:
            path = name + b"/" + entry.name if name else entry.name
            status = entry.stat(follow_symlinks=False)
            below = [os.path.join(lower, entry.name) for lower in lowers]
            if entry.is_dir(follow_symlinks=False):
                yield path, self._subdirectory(path, entry.path, status, below)
            elif is_whiteout(status):
                if lower_status(below) is not None:
                    self._write_parents()
                    self._tar.whiteout(path)
            else:
                self._file(path, entry.path, status)

    def _write_parents(self) -> None:
        """Directories on the way that were left out so far: a layer that changes what is in one says what it is.

        Other tools would give a directory that is only implied to root, with a mode of their own.
        """
        unwritten = []
        for directory in reversed(self._way):
            if directory.is_written:
                break
            unwritten.append(directory)
        for directory in reversed(unwritten):
            self._tar.directory(directory.path, directory.meta)
            directory.is_written = True

    def _subdirectory(self, path: bytes, source: bytes, status: os.stat_result, below: list[bytes]) -> list[bytes]:
        """Pack the directory itself; the lower directories that show through it."""
        lower = lower_status(below) if below else None
        showing = showing_through(below)
        meta = self._meta(source, status)
        if below and _has_redirect(source):
            raise Unsupported(
                f"{os.fsdecode(source)} was renamed by the kernel's redirect_dir, which layers cannot say"
            )
        self._way.append(_OnTheWay(path, source, meta, lower.st_mtime_ns // 1_000_000_000 if lower else 0))
        if lower is None or not is_same_directory(status, lower) or meta.xattrs != _lower_xattrs(below):
            self._write_parents()
        if below and is_opaque(source):
            self._hide(path, source, showing)
            return []
        return showing

    def _hide(self, path: bytes, source: bytes, showing: list[bytes]) -> None:
        for name in hidden_names(source, showing):
            self._write_parents()
            self._tar.whiteout(path + b"/" + name)

    def _meta(self, source: bytes, status: os.stat_result) -> Meta:
        mtime = status.st_mtime_ns // 1_000_000_000
        if self._clamp is not None:
            mtime = min(mtime, self._clamp)
        return Meta(stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, mtime, read_xattrs(source))

    def _file(self, path: bytes, source: bytes, status: os.stat_result) -> None:
        if stat.S_ISSOCK(status.st_mode):
            if self._settle:
                os.unlink(source)
            return
        meta = self._meta(source, status)
        self._write_parents()
        if self._settle and status.st_mtime_ns != meta.mtime * 1_000_000_000:
            _set_mtime(source, meta.mtime)
        if status.st_nlink > 1:
            first = self._links.setdefault((status.st_dev, status.st_ino), path)
            if first != path:
                self._tar.hard_link(path, meta, first)
                return
        if stat.S_ISREG(status.st_mode):
            self._regular(path, source, meta)
        elif stat.S_ISLNK(status.st_mode):
            self._tar.symlink(path, meta, os.readlink(source))
        elif stat.S_ISFIFO(status.st_mode):
            self._tar.fifo(path, meta)
        else:
            self._tar.device(path, meta, block=stat.S_ISBLK(status.st_mode), number=status.st_rdev)

    def _regular(self, path: bytes, source: bytes, meta: Meta) -> None:
        fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            size = os.fstat(fd).st_size
            if size <= CHUNK:
                self._tar.small_file(path, meta, os.read(fd, size))
                return
            self._tar.file_header(path, meta, size)
            left = size
            while left:
                data = os.read(fd, min(left, CHUNK))
                if not data:
                    raise OSError(errno.EIO, "file became smaller while it was read", os.fsdecode(source))
                self._tar.content(data)
                left -= len(data)
            self._tar.padding(size)
        finally:
            os.close(fd)


class _OnTheWay:
    """A directory whose content is being packed; it is written when the first thing in it is."""

    def __init__(self, path: bytes, source: bytes, meta: Meta, lower_mtime: int) -> None:
        self.path = path
        self.source = source
        self.meta = meta
        self.lower_mtime = lower_mtime
        self.is_written = False


def _set_mtime(path: bytes, mtime: int) -> None:
    os.utime(path, ns=(mtime * 1_000_000_000, mtime * 1_000_000_000), follow_symlinks=False)


def lower_status(candidates: Sequence[bytes]) -> os.stat_result | None:
    """What the topmost lower layer that speaks of the name says; None where it is absent or removed."""
    for candidate in candidates:
        try:
            status = os.lstat(candidate)
        except (FileNotFoundError, NotADirectoryError):
            continue
        return None if is_whiteout(status) else status
    return None


def _lower_xattrs(candidates: Sequence[bytes]) -> Mapping[str, bytes]:
    """The attributes of the directory that shows below."""
    return next((read_xattrs(candidate) for candidate in candidates if os.path.isdir(candidate)), {})


def showing_through(candidates: Sequence[bytes]) -> list[bytes]:
    """The lower directories that a directory of that name merges with."""
    showing: list[bytes] = []
    for candidate in candidates:
        try:
            status = os.lstat(candidate)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if not stat.S_ISDIR(status.st_mode):
            break
        showing.append(candidate)
        if is_opaque(candidate):
            break
    return showing


def hidden_names(source: bytes, showing: Sequence[bytes]) -> list[bytes]:
    """What the lower directories have and the opaque `source` has not, in order."""
    own = set(os.listdir(source))
    names = {name for lower in showing for name in os.listdir(lower) if name not in own}
    return [name for name in sorted(names) if lower_status([os.path.join(one, name) for one in showing]) is not None]


def is_same_directory(upper: os.stat_result, lower: os.stat_result) -> bool:
    """Whether mode and owner are the same."""
    return (upper.st_mode, upper.st_uid, upper.st_gid) == (lower.st_mode, lower.st_uid, lower.st_gid)


def _has_redirect(path: bytes) -> bool:
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return False
    return _OVERLAY + "redirect" in names or _OVERLAY + "metacopy" in names
