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
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["is_opaque", "is_whiteout", "pack_tree", "pack_upper"]

_OVERLAY = "trusted.overlay."


def pack_tree(root: str, write: Callable[[bytes], object], *, clamp_mtime: int | None = None) -> Packed:
    """Every entry below `root` (not `root` itself); times after `clamp_mtime` (s) become that time."""
    return _Packer(root, (), write, clamp_mtime).run()


def pack_upper(
    upper: str,
    lowers: Sequence[str],
    write: Callable[[bytes], object],
    *,
    clamp_mtime: int | None = None,
) -> Packed:
    """What `upper` changes over `lowers` (topmost first).

    A whiteout is written only for what a lower layer has; directories that were copied up and not changed are left
    out; an opaque directory becomes whiteouts of what it hides. Raises Unsupported for uppers with redirects or
    metadata-only copies.
    """
    return _Packer(upper, lowers, write, clamp_mtime).run()


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
    ) -> None:
        self._root = os.fsencode(root)
        self._lowers = [os.fsencode(lower) for lower in lowers]
        self._sink = DigestSink(write)
        self._tar = TarWriter(self._sink.write)
        self._clamp = clamp
        self._links: dict[tuple[int, int], bytes] = {}

    def run(self) -> Packed:
        try:
            self._directory(b"", self._lowers)
            self._tar.finish()
        finally:
            diff_id = self._sink.close()
        return Packed(diff_id, self._sink.size, self._tar.entries)

    def _directory(self, name: bytes, lowers: list[bytes]) -> None:
        """Pack what is inside the directory `name`; `lowers` are the lower directories that show through it."""
        with os.scandir(os.path.join(self._root, name)) as entries:
            inside = sorted(entries, key=lambda entry: entry.name)
        for entry in inside:
            path = name + b"/" + entry.name if name else entry.name
            status = entry.stat(follow_symlinks=False)
            below = [os.path.join(lower, entry.name) for lower in lowers]
            if entry.is_dir(follow_symlinks=False):
                self._subdirectory(path, entry.path, status, below)
            elif is_whiteout(status):
                if _lower_status(below) is not None:
                    self._tar.whiteout(path)
            else:
                self._file(path, entry.path, status)

    def _subdirectory(self, path: bytes, source: bytes, status: os.stat_result, below: list[bytes]) -> None:
        lower = _lower_status(below) if below else None
        showing = _showing(below)
        meta = self._meta(source, status)
        if below and _has_redirect(source):
            raise Unsupported(
                f"{os.fsdecode(source)} was renamed by the kernel's redirect_dir, which layers cannot say"
            )
        if lower is None or not _same_directory(status, lower) or meta.xattrs != _lower_xattrs(below):
            self._tar.directory(path, meta)
        if below and is_opaque(source):
            self._hide(path, source, showing)
            showing = []
        self._directory(path, showing)

    def _hide(self, path: bytes, source: bytes, showing: list[bytes]) -> None:
        own = set(os.listdir(source))
        hidden: set[bytes] = set()
        for lower in showing:
            hidden.update(name for name in os.listdir(lower) if name not in own)
        for name in sorted(hidden):
            if _lower_status([os.path.join(lower, name) for lower in showing]) is not None:
                self._tar.whiteout(path + b"/" + name)

    def _meta(self, source: bytes, status: os.stat_result) -> Meta:
        mtime = int(status.st_mtime // 1)
        if self._clamp is not None:
            mtime = min(mtime, self._clamp)
        return Meta(stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, mtime, read_xattrs(source))

    def _file(self, path: bytes, source: bytes, status: os.stat_result) -> None:
        meta = self._meta(source, status)
        if stat.S_ISSOCK(status.st_mode):
            return
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


def _lower_status(candidates: Sequence[bytes]) -> os.stat_result | None:
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


def _showing(candidates: Sequence[bytes]) -> list[bytes]:
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


def _same_directory(upper: os.stat_result, lower: os.stat_result) -> bool:
    return (upper.st_mode, upper.st_uid, upper.st_gid) == (lower.st_mode, lower.st_uid, lower.st_gid)


def _has_redirect(path: bytes) -> bool:
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return False
    return _OVERLAY + "redirect" in names or _OVERLAY + "metacopy" in names
