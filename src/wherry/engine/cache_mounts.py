"""Directories that build steps mount as caches: they outlive builds, belong to no image, and go with `prune` alone.

A cache is named by what tells it from others. Whoever uses one holds its lock, shared or alone; the kernel gives the
lock back when the holder dies, so a killed build leaves nothing to repair but a directory that was never finished.
"""

from __future__ import annotations

import os

from wherry.base.files import ensure_directory, remove_tree
from wherry.base.locks import FileLock, is_held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.base.paths import Layout

__all__ = ["CacheMounts", "LockedCache"]

_NEW = ".new-"


class LockedCache:
    """A cache in use, until `release`; `path` is its directory."""

    def __init__(self, path: str, lock: FileLock) -> None:
        self.path = path
        self._lock = lock

    def release(self) -> None:
        """Let others have it; harmless when repeated."""
        self._lock.release()


class CacheMounts:
    """The cache mounts of one installation. Names are the caller's, of letters, digits, `-` and `_`."""

    def __init__(self, layout: Layout) -> None:
        self._root = layout.cache_mounts
        self._locks = layout.locks

    def use(self, name: str, sharing: str, fill: Callable[[str], None]) -> LockedCache:
        """Lock the cache as `sharing` says and give it, made by `fill(empty directory)` where it is not there.

        `shared` caches have many users at once; a `locked` one waits until it is alone; for a `private` one a further
        copy is made, and used again later, where all others are in use.
        """
        if sharing == "shared":
            return self._open(name, FileLock(self._lock_path(name), shared=True).acquire(), fill)
        if sharing == "locked":
            return self._open(name, FileLock(self._lock_path(name)).acquire(), fill)
        number = 0
        while True:
            candidate = f"{name}-{number}" if number else name
            try:
                return self._open(candidate, FileLock(self._lock_path(candidate), wait=False).acquire(), fill)
            except BlockingIOError:
                number += 1

    def _open(self, name: str, lock: FileLock, fill: Callable[[str], None]) -> LockedCache:
        try:
            path = f"{self._root}/{name}"
            if not os.path.isdir(path):
                self._make(path, fill)
        except BaseException:
            lock.release()
            raise
        return LockedCache(path, lock)

    def _make(self, path: str, fill: Callable[[str], None]) -> None:
        """Fill a directory beside it and rename that into place; where two shared users do so, the first wins."""
        ensure_directory(self._root, 0o711)
        new = f"{self._root}/{_NEW}{os.path.basename(path)}-{os.urandom(4).hex()}"
        with FileLock(self._lock_path(os.path.basename(new))) as lock:
            os.mkdir(new, 0o755)
            try:
                fill(new)
                os.rename(new, path)
            except OSError:
                remove_tree(new)
                if not os.path.isdir(path):
                    raise
            finally:
                lock.remove()

    def all(self) -> dict[str, int]:
        """Every cache by name, with the bytes of disk that it takes."""
        from wherry.engine.system import tree_size

        return {name: tree_size(f"{self._root}/{name}") for name in self._names() if not name.startswith(_NEW)}

    def is_used(self, name: str) -> bool:
        """Whether a step has it mounted now."""
        return is_held(self._lock_path(name))

    def prune(self) -> tuple[list[str], int]:
        """Remove the caches that no step uses, and what killed builds left unfinished; names and freed bytes."""
        from wherry.engine.system import tree_size

        removed, freed = [], 0
        for name in self._names():
            path = f"{self._root}/{name}"
            try:
                with FileLock(self._lock_path(name), wait=False) as lock:
                    freed += tree_size(path)
                    remove_tree(path)
                    lock.remove()
            except BlockingIOError:
                continue
            removed.append(name)
        return removed, freed

    def _names(self) -> list[str]:
        return sorted(os.listdir(self._root)) if os.path.isdir(self._root) else []

    def _lock_path(self, name: str) -> str:
        return f"{self._locks}/cache-{name}"
