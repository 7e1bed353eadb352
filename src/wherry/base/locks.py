"""Advisory locks between processes: `flock` on a file, released by the kernel when the holder dies."""

from __future__ import annotations

import errno
import fcntl
import os

__all__ = ["FileLock", "is_held"]


class FileLock:
    """A context manager that holds `path` locked. The file stays afterwards unless `remove` was called.

    `shared` allows other shared holders. With `wait=False`, `BlockingIOError` is raised where somebody else holds it.
    Not re-entrant: a second lock of the same path in the same process waits for the first.
    """

    def __init__(self, path: str, *, shared: bool = False, wait: bool = True) -> None:
        self._path = path
        self._flags = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
        self._fd = -1

    def acquire(self) -> FileLock:
        """Take the lock; makes the file and its directory where they are missing."""
        while self._fd < 0:
            fd = self._open()
            try:
                fcntl.flock(fd, self._flags)
            except OSError as error:
                os.close(fd)
                if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN):
                    raise BlockingIOError(errno.EWOULDBLOCK, "locked by another process", self._path) from None
                raise
            if self._is_current(fd):
                self._fd = fd
            else:  # the holder we waited for removed the file: the lock of a nameless file protects nothing
                os.close(fd)
        return self

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            return os.open(self._path, flags, 0o600)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(self._path), mode=0o755, exist_ok=True)
            return os.open(self._path, flags, 0o600)

    def _is_current(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), os.stat(self._path))
        except FileNotFoundError:
            return False

    def remove(self) -> None:
        """Unlink the file while the lock is held; whoever waits for it takes a new one."""
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass

    def release(self) -> None:
        """Give the lock up; harmless where it is not held."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def fileno(self) -> int:
        """The locked descriptor, for a child that is to keep the lock."""
        return self._fd

    def __enter__(self) -> FileLock:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def is_held(path: str) -> bool:
    """Whether some process holds `path` locked now."""
    if not os.path.exists(path):
        return False
    try:
        with FileLock(path, wait=False):
            return False
    except BlockingIOError:
        return True
