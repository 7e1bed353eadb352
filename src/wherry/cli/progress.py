"""Progress events as text: plain lines that a log keeps, or a few lines that a terminal redraws."""

from __future__ import annotations

import time

from wherry.base.progress import Advanced, Finished, Output, Started, Turned, Warned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from wherry.base.progress import Event, Sink

__all__ = ["choose", "plain"]


def choose(style: str, stream: TextIO) -> Sink:
    """The renderer for `auto`, `plain` or `tty`."""
    from wherry.cli.region import can_draw

    if style == "tty" or (style == "auto" and can_draw(stream)):
        return _Live(stream)
    return plain(stream)


def plain(stream: TextIO) -> Sink:
    """One line for each thing that happens, numbered by task, as BuildKit's plain output."""
    return _Plain(stream)


class _Plain:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._numbers: dict[str, int] = {}
        self._begun: dict[str, float] = {}
        self._partial: dict[str, bytes] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, Warned):
            self._line(f"WARNING: {event.message}")
            return
        number = self._numbers.setdefault(event.task, len(self._numbers) + 1)
        if isinstance(event, Started):
            self._begun[event.task] = time.monotonic()
            self._line(f"#{number} {event.title}")
        elif isinstance(event, Output):
            self._output(event, number)
        elif isinstance(event, Finished):
            self._finish(event, number)

    def _output(self, event: Output, number: int) -> None:
        lines = (self._partial.pop(event.task, b"") + event.data).split(b"\n")
        self._partial[event.task] = lines.pop()
        seconds = time.monotonic() - self._begun.get(event.task, time.monotonic())
        for line in lines:
            self._line(f"#{number} {seconds:.3f} {line.decode(errors='replace')}")

    def _finish(self, event: Finished, number: int) -> None:
        rest = self._partial.pop(event.task, b"")
        if rest:
            self._line(f"#{number} {rest.decode(errors='replace')}")
        seconds = time.monotonic() - self._begun.get(event.task, time.monotonic())
        if event.error:
            self._line(f"#{number} ERROR: {event.error}")
        else:
            self._line(f"#{number} CACHED" if event.cached else f"#{number} DONE {seconds:.1f}s")

    def _line(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class _Task:
    """One that runs: what it is, since when, how far, and the end of its output."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.begun = time.monotonic()
        self.advance = ""
        self.tail: list[str] = []
        self.partial = b""

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.begun

    def output(self, data: bytes, kept: int) -> None:
        lines = (self.partial + data).replace(b"\r", b"\n").split(b"\n")
        self.partial = lines.pop()
        self.tail = (self.tail + [line.decode(errors="replace") for line in lines])[-kept:]


class _Live:
    """Finished tasks stay as lines; below them those that run, each with its last lines of output, drawn anew."""

    _KEPT = 6

    def __init__(self, stream: TextIO) -> None:
        from wherry.cli.region import Region

        self._region = Region(stream)
        self._running: dict[str, _Task] = {}
        self._last = 0.0

    def __call__(self, event: Event) -> None:
        if isinstance(event, Warned):
            self._settle(f"\x1b[33mWARNING: {event.message}\x1b[0m")
        elif isinstance(event, Started):
            self._running[event.task] = _Task(event.title)
            self._draw()
        elif isinstance(event, Finished):
            self._finish(event)
        else:
            self._go_on(event)

    def _go_on(self, event: Output | Advanced | Turned) -> None:
        task = self._running.setdefault(event.task, _Task(event.task))
        if isinstance(event, Turned):
            task.title = f"{event.task}: {event.state}"
            return
        if isinstance(event, Output):
            task.output(event.data, self._KEPT)
            self._draw()
            return
        whole = f"/{event.total}" if event.total else ""
        task.advance = f" {event.done}{whole} {event.unit}"
        if time.monotonic() - self._last > 0.1:
            self._draw()

    def _finish(self, event: Finished) -> None:
        task = self._running.pop(event.task, None) or _Task(event.task)
        if event.error:
            tail = "".join(f"\n   {line}" for line in [*task.tail, task.partial.decode(errors="replace")] if line)
            self._settle(f"\x1b[31m✗ {task.title}  {task.seconds:.1f}s\x1b[0m{tail}")
        else:
            mark = "\x1b[36m= " if event.cached else "\x1b[32m✓ "
            self._settle(f"{mark}{task.title}\x1b[0m  {'cached' if event.cached else f'{task.seconds:.1f}s'}")
        if self._running:
            self._draw()

    def _settle(self, line: str) -> None:
        self._region.draw((), (line,))

    def _draw(self) -> None:
        self._last = time.monotonic()
        _, rows = self._region.size()
        kept = max(1, self._KEPT // len(self._running))
        lines = []
        for task in self._running.values():
            lines.append(f"• {task.title}  {task.seconds:.1f}s{task.advance}")
            lines += [f"   {line}" for line in task.tail[-kept:]]
        shown = [*lines[:1], *lines[1:][-max(rows - 2, 0) :]]
        self._region.draw((line, "") for line in shown)
