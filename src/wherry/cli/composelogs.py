"""The lines of several containers on one terminal: each with its container's name, in a colour of its own."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from wherry.compose.state import ObservedContainer
    from wherry.runtime.logs import LogRecord

__all__ = ["LogPrinter", "short_name"]

_COLOURS = [f"\x1b[{code}m" for code in (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)]
_RESET = "\x1b[0m"


def short_name(project: str, name: str) -> str:
    """A container's name without its project's."""
    return name.removeprefix(f"{project}-")


class LogPrinter:
    """Writes to standard output; `prefix` and `colours` as the options say. Pieces of a line are put together."""

    def __init__(self, project: str, *, prefix: bool, colours: bool, timestamps: bool = False) -> None:
        self._project = project
        self._prefix = prefix
        self._colours = colours
        self._timestamps = timestamps
        self._width = 0
        self._numbers: dict[str, int] = {}
        self._pending: dict[tuple[str, int], bytes] = {}

    def expect(self, names: Iterable[str]) -> None:
        """Make room for the names of containers, and give each its colour."""
        for name in names:
            self._width = max(self._width, len(short_name(self._project, name)))
            self._numbers.setdefault(name, len(self._numbers))

    def __call__(self, one: ObservedContainer, record: LogRecord) -> None:
        """Write a record, when its line is whole."""
        key = (one.id, record.stream)
        data = self._pending.pop(key, b"") + record.data
        if not data.endswith(b"\n"):
            self._pending[key] = data
            return
        time = f"{record.time} " if self._timestamps else ""
        self._write(f"{self._head(one)}{time}".encode() + data)

    def _head(self, one: ObservedContainer) -> str:
        if not self._prefix:
            return ""
        self.expect([one.name])
        text = f"{short_name(self._project, one.name):<{self._width}}  | "
        return f"{_COLOURS[self._numbers[one.name] % len(_COLOURS)]}{text}{_RESET}" if self._colours else text

    def say(self, text: str) -> None:
        """A line of our own among the others."""
        self._write(f"{text}\n".encode())

    @staticmethod
    def _write(data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
