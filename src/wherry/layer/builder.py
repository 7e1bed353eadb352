"""A layer written twice in one pass: as the directory that mounts use, and as the tar that is stored and sent."""

from __future__ import annotations

import os
import stat

from wherry.base.errors import WherryError
from wherry.base.files import write_all
from wherry.layer.digesting import DigestSink, Packed
from wherry.layer.tarwriter import CHUNK, Meta, TarWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["LayerBuilder", "kept_xattrs", "read_xattrs", "set_meta"]

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_MODE = 0o644
_NO_XATTRS: dict[str, bytes] = {}


def kept_xattrs(name: str) -> bool:
    """Whether an extended attribute belongs into a layer: capabilities, ACLs and what users set themselves."""
    if name.startswith("user."):
        return not name.startswith("user.overlay.")
    return name in ("security.capability", "system.posix_acl_access", "system.posix_acl_default")


def read_xattrs(path: int | str | bytes) -> Mapping[str, bytes]:
    """The extended attributes of an open file or a path (a link itself, not its target) that a layer keeps."""
    try:
        names = os.listxattr(path) if isinstance(path, int) else os.listxattr(path, follow_symlinks=False)
    except OSError:
        return _NO_XATTRS
    if not names:
        return _NO_XATTRS
    follow = isinstance(path, int)
    return {name: os.getxattr(path, name, follow_symlinks=follow) for name in names if kept_xattrs(name)}


def set_meta(fd: int, meta: Meta) -> None:
    """Give an open file or directory owner, mode, attributes and time, in the order in which each survives the next."""
    os.fchown(fd, meta.uid, meta.gid)
    os.fchmod(fd, meta.mode)
    for name, value in meta.xattrs.items():
        os.setxattr(fd, name, value)
    os.utime(fd, ns=(meta.mtime * 1_000_000_000, meta.mtime * 1_000_000_000))


