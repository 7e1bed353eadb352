"""Layers on their way, as Docker shows them: on a terminal a line for each, drawn anew; elsewhere one a change."""

from __future__ import annotations

import time

from wherry.base.progress import Advanced, Finished, Started, Turned, Warned
from wherry.cli.output import human_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from wherry.base.progress import Event, Sink

__all__ = ["layer_lines"]

_MOVING = ("Downloading", "Extracting", "Pushing", "Copying", "Saving")
_BAR = 50
_LEAST_BAR = 10
_INTERVAL = 0.1  # seconds between two drawings


def layer_lines(stream: TextIO) -> Sink:
    """The renderer for the stream."""
    return _Drawn(stream) if stream.isatty() else _Plain(stream)


class _Plain:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: Event) -> None:
        if isinstance(event, Warned):
            self._line(f"WARNING: {event.message}")
        elif isinstance(event, Started):
            self._line(event.title)
        elif isinstance(event, Turned) and event.state not in _MOVING:
            self._line(f"{event.task}: {event.state}")

    def _line(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class _Drawn:
    """The lines of all layers; where the terminal has fewer rows, those of the layers that have not ended."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._states: dict[str, str] = {}
        self._bars: dict[str, tuple[int, int]] = {}
        self._ended: set[str] = set()
        self._drawn = 0
        self._last = 0.0

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started):
            self._states[event.task] = event.title.removeprefix(f"{event.task}: ")
        elif isinstance(event, Turned):
            self._states[event.task] = event.state
            self._bars.pop(event.task, None)
        elif isinstance(event, Advanced):
            self._bars[event.task] = event.done, event.total
            if time.monotonic() - self._last < _INTERVAL:
                return
        elif isinstance(event, Finished):
            self._ended.add(event.task)
        elif isinstance(event, Warned):
            self._erase()
            self._stream.write(f"WARNING: {event.message}\n")
        self._draw()

    def _draw(self) -> None:
        import shutil

        self._last = time.monotonic()
        width, height = shutil.get_terminal_size()
        tasks = list(self._states)
        if len(tasks) >= height:
            tasks = [task for task in tasks if task not in self._ended][: height - 1]
        self._erase()
        for task in tasks:
            line = f"{task}: {self._states[task]}"
            if task in self._bars and self._states[task] in _MOVING:
                line += " " + _bar(*self._bars[task], width - len(line) - 2)
            self._stream.write(line[: width - 1] + "\n")
        self._stream.flush()
        self._drawn = len(tasks)

    def _erase(self) -> None:
        if self._drawn:
            self._stream.write(f"\x1b[{self._drawn}A\x1b[J")
            self._drawn = 0


def _bar(done: int, total: int, room: int) -> str:
    """How far it is, in at most `room` columns: with a bar where one fits."""
    sizes = f"{human_size(done, digits=4)}/{human_size(total, digits=4)}" if total else human_size(done)
    length = min(_BAR, room - len(sizes) - 3)
    if not total or length < _LEAST_BAR:
        return sizes
    filled = min(done, total) * length // total
    bar = "=" * filled + (">" if filled < length else "")
    return f"[{bar:<{length}}] {sizes}"
