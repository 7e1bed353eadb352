"""A little of the disk held back, because to remove something from a full one takes room, too."""

from __future__ import annotations

import os

from wherry.base.errors import Unavailable
from wherry.base.files import remove_if_exists

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ["Reserve"]

_BYTES = 8 << 20  # SQLite's log of what a collection changes has room in it


class Reserve:
    """A file of that size in the data directory."""

    def __init__(self, root: str) -> None:
        self._path = f"{root}/reserve"

    def keep(self) -> None:
        """Hold it back, where the disk has that much."""
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, _BYTES)
        except OSError:
            remove_if_exists(self._path)
        finally:
            os.close(fd)

    def lend(self, action: Callable[[], T]) -> T:
        """Do what makes room; a second time with what was held back, if there was none. Raises Unavailable."""
        try:
            return action()
        except Unavailable:
            if not os.path.exists(self._path):
                raise
        remove_if_exists(self._path)
        try:
            return action()
        finally:
            self.keep()
