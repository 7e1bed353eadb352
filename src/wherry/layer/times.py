"""The times of directories, which are set last: every entry that is put into one changes it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["DirectoryTimes"]


class DirectoryTimes:
    """The times that directories get when all is in them, as a tree: to forget one with all below it is one step."""

    def __init__(self) -> None:
        self._top: list[Any] = [None, {}]  # a directory: its time, and those in it by name

    def put(self, name: bytes, mtime: int) -> None:
        """The directory `name` (empty for the top) will get the time `mtime` (s)."""
        node = self._top
        for part in name.split(b"/") if name else ():
            node = node[1].setdefault(part, [None, {}])
        node[0] = mtime

    def drop(self, name: bytes) -> None:
        """The directory `name` was removed, with all that was in it."""
        node = self._top
        *above, last = name.split(b"/")
        for part in above:
            node = node[1].get(part, [None, {}])
        node[1].pop(last, None)

    def deepest_first(self) -> Iterator[tuple[bytes, int]]:
        """Every directory after those in it, which lie together, so that few have to be opened."""
        pending: list[tuple[bytes, list[Any], bool]] = [(b"", self._top, False)]
        while pending:
            name, node, visited = pending.pop()
            if visited:
                if node[0] is not None:
                    yield name, node[0]
                continue
            pending.append((name, node, True))
            pending += [(name + b"/" + part if name else part, below, False) for part, below in node[1].items()]
