"""A live picture of an operation on an environment: its steps and instances, drawn anew four times a second.

Nothing that goes wrong with drawing or looking reaches the operation: it only hands over events.
"""

from __future__ import annotations

import threading
import time

from wherry.base.progress import Advanced, Finished, Output, Started, Turned, Warned
from wherry.cli.instancetable import Rates, count_up, table
from wherry.cli.region import Region, cleaned, painted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import TextIO

    from wherry.base.progress import Event
    from wherry.deploy.status import Status

__all__ = ["Picture"]

_SECONDS = 0.25  # between two frames
_IDLE = 3  # times as long as a look took nobody looks again
_PATIENCE = 2.0  # seconds that the end waits for a look
_RED, _GREEN, _YELLOW, _CYAN, _GREY = "31", "32", "33", "36", "2"


class _Task:
    """A step that is under way; `last` is what a task beside the steps said last."""

    def __init__(self, title: str, begun: float) -> None:
        self.title = title
        self.begun = begun
        self.last = ""
        self.partial = b""

    def lines(self, data: bytes) -> list[str]:
        """The lines that `data` ends."""
        *whole, self.partial = (self.partial + data).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        return [cleaned(line.decode(errors="replace")) for line in whole]


class Picture:
    """A sink of events, and a context in which they are drawn on `stream`. Several threads may call it.

    `look` gives the environment's status, or raises where there is none yet. `clock` is in seconds.
    """

    def __init__(
        self,
        stream: TextIO,
        look: Callable[[], Status],
        *,
        colours: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._region = Region(stream)
        self._ask = look
        self._colours = colours
        self._clock = clock
        self._lock = threading.Lock()  # held while values change, never while something is written
        self._tasks: dict[str, _Task] = {}
        self._settled: list[str] = []
        self._begun = threading.Event()
        self._ended = threading.Event()
        self._status: Status | None = None
        self._rates = Rates()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Picture:
        """Begin to draw."""
        for work in (self._keep_drawing, self._keep_looking):
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing but what is settled."""
        self._ended.set()
        self._begun.set()
        drawing, looking = self._threads
        drawing.join()
        looking.join(_PATIENCE)
        try:
            self._region.draw((), self._take())
        except (OSError, ValueError):  # the terminal is gone
            return

    # --- what happens

    def __call__(self, event: Event) -> None:
        """Show a step of the operation, and all that its program says."""
        with self._lock:
            self._hear(event, keep=True)
        self._begun.set()

    def aside(self, event: Event) -> None:
        """Show what is done beside the steps (a base image is built): only the last line that its program says."""
        with self._lock:
            self._hear(event, keep=False)

    def say(self, words: str) -> None:
        """Show a line, and leave it there."""
        with self._lock:
            self._settled.append(words)

    def _hear(self, event: Event, *, keep: bool) -> None:
        if isinstance(event, Warned):
            self._settled.append(self._paint(f"WARNING: {cleaned(event.message)}", _YELLOW))
        elif isinstance(event, Started):
            self._tasks[event.task] = _Task(cleaned(event.title), self._clock())
        elif isinstance(event, Finished):
            self._finish(event, keep=keep)
        else:
            self._go_on(event, keep=keep)

    def _go_on(self, event: Output | Advanced | Turned, *, keep: bool) -> None:
        task = self._tasks.setdefault(event.task, _Task(cleaned(event.task), self._clock()))
        if isinstance(event, Turned):
            task.last = event.state
        elif isinstance(event, Advanced):
            task.last = f"{event.done}{f'/{event.total}' if event.total else ''} {event.unit}"
        else:
            lines = task.lines(event.data)
            if keep:
                self._settled += [self._paint(f"  | {line}", _GREY) for line in lines]
            elif lines:
                task.last = lines[-1]

    def _finish(self, event: Finished, *, keep: bool) -> None:
        task = self._tasks.pop(event.task, None) or _Task(cleaned(event.task), self._clock())
        if task.partial and keep:
            self._settled += [self._paint(f"  | {line}", _GREY) for line in task.lines(b"\n")]
        took = f"{self._clock() - task.begun:.1f}s"
        if event.error:
            self._settled.append(f"{self._paint(f'✗ {task.title}', _RED)}  {took}: {cleaned(event.error)}")
        else:
            mark, colour = ("=", _CYAN) if event.cached else ("✓", _GREEN)
            self._settled.append(f"{self._paint(f'{mark} ', colour)}{task.title}  {took}")

    def _paint(self, text: str, colour: str) -> str:
        return painted(text, colour) if self._colours else text

    def _take(self) -> list[str]:
        with self._lock:
            taken, self._settled = self._settled, []
        return taken

    # --- frames

    def _keep_drawing(self) -> None:
        try:
            while not self._ended.wait(_SECONDS):
                self.draw()
        except Exception:  # noqa: BLE001 (there will be no more frames; the operation goes on)
            return

    def draw(self) -> None:
        """One frame."""
        columns, rows = self._region.size()
        with self._lock:
            lines = self._lines(columns - 1, rows - 1)
        self._region.draw(lines, self._take())

    def _lines(self, columns: int, rows: int) -> list[tuple[str, str]]:
        """What is under way and, where there is room for it, the instances."""
        now = self._clock()
        steps = []
        for task in self._tasks.values():
            steps.append((f"• {task.title}  {now - task.begun:.1f}s", ""))
            steps += [(f"  | {task.last}", _GREY)] if task.last else []
        if len(steps) > max(rows // 2, 1):
            left = max(rows // 2 - 1, 1)
            steps = [*steps[:left], (f"• … and {len(steps) - left} more", "")]
        room = rows - len(steps) - 4  # a blank, the headings, the sum, how many are not shown
        if self._status is None or room < 1:
            lines = steps
        else:
            lines = [*steps, ("", ""), *table(self._status, self._rates, columns, room)]
        return [(text, colour if self._colours else "") for text, colour in lines]

    # --- looks

    def _keep_looking(self) -> None:
        self._begun.wait()
        pause = 0.0
        while not self._ended.wait(pause):
            began = time.monotonic()
            self.look()
            pause = max(_SECONDS, _IDLE * (time.monotonic() - began))

    def look(self) -> None:
        """Ask for the instances; what cannot be known is not drawn."""
        try:
            status = self._ask()
            totals = count_up(server for one in status.instances for server in one.servers)
        except Exception:  # noqa: BLE001 (there may be no environment yet, or the balancer is being started)
            with self._lock:
                self._status = None
            return
        with self._lock:
            self._status = status
            self._rates.note(self._clock(), totals)
