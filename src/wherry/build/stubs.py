"""Mount points that a step needs and its image lacks: made before it runs, and taken out of its layer afterwards.

What the step put in their way is never followed: the layer is walked by descriptors that follow no link
(CVE-2024-23652). Directories that held one keep their own times.
"""

from __future__ import annotations

import os
import stat

from wherry.base.values import NamedTuple
from wherry.kernel.rooted import resolve_in_root

__all__ = ["Stubs"]


class _Stub(NamedTuple):
    parent: str  # relative to the root
    name: str
    before: int  # the parent's time of change (ns) before the stub was made, and right after
    after: int


class Stubs:
    """The stubs of one step in the mounted root `rootfs`."""

    def __init__(self, rootfs: str) -> None:
        self._rootfs = rootfs
        self._made: list[_Stub] = []

    def make(self, target: str, *, directory: bool) -> None:
        """Make the mount point `target` (absolute) with its parents where it is missing; links are followed inside.

        Where something is in the way, nothing is made: the runtime says what is wrong.
        """
        parts = [part for part in target.split("/") if part]
        for count in range(len(parts), -1, -1):
            try:
                real = resolve_in_root(self._rootfs, "/".join(parts[:count]) or ".")
            except OSError:
                continue
            break
        else:
            return
        for position in range(count, len(parts)):
            if not os.path.isdir(real):
                return
            is_last = position == len(parts) - 1
            if not self._one(real, parts[position], directory=directory or not is_last):
                return
            real = f"{real}/{parts[position]}"

    def _one(self, parent: str, name: str, *, directory: bool) -> bool:
        before = os.stat(parent).st_mtime_ns
        try:
            if directory:
                os.mkdir(f"{parent}/{name}", 0o755)
            else:
                os.close(os.open(f"{parent}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
        except FileExistsError:  # a link that leads nowhere
            return False
        relative = os.path.relpath(parent, self._rootfs)
        self._made.append(_Stub(relative, name, before, os.stat(parent).st_mtime_ns))
        return True

    def remove(self, upper: str) -> None:
        """Take the stubs out of the layer's directory, those excepted into which the step put something of its own."""
        for stub in reversed(self._made):
            parent = _open_directory(upper, stub.parent)
            if parent < 0:
                continue
            try:
                _remove(parent, stub)
            finally:
                os.close(parent)


def _remove(parent: int, stub: _Stub) -> None:
    now = os.fstat(parent).st_mtime_ns
    try:
        status = os.stat(stub.name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            os.rmdir(stub.name, dir_fd=parent)
        elif stat.S_ISREG(status.st_mode) and not status.st_size:
            os.unlink(stub.name, dir_fd=parent)
        else:
            return
    except OSError:
        return
    time = stub.before if now == stub.after else now
    os.utime(parent, ns=(time, time))


def _open_directory(root: str, path: str) -> int:
    """A descriptor of the directory, if there are only directories on the way to it; else -1."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(root, flags)
    for part in path.split("/"):
        if part in ("", "."):
            continue
        try:
            inner = os.open(part, flags, dir_fd=fd)
        except OSError:
            os.close(fd)
            return -1
        os.close(fd)
        fd = inner
    return fd
