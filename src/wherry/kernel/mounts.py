"""mount(2) and umount2(2), overlay file systems, and what is mounted where."""

from __future__ import annotations

import errno
import os

from wherry.base.errors import Denied, Unsupported, WherryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = [
    "bind",
    "is_mount_point",
    "mount",
    "mounts_below",
    "overlay",
    "sync_filesystem",
    "unmount",
    "unmount_below",
]

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC = 1, 2, 4, 8, 32, 4096, 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2
_PAGE = 4096  # mount(2) takes at most one page of options
_libc: Any = None


def _library() -> Any:
    global _libc
    if _libc is None:
        import ctypes

        _libc = ctypes.CDLL(None, use_errno=True)
    return _libc


def _error(what: str) -> WherryError:
    import ctypes

    number = ctypes.get_errno()
    text = f"{what}: {os.strerror(number)}"
    if number in (errno.EPERM, errno.EACCES):
        return Denied(text, hint="mounting needs root (CAP_SYS_ADMIN)")
    if number in (errno.ENODEV, errno.EOPNOTSUPP):
        return Unsupported(text, hint="the kernel lacks this file system")
    return WherryError(text)


def mount(source: str, target: str, fstype: str, flags: int = 0, data: str = "") -> None:
    """mount(2). `data` is at most a page."""
    raw = data.encode(errors="surrogateescape")
    result = _library().mount(os.fsencode(source), os.fsencode(target), fstype.encode() or None, flags, raw or None)
    if result:
        raise _error(f"cannot mount {fstype or source} on {target}")


def bind(source: str, target: str, *, read_only: bool = False, recursive: bool = True) -> None:
    """Make `source` visible at `target`, which must exist and be of the same kind."""
    mount(source, target, "", MS_BIND | (MS_REC if recursive else 0))
    if read_only:
        mount("", target, "", MS_BIND | MS_REMOUNT | MS_RDONLY)


def unmount(target: str, *, lazy: bool = False) -> bool:
    """Unmount what is on `target`; whether there was anything. With `lazy`, users keep it until they are done."""
    import ctypes

    if not _library().umount2(os.fsencode(target), MNT_DETACH if lazy else 0):
        return True
    if ctypes.get_errno() in (errno.EINVAL, errno.ENOENT):
        return False
    raise _error(f"cannot unmount {target}")


def _unescape(path: str) -> str:
    for escaped, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        path = path.replace(escaped, plain)
    return path


def mounts_below(path: str) -> list[str]:
    """Mount points at or below `path`, the last mounted first, so that they can be unmounted in that order."""
    prefix = path.rstrip("/")
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        points = [_unescape(line.split(" ", 5)[4]) for line in table]
    return [point for point in reversed(points) if point == prefix or point.startswith(prefix + "/")]


def is_mount_point(path: str) -> bool:
    """Whether something is mounted exactly there."""
    return path.rstrip("/") in mounts_below(path)


def unmount_below(path: str) -> None:
    """Unmount everything at and below `path`; what is in use goes as soon as its last user is gone."""
    for point in mounts_below(path):
        try:
            unmount(point)
        except WherryError:
            unmount(point, lazy=True)


def overlay(lowers: Sequence[str], upper: str, work: str, target: str, *, volatile: bool = False) -> None:
    """Mount an overlay of `lowers` (topmost first) with the writable layer `upper` on `target`.

    `work` is an empty directory on the same file system as `upper`. Without `upper` the mount is read-only. Redirects
    and metadata-only copies are switched off, so that `upper` can be read as a layer by itself.

    With `volatile` nothing waits for the disk, neither what is written and synced there nor unmounting: for an `upper`
    that a power cut makes worthless anyway. It leaves a mark in `work`, so that the same cannot be mounted again.
    """
    options = "index=off,xino=off,metacopy=off,redirect_dir=off"
    paths = [*lowers, *((upper, work) if upper else ())]
    for path in paths:
        if ":" in path or "," in path or "\\" in path:
            raise Unsupported(f"a path of an overlay may not contain a colon, comma or backslash: {path}")
    if not upper and len(lowers) == 1:
        bind(lowers[0], target, read_only=True, recursive=False)
        return
    writable = f",upperdir={upper},workdir={work}" if upper else ""
    if volatile and upper:
        try:
            _mount_overlay(lowers, f"{writable},volatile", options, target)
        except WherryError:
            _mount_overlay(lowers, writable, options, target)  # a kernel before 5.10, or another error, told now
    else:
        _mount_overlay(lowers, writable, options, target)


def _mount_overlay(lowers: Sequence[str], writable: str, options: str, target: str) -> None:
    data = f"lowerdir={':'.join(lowers)}{writable},{options}"
    if len(os.fsencode(data)) < _PAGE:
        mount("overlay", target, "overlay", 0, data)
    else:
        _overlay_from(lowers, writable, options, target)


def _overlay_from(lowers: Sequence[str], writable: str, options: str, target: str) -> None:
    """Mount with lower directories named relative to the directory they share, from a child that stands there."""
    base = os.path.commonpath([os.path.dirname(lower) for lower in lowers])
    data = f"lowerdir={':'.join(os.path.relpath(lower, base) for lower in lowers)}{writable},{options}"
    if len(os.fsencode(data)) >= _PAGE:
        raise Unsupported(
            f"{len(lowers)} layers are more than one overlay mount takes", hint="merge layers in the build"
        )
    _library()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.chdir(base)
            mount("overlay", target, "overlay", 0, data)
            status = 0
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1]:
        raise WherryError(f"cannot mount an overlay of {len(lowers)} layers on {target}")


def sync_filesystem(path: str) -> None:
    """syncfs(2): everything written to the file system of `path` so far is durable."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _library().syncfs(fd):
            raise _error(f"cannot sync the file system of {path}")
    finally:
        os.close(fd)
