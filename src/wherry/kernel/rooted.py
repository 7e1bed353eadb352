"""Paths below a root that may hold hostile symbolic links: resolved by the kernel, as if the root were `/`."""

from __future__ import annotations

import errno
import os

from wherry.base.errors import Unsupported

__all__ = ["open_in_root", "read_in_root", "resolve_in_root"]

_OPENAT2 = 437  # the same number on every architecture
_RESOLVE_IN_ROOT = 0x10
_O_PATH = os.O_PATH | os.O_CLOEXEC


def open_in_root(root: str | int, path: str, flags: int = os.O_RDONLY) -> int:
    """A descriptor of `path` below `root`; links, `..` and absolute targets stay below `root` (openat2(2)).

    `root` is a path or an open directory, which may be of another mount namespace. Raises OSError as open(2) does.
    """
    import ctypes

    directory = os.dup(root) if isinstance(root, int) else os.open(root, _O_PATH | os.O_DIRECTORY)
    try:
        how = (ctypes.c_uint64 * 3)(flags | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT)
        libc = ctypes.CDLL(None, use_errno=True)
        fd: int = libc.syscall(_OPENAT2, directory, os.fsencode(path) or b".", how, ctypes.sizeof(how))
    finally:
        os.close(directory)
    if fd < 0:
        number = ctypes.get_errno()
        if number == errno.ENOSYS:
            raise Unsupported("the kernel has no openat2", hint="Linux 5.6 or newer is needed")
        raise OSError(number, os.strerror(number), path)
    return fd


def resolve_in_root(root: str, path: str) -> str:
    """The real path, below `root`, of what `path` leads to. Raises OSError where it leads to nothing."""
    fd = open_in_root(root, path, _O_PATH)
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def read_in_root(root: str, path: str, limit: int = 16 << 20) -> bytes:
    """At most `limit` bytes of the regular file; empty where there is no such file."""
    import stat

    try:
        fd = open_in_root(root, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return b""
    with open(fd, "rb", closefd=True) as file:
        return file.read(limit) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
