"""A layer archive becomes a directory that an overlay mount takes. Archives are hostile until proven otherwise.

Names are walked one component at a time from an open directory, never through a symbolic link, so nothing is ever
written outside the target; a leading `/` is taken off, as every other tool does, and `..` is refused.
"""

from __future__ import annotations

import errno
import os
import stat

from wherry.base.errors import Corrupt, HostileArchive, Unavailable
from wherry.base.files import remove_directory_at, write_all
from wherry.base.values import NamedTuple
from wherry.layer.builder import kept_xattrs
from wherry.layer.decompressing import open_layer
from wherry.layer.packing import is_whiteout
from wherry.layer.tarreader import Entry, TarReader
from wherry.layer.times import DirectoryTimes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wherry.layer.decompressing import Readable

__all__ = ["Limits", "Unpacked", "Unpacker", "unpack"]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
_OPEN_DIRECTORIES = 512
_MAX_NAME = 4095  # bytes: what a program in the container could name at all (PATH_MAX)
_MOST_REPLACED = 100_000  # entries that take the place of earlier ones, each of which had to be made and removed
_MAX_XATTRS = 1 << 16  # bytes of names and values: what Linux lists at most
_COPY = 1 << 20


class Limits(NamedTuple):
    """What one layer may be at most: entries (with directories that are only implied), and bytes.

    The bytes of its uncompressed archive are limited, and so are those of its files where they are sparse.
    """

    entries: int = 2_000_000
    size: int = 64 << 30


class Unpacked(NamedTuple):
    """What an archive turned out to be; `size` in bytes, uncompressed."""

    diff_id: str
    size: int
    entries: int


def unpack(
    stream: Readable,
    target: str,
    *,
    compression: str = "auto",
    lowers: Iterable[str] = (),
    limits: Limits | None = None,
    overlay: bool = True,
) -> Unpacked:
    """Write the layer `stream` into the empty directory `target` in the form that overlay mounts take.

    With `overlay` off, whiteouts are refused: the archive is then not a layer but the content of one (ADD). Directories
    that the archive implies take their metadata from `lowers` (topmost first). Raises HostileArchive or Corrupt.
    """
    unpacker = Unpacker(target, lowers, limits or Limits(), overlay=overlay)
    try:
        return unpacker.run(open_layer(stream, compression))
    finally:
        unpacker.close()


