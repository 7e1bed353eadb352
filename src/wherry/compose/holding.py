"""One command at a time changes a project; the others wait their turn and plan from what they then find."""

from __future__ import annotations

from contextlib import contextmanager

from wherry.base.locks import FileLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["PATIENCE", "held"]

PATIENCE = 1.0  # seconds of waiting before it is told


@contextmanager
def held(path: str, waiting: Callable[[], None]) -> Iterator[bool]:
    """Hold the lock `path`; gives whether somebody else had it first. `waiting` is called after PATIENCE, once.

    The kernel gives the lock back when its holder dies, and the file goes with the last holder.
    """
    lock, waited = FileLock(path, wait=False), False
    try:
        lock.acquire()
    except BlockingIOError:
        lock, waited = _wait_for(path, waiting), True
    try:
        yield waited
    finally:
        lock.remove()
        lock.release()


def _wait_for(path: str, waiting: Callable[[], None]) -> FileLock:
    import threading

    timer = threading.Timer(PATIENCE, waiting)
    timer.daemon = True
    timer.start()
    try:
        return FileLock(path).acquire()
    finally:
        timer.cancel()
