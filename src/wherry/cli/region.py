"""The last lines of a terminal, drawn anew in place; what is settled stays above them and scrolls away."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TextIO

__all__ = ["Region", "can_draw", "cells", "cleaned", "fit", "painted"]

_RESET = "\x1b[0m"


def can_draw(stream: TextIO) -> bool:
    """Whether it is a terminal whose cursor can be moved."""
    import os

    return stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


class Region:
    """Lines that are drawn again and again where they are. The terminal may change its size at any time."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._drawn: list[int] = []  # the width of each line that is to be drawn anew

    def draw(self, lines: Iterable[tuple[str, str]], settled: Sequence[str] = ()) -> None:
        """`lines` (a text, and the colour it gets as a whole) take the place of those before, below `settled` ones.

        Lines are cut to the terminal's width, settled ones are written as they are.
        """
        columns, _ = self.size()
        shown = [(fit(text, columns - 1), colour) for text, colour in lines]
        parts = [self._back(columns), *(f"{line}\n" for line in settled)]
        parts += [f"{painted(text, colour)}\n" for text, colour in shown]
        self._drawn = [sum(map(cells, text)) for text, _ in shown]
        self._stream.write("".join(parts))
        self._stream.flush()

    def size(self) -> tuple[int, int]:
        """Columns and rows of the terminal, now."""
        import os

        try:
            size = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            return 80, 24
        return size.columns or 80, size.lines or 24

    def _back(self, columns: int) -> str:
        """Over what was drawn; a terminal made narrower since has broken its lines into several."""
        if not self._drawn:
            return ""
        above = sum(max(1, -(-width // columns)) for width in self._drawn)
        return f"\x1b[{above}A\r\x1b[J"


def painted(text: str, colour: str) -> str:
    """`text` in a colour (the number in its escape sequence), or as it is."""
    return f"\x1b[{colour}m{text}{_RESET}" if colour and text else text


def cells(letter: str) -> int:
    """How many columns a terminal gives it."""
    from unicodedata import category, combining, east_asian_width

    if combining(letter) or category(letter) in ("Cf", "Cc"):
        return 0
    return 2 if east_asian_width(letter) in "WF" else 1


def cleaned(line: str) -> str:
    """`line` without what would move the cursor or colour the rest."""
    import re

    return re.sub(
        r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\\\)?|.)|[\x00-\x08\x0b-\x1f\x7f]", "", line.expandtabs()
    )


def fit(line: str, columns: int) -> str:
    """What of `line`, cleaned, fits."""
    plain = cleaned(line)
    width = 0
    for index, letter in enumerate(plain):
        width += cells(letter)
        if width > columns:
            return plain[:index]
    return plain