class LayerBuilder:
    """Puts entries below `directory` and into the tar that goes to `write`.

    Names are relative, without `.` or `..`, and parents come before their children; the caller has resolved every
    symbolic link, so that no parent is one. Owners are those of `Meta`. Nothing but `finish` makes the layer whole.
    """

    def __init__(self, directory: str, write: Callable[[bytes], object]) -> None:
        self._root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._sink = DigestSink(write)
        self._tar = TarWriter(self._sink.write)
        self._parent_name = b""
        self._parent_fd = self._root
        self._directories: list[tuple[bytes, Meta]] = []
        self._made: set[bytes] = set()
        self._fresh: tuple[int, int, int] | None = None  # owner, group and mode of a file just created

    def has_directory(self, name: bytes) -> bool:
        """Whether this layer already holds the directory `name`."""
        return not name or name in self._made

    def directory(self, name: bytes, meta: Meta) -> None:
        """Make the directory, or give it new metadata; its time is set by `finish`, after its children are there."""
        fd, base = self._parent(name)
        try:
            os.mkdir(base, 0o700, dir_fd=fd)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(base, dir_fd=fd).st_mode):
                os.unlink(base, dir_fd=fd)
                os.mkdir(base, 0o700, dir_fd=fd)
        self._made.add(name)
        self._directories.append((name, meta))
        self._tar.directory(name, meta)

    def file(self, name: bytes, meta: Meta, source: int, size: int) -> None:
        """Copy `size` bytes from the descriptor `source`. Raises WherryError where the source gives fewer."""
        parent, base = self._parent(name)
        target = self._create(base, parent)
        try:
            if size <= CHUNK:
                data = _read_exactly(source, size, name)
                write_all(target, data)
                self._tar.small_file(name, meta, data)
            else:
                self._large_file(name, meta, source, size, target)
            self._set_meta(target, meta)
        finally:
            os.close(target)

    def data(self, name: bytes, meta: Meta, data: bytes) -> None:
        """Write a file of exactly `data`."""
        parent, base = self._parent(name)
        target = self._create(base, parent)
        try:
            write_all(target, data)
            self._tar.small_file(name, meta, data)
            self._set_meta(target, meta)
        finally:
            os.close(target)

    def _create(self, base: bytes, parent: int) -> int:
        try:
            return os.open(base, _NEW, _NEW_MODE, dir_fd=parent)
        except FileExistsError:
            os.unlink(base, dir_fd=parent)
            return os.open(base, _NEW, _NEW_MODE, dir_fd=parent)

    def _set_meta(self, fd: int, meta: Meta) -> None:
        """As `set_meta` for a file just created, leaving out what it has already: for most files, owner and mode."""
        if self._fresh is None:
            status = os.fstat(fd)
            self._fresh = (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode))
        if (meta.uid, meta.gid, meta.mode) == self._fresh and not meta.xattrs:
            os.utime(fd, ns=(meta.mtime * 1_000_000_000, meta.mtime * 1_000_000_000))
        else:
            set_meta(fd, meta)

    def _large_file(self, name: bytes, meta: Meta, source: int, size: int, target: int) -> None:
        self._tar.file_header(name, meta, size)
        left = size
        while left:
            data = os.read(source, min(left, CHUNK))
            if not data:
                raise _shrunk(name)
            write_all(target, data)
            self._tar.content(data)
            left -= len(data)
        self._tar.padding(size)

    def symlink(self, name: bytes, meta: Meta, target: bytes) -> None:
        """A symbolic link with `target` verbatim."""
        parent, base = self._parent(name)
        self._vacate(base, parent)
        os.symlink(target, base, dir_fd=parent)
        os.chown(base, meta.uid, meta.gid, dir_fd=parent, follow_symlinks=False)
        times = (meta.mtime * 1_000_000_000, meta.mtime * 1_000_000_000)
        os.utime(base, ns=times, dir_fd=parent, follow_symlinks=False)
        self._tar.symlink(name, meta, target)

    def hard_link(self, name: bytes, meta: Meta, target: bytes) -> None:
        """A further name of the file `target` of this layer."""
        parent, base = self._parent(name)
        self._vacate(base, parent)
        os.link(target, base, src_dir_fd=self._root, dst_dir_fd=parent, follow_symlinks=False)
        self._tar.hard_link(name, meta, target)

    def special(self, name: bytes, meta: Meta, mode: int, device: int) -> None:
        """A device or FIFO; `mode` carries the kind as in `st_mode`."""
        parent, base = self._parent(name)
        self._vacate(base, parent)
        os.mknod(base, stat.S_IFMT(mode) | 0o600, device, dir_fd=parent)
        os.chown(base, meta.uid, meta.gid, dir_fd=parent, follow_symlinks=False)
        os.chmod(base, meta.mode, dir_fd=parent)
        if stat.S_ISFIFO(mode):
            self._tar.fifo(name, meta)
        else:
            self._tar.device(name, meta, block=stat.S_ISBLK(mode), number=device)

    def _vacate(self, base: bytes, parent: int) -> None:
        try:
            os.unlink(base, dir_fd=parent)
        except FileNotFoundError:
            pass

    def _parent(self, name: bytes) -> tuple[int, bytes]:
        parent, _, base = name.rpartition(b"/")
        if base.startswith(b".wh."):
            raise WherryError(
                f"{os.fsdecode(name)} cannot be in an image: names that begin with .wh. mean removed files",
                hint="leave it out with .dockerignore",
            )
        if parent != self._parent_name:
            self._close_parent()
            if parent:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                self._parent_fd = os.open(parent, flags, dir_fd=self._root)
            self._parent_name = parent
        return self._parent_fd, base

    def _close_parent(self) -> None:
        if self._parent_fd != self._root:
            os.close(self._parent_fd)
        self._parent_name, self._parent_fd = b"", self._root

    def finish(self) -> Packed:
        """End the archive and give the directories their metadata."""
        latest = dict(self._directories)  # a directory that was written twice has what the archive says last
        for name, meta in reversed(latest.items()):
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._root)
            try:
                set_meta(fd, meta)
            finally:
                os.close(fd)
        self._tar.finish()
        return Packed(self._sink.close(), self._sink.size, self._tar.entries)

    def close(self) -> None:
        """Give the descriptors back; harmless when repeated."""
        if self._root >= 0:
            self._close_parent()
            os.close(self._root)
            self._root = self._parent_fd = -1
            self._sink.close()

    def __enter__(self) -> LayerBuilder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _shrunk(name: bytes) -> WherryError:
    return WherryError(f"{os.fsdecode(name)} became smaller while it was copied", hint="try again when it is at rest")


def _read_exactly(source: int, size: int, name: bytes) -> bytes:
    data = os.read(source, size)
    while len(data) < size:
        more = os.read(source, size - len(data))
        if not more:
            raise _shrunk(name)
        data += more
    return data