class Unpacker:
    """One archive on its way into a directory; `layer.merging` is another kind, for directories that have content."""

    _knows_whiteouts = True

    def __init__(self, target: str, lowers: Iterable[str], limits: Limits, *, overlay: bool) -> None:
        from hashlib import sha256

        self._root = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._below = lowers
        self._limits = limits
        self._overlay = overlay
        self._open: dict[bytes, int] = {}
        self._times = DirectoryTimes()
        self._hash = sha256()
        self._size = 0
        self._sparse_size = 0
        self._entries = 0
        self._everything_hidden = False
        self._replaced_entries = 0

    @property
    def _lowers(self) -> list[bytes]:
        """Looked at only where the archive leaves something to them: a layer below may be in the making still."""
        return [os.fsencode(lower) for lower in self._below]

    def close(self) -> None:
        """Give the descriptors back."""
        for fd in self._open.values():
            os.close(fd)
        self._open.clear()
        os.close(self._root)

    def run(self, read: Callable[[int], bytes]) -> Unpacked:
        """Take the archive that `read` gives the uncompressed bytes of."""
        reader = TarReader(self._counted(read))
        entries = 0
        for entry in reader:
            entries += 1
            self._count_entry()
            self._entry(entry, reader)
        for name, mtime in self._times.deepest_first():
            self._set_time(name, mtime)
        return Unpacked("sha256:" + self._hash.hexdigest(), self._size, entries)

    def _count_entry(self) -> None:
        self._entries += 1
        if self._entries > self._limits.entries:
            raise HostileArchive(f"the layer has more than {self._limits.entries} entries")

    def _counted(self, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
        """Reads in large pieces; hashes, counts and limits what is read."""
        buffer = b""
        position = 0

        def take(count: int) -> bytes:
            nonlocal buffer, position
            if position >= len(buffer):
                buffer, position = read(_COPY), 0
                self._hash.update(buffer)
                self._size += len(buffer)
                if self._size > self._limits.size:
                    raise HostileArchive(f"the layer unpacks to more than {self._limits.size} bytes")
            piece = buffer[position : position + count]
            position += len(piece)
            return piece

        return take

    def _entry(self, entry: Entry, reader: TarReader) -> None:
        name = _clean(entry.name)
        if not name:
            self._apply_root(entry)
            return
        parent, _, base = name.rpartition(b"/")
        if self._knows_whiteouts and base.startswith(_WHITEOUT):
            self._remove(parent, base, name)
            return
        fd = self._parent(parent)
        maker = _MAKERS.get(entry.kind)
        if maker is None:
            raise Corrupt(f"the archive has an entry of unknown type {entry.kind!r}: {os.fsdecode(name)}")
        try:
            getattr(self, maker)(entry, name, fd, base, reader)
        except (OverflowError, ValueError) as error:
            raise Corrupt(f"the archive has an entry that cannot be made: {os.fsdecode(name)}: {error}") from None
        except OSError as error:
            if error.errno in _FAULTS_OF_THE_ARCHIVE:
                raise Corrupt(
                    f"the archive has an entry that cannot be made: {os.fsdecode(name)}: {error.strerror}"
                ) from None
            raise

    def _apply_root(self, entry: Entry) -> None:
        if entry.kind == b"5":
            self._finish(self._root, entry)
            self._times.put(b"", entry.mtime)

    def _remove(self, parent: bytes, base: bytes, name: bytes) -> None:
        if not self._overlay:
            raise HostileArchive(f"the archive holds the whiteout {os.fsdecode(name)}")
        fd = self._parent(parent)
        if base == _OPAQUE and not parent:
            self._hide_everything()
            return
        if base == _OPAQUE:
            os.setxattr(fd, "trusted.overlay.opaque", b"y")
            return
        hidden = base[len(_WHITEOUT) :]
        if hidden in (b"", b".", b"..") or hidden.startswith(_WHITEOUT):
            raise HostileArchive(f"the layer has an invalid whiteout: {os.fsdecode(name)}")
        try:
            os.mknod(hidden, stat.S_IFCHR, 0, dir_fd=fd)
        except FileExistsError:
            if stat.S_ISDIR(os.lstat(hidden, dir_fd=fd).st_mode):
                os.setxattr(self._parent(parent + b"/" + hidden if parent else hidden), "trusted.overlay.opaque", b"y")

    def _hide_everything(self) -> None:
        """An opaque root: the kernel does not look for that on a layer's root, so each name below is hidden."""
        if self._everything_hidden:
            return
        self._everything_hidden = True
        for lower in self._lowers:
            for name in os.listdir(lower):
                try:
                    os.mknod(name, stat.S_IFCHR, 0, dir_fd=self._root)
                except FileExistsError:
                    continue

    def _parent(self, name: bytes) -> int:
        """A descriptor of the directory `name`, which is made where the archive only implied it."""
        if not name:
            return self._root
        if (fd := self._open.pop(name, -1)) >= 0:
            self._open[name] = fd  # the directory used last is closed last
            return fd
        held = name
        while held and held not in self._open:
            held = held.rpartition(b"/")[0]
        for part in name[len(held) :].lstrip(b"/").split(b"/"):
            parent = self._open[held] if held else self._root
            held = held + b"/" + part if held else part
            self._hold(held, self._opened(held, part, parent))
        return self._open[name]

    def _hold(self, name: bytes, fd: int) -> None:
        """Keep the directory open; its parent stays, the one used longest ago goes."""
        if len(self._open) >= _OPEN_DIRECTORIES:
            os.close(self._open.pop(next(iter(self._open))))
        self._open[name] = fd

    def _opened(self, name: bytes, base: bytes, parent: int) -> int:
        try:
            return os.open(base, _DIRECTORY, dir_fd=parent)
        except FileNotFoundError:
            return self._implied(name, base, parent)
        except NotADirectoryError:
            return self._replaced(name, base, parent)
        except OSError as error:
            raise HostileArchive(f"the archive reaches through {os.fsdecode(name)}: {error.strerror}") from None

    def _implied(self, name: bytes, base: bytes, parent: int) -> int:
        self._count_entry()
        os.mkdir(base, 0o755, dir_fd=parent)
        fd = os.open(base, _DIRECTORY, dir_fd=parent)
        os.fchmod(fd, 0o755)  # whatever the umask
        for lower in self._lowers:
            try:
                status = os.lstat(os.path.join(lower, name))
            except OSError:
                continue
            if stat.S_ISDIR(status.st_mode):
                os.fchown(fd, status.st_uid, status.st_gid)
                os.fchmod(fd, stat.S_IMODE(status.st_mode))
                self._times.put(name, status.st_mtime_ns // 1_000_000_000)
            break
        return fd

    def _replaced(self, name: bytes, base: bytes, parent: int) -> int:
        """A directory where this layer put something else: fine over its own whiteout, hostile over a link or file."""
        if not is_whiteout(os.lstat(base, dir_fd=parent)):
            raise HostileArchive(f"the archive reaches through {os.fsdecode(name)}, which it made no directory")
        os.unlink(base, dir_fd=parent)
        os.mkdir(base, 0o755, dir_fd=parent)
        fd = os.open(base, _DIRECTORY, dir_fd=parent)
        os.fchmod(fd, 0o755)
        os.setxattr(fd, "trusted.overlay.opaque", b"y")
        return fd

    def _vacate(self, name: bytes, base: bytes, fd: int) -> None:
        """Make room for an entry that takes the place of an earlier one of the same layer."""
        try:
            status = os.lstat(base, dir_fd=fd)
        except FileNotFoundError:
            return
        self._replaced_entries += 1
        if self._replaced_entries > _MOST_REPLACED:
            raise HostileArchive(f"the layer writes over its own entries more than {_MOST_REPLACED} times")
        if not stat.S_ISDIR(status.st_mode):
            os.unlink(base, dir_fd=fd)
            return
        for held in [held for held in self._open if held == name or held.startswith(name + b"/")]:
            os.close(self._open.pop(held))
        self._times.drop(name)
        remove_directory_at(base, fd)

    def _directory(self, entry: Entry, name: bytes, fd: int, base: bytes, _: TarReader) -> None:
        try:
            os.mkdir(base, 0o700, dir_fd=fd)
        except FileExistsError:
            status = os.lstat(base, dir_fd=fd)
            if not stat.S_ISDIR(status.st_mode):
                os.unlink(base, dir_fd=fd)
                os.mkdir(base, 0o700, dir_fd=fd)
                if is_whiteout(status):
                    os.setxattr(self._parent(name), "trusted.overlay.opaque", b"y")
        self._finish(self._parent(name), entry)
        self._times.put(name, entry.mtime)

    def _file(self, entry: Entry, name: bytes, fd: int, base: bytes, reader: TarReader) -> None:
        if entry.name.endswith(b"/"):  # an old archive's way to say "directory"
            self._directory(entry, name, fd, base, reader)
            return
        try:
            target = os.open(base, _CREATE, 0o600, dir_fd=fd)
        except FileExistsError:
            self._vacate(name, base, fd)
            target = os.open(base, _CREATE, 0o600, dir_fd=fd)
        try:
            self._content(target, entry, reader)
            self._finish(target, entry)
            os.utime(target, ns=_times(entry.mtime))
        finally:
            os.close(target)

    def _content(self, target: int, entry: Entry, reader: TarReader) -> None:
        if entry.sparse is None:
            while data := reader.content(_COPY):
                write_all(target, data)
            return
        self._sparse_size += entry.size
        if self._sparse_size > self._limits.size:
            raise HostileArchive(f"the layer unpacks to more than {self._limits.size} bytes")
        for offset, length in entry.sparse:
            os.lseek(target, offset, os.SEEK_SET)
            left = length
            while left:
                data = reader.content(min(left, _COPY))
                write_all(target, data)
                left -= len(data)
        os.ftruncate(target, entry.size)

    def _symlink(self, entry: Entry, name: bytes, fd: int, base: bytes, _: TarReader) -> None:
        self._vacate(name, base, fd)
        os.symlink(entry.link, base, dir_fd=fd)
        self._own(base, fd, entry)
        os.utime(base, ns=_times(entry.mtime), dir_fd=fd, follow_symlinks=False)

    def _hard_link(self, entry: Entry, name: bytes, fd: int, base: bytes, _: TarReader) -> None:
        target = _clean(entry.link)
        above, _slash, last = target.rpartition(b"/")
        if target == name:
            return
        self._vacate(name, base, fd)
        fd = os.dup(fd)  # the way to the target may be long enough to close what is held open now
        try:
            source = self._parent(above)
            if stat.S_ISDIR(os.lstat(last, dir_fd=source).st_mode):
                raise HostileArchive(f"the archive links {os.fsdecode(name)} to a directory")
            os.link(last, base, src_dir_fd=source, dst_dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            raise Corrupt(
                f"the archive links {os.fsdecode(name)} to {os.fsdecode(target)}, which it does not hold"
            ) from None
        finally:
            os.close(fd)

    def _special(self, entry: Entry, name: bytes, fd: int, base: bytes, _: TarReader) -> None:
        kind = {b"3": stat.S_IFCHR, b"4": stat.S_IFBLK, b"6": stat.S_IFIFO}[entry.kind]
        if kind == stat.S_IFCHR and entry.device == 0:
            raise HostileArchive(f"the archive holds the device 0/0, an overlay's whiteout: {os.fsdecode(name)}")
        self._vacate(name, base, fd)
        os.mknod(base, kind | 0o600, entry.device, dir_fd=fd)
        self._own(base, fd, entry)
        os.chmod(base, entry.mode, dir_fd=fd)
        os.utime(base, ns=_times(entry.mtime), dir_fd=fd, follow_symlinks=False)

    def _own(self, base: bytes, fd: int, entry: Entry) -> None:
        os.chown(base, entry.uid, entry.gid, dir_fd=fd, follow_symlinks=False)

    def _finish(self, fd: int, entry: Entry) -> None:
        os.fchown(fd, entry.uid, entry.gid)
        os.fchmod(fd, entry.mode)
        if sum(len(key) + len(value) for key, value in entry.xattrs.items()) > _MAX_XATTRS:
            raise HostileArchive(f"the archive has an entry with more than {_MAX_XATTRS} bytes of attributes")
        for key, value in entry.xattrs.items():
            if kept_xattrs(key):
                _set_xattr(fd, key, value, entry.name)

    def _set_time(self, name: bytes, mtime: int) -> None:
        if not name:
            os.utime(self._root, ns=_times(mtime))
        else:
            above, _, base = name.rpartition(b"/")
            os.utime(base, ns=_times(mtime), dir_fd=self._parent(above), follow_symlinks=False)


def _set_xattr(fd: int, key: str, value: bytes, name: bytes) -> None:
    try:
        os.setxattr(fd, key, value)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.ENOTSUP, errno.EDQUOT):
            raise
        raise Unavailable(
            f"{os.fsdecode(name)} cannot have its attribute {key} of {len(value)} bytes: {error.strerror}",
            hint="file systems differ in what they hold: is there space, and are such attributes allowed?",
        ) from None


_FAULTS_OF_THE_ARCHIVE = (errno.EINVAL, errno.ENAMETOOLONG, errno.ENOENT, errno.ERANGE, errno.E2BIG, errno.EOVERFLOW)
_MAKERS = {
    b"0": "_file",
    b"\0": "_file",
    b"7": "_file",
    b"1": "_hard_link",
    b"2": "_symlink",
    b"3": "_special",
    b"4": "_special",
    b"5": "_directory",
    b"6": "_special",
}


def _times(mtime: int) -> tuple[int, int]:
    nanoseconds = max(-(2**53), min(mtime, 2**53)) * 1_000_000_000
    return nanoseconds, nanoseconds


def _clean(name: bytes) -> bytes:
    """`name` relative to the root, without empty and `.` components. Raises HostileArchive for `..` and zero bytes."""
    if b"\0" in name:
        raise HostileArchive(f"the archive has a name with a zero byte: {name!r}")
    if (
        len(name) <= _MAX_NAME
        and b".." not in name
        and b"//" not in name
        and not name.startswith((b"/", b"."))
        and b"/." not in name
    ):
        return name.rstrip(b"/")
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise HostileArchive(f"the archive has a name that leads outside: {os.fsdecode(name)[:200]}")
    clean = b"/".join(parts)
    if len(clean) > _MAX_NAME:
        raise HostileArchive(f"the archive has a name of more than {_MAX_NAME} bytes: {os.fsdecode(clean)[:80]}...")
    return clean
