"""Progress of Compose: a line for each thing that begins and ends, in Compose's words; builds and pulls as ever."""

from __future__ import annotations

import json
import threading

from wherry.base.progress import Advanced, Finished, Output, Started, Warned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from wherry.base.progress import Event

__all__ = ["ComposeProgress"]

_DONE = {
    "Creating": "Created",
    "Starting": "Started",
    "Stopping": "Stopped",
    "Restarting": "Restarted",
    "Removing": "Removed",
    "Renaming": "Renamed",
    "Waiting": "Ready",
    "Pulling": "Pulled",
    "Pushing": "Pushed",
    "Running": "",
    "Killing": "Killed",
    "Pausing": "Paused",
    "Unpausing": "Unpaused",
}
_GREEN, _YELLOW, _RED, _RESET = "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[0m"


class ComposeProgress:
    """A sink that several threads may call. `style` is auto, tty, plain, json or quiet."""

    def __init__(self, stream: TextIO, style: str, *, colours: bool) -> None:
        from wherry.cli.progress import choose, plain

        self._stream = stream
        self._style = style
        self._colours = colours
        self._titles: dict[str, tuple[str, str]] = {}  # task: what, doing
        self._others = choose("tty", stream) if style == "tty" else plain(stream)
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Show the event."""
        with self._lock:
            if isinstance(event, Warned):
                self._warn(event.message)
            elif self._style == "json":
                self._json(event)
            elif self._style != "quiet":
                self._show(event)

    def _show(self, event: Event) -> None:
        if isinstance(event, Started):
            what, _, doing = event.title.rpartition("  ")
            if doing in _DONE:
                self._titles[event.task] = what, doing
                self._line(what, doing, _GREEN if doing == "Running" else "")
                return
        elif not isinstance(event, Warned) and event.task in self._titles:
            if isinstance(event, Finished):
                self._finish(event)
            return
        self._others(event)

    def _finish(self, event: Finished) -> None:
        what, doing = self._titles.pop(event.task)
        if event.error:
            self._line(what, "Error", _RED)
        else:
            self._line(what, _DONE[doing], _GREEN)

    def _line(self, what: str, word: str, colour: str) -> None:
        shown = f"{colour}{word}{_RESET}" if colour and self._colours else word
        print(f" {what}  {shown}", file=self._stream, flush=True)

    def _warn(self, message: str) -> None:
        words = f"{_YELLOW}WARNING{_RESET}" if self._colours else "WARNING"
        print(f"{words}: {message}", file=self._stream, flush=True)

    def _json(self, event: Event) -> None:
        if isinstance(event, (Advanced, Output)):
            return
        if isinstance(event, Started):
            what, _, doing = event.title.rpartition("  ")
            self._titles[event.task] = (what, doing) if doing in _DONE else (event.title, "")
            told = {"id": self._titles[event.task][0], "text": doing}
        else:
            assert isinstance(event, Finished)
            what, doing = self._titles.pop(event.task, (event.task, ""))
            told = {"id": what, "text": "Error" if event.error else _DONE.get(doing, "Done")}
            if event.error:
                told["details"] = event.error
        print(json.dumps(told), file=self._stream, flush=True)
