"""Waiting for a file to grow, by the kernel's word (inotify) and never by a clock."""

from __future__ import annotations

import os

__all__ = ["watch_file"]

_IN_MODIFY, _IN_MOVE_SELF, _IN_DELETE_SELF = 0x2, 0x800, 0x400


def watch_file(path: str) -> int:
    """A descriptor that becomes readable when the file is written to, moved or deleted; the caller closes it."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    fd: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0 or libc.inotify_add_watch(fd, os.fsencode(path), _IN_MODIFY | _IN_MOVE_SELF | _IN_DELETE_SELF) < 0:
        raise OSError(ctypes.get_errno(), "inotify", path)
    return fd
