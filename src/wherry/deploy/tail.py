"""The end of what a program writes, for the sentence that says how it ended."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Tail"]

_BYTES = 4096


class Tail:
    """Passes output on to `output`, and keeps the end of it (4 KiB)."""

    def __init__(self, output: Callable[[bytes], None] = lambda _: None) -> None:
        self._output = output
        self._kept = bytearray()

    def __call__(self, data: bytes) -> None:
        """Take some of it in."""
        self._kept.extend(data)
        del self._kept[:-_BYTES]
        self._output(data)

    def last(self, lines: int) -> str:
        """Its last lines that are not empty at the end, on one line; empty where nothing was written."""
        written = self._kept.decode(errors="replace").strip().splitlines()
        return " / ".join(one.strip() for one in written[-lines:])
