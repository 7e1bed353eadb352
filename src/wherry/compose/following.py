"""The output of several containers at once, line by line, and what happens to them: for `up` and `logs`."""

from __future__ import annotations

import threading

from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from wherry.compose.engine import ComposeEngine
    from wherry.compose.state import ObservedContainer
    from wherry.runtime.logs import LogRecord

    Write = Callable[[ObservedContainer, LogRecord], None]

__all__ = ["Ended", "Follower", "LogOptions", "merged_logs"]


class LogOptions(NamedTuple):
    """Times in nanoseconds since the epoch, 0 for open; `tail` in lines, -1 for all."""

    follow: bool = False
    tail: int = -1
    since: int = 0
    until: int = 0


class Ended(NamedTuple):
    """A container ended and will not be started again by its policy."""

    container: ObservedContainer
    exit_code: int


def merged_logs(
    engine: ComposeEngine, containers: Iterable[ObservedContainer], options: LogOptions
) -> Iterator[tuple[ObservedContainer, LogRecord]]:
    """What the containers have written so far, in the order of time."""
    from heapq import merge

    def lines(one: ObservedContainer) -> Iterator[tuple[ObservedContainer, LogRecord]]:
        for record in engine.logs(one.id, tail=options.tail, since=options.since, until=options.until):
            yield one, record

    return merge(*map(lines, containers), key=lambda entry: entry[1].time)


class Follower:
    """A thread for each container writes its lines; `write` is called by one thread at a time."""

    def __init__(self, engine: ComposeEngine, write: Write, options: LogOptions) -> None:
        self._engine = engine
        self._write = write
        self._options = options
        self._changed = threading.Condition()
        self._open = 0
        self._ended: list[Ended] = []
        self._stopped = False

    def add(self, containers: Iterable[ObservedContainer]) -> None:
        """Follow these too."""
        for one in containers:
            with self._changed:
                self._open += 1
            threading.Thread(target=self._follow, args=(one,), daemon=True).start()

    def stop(self) -> None:
        """Write no more; threads that wait for output end with the process."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def next_end(self) -> Ended | None:
        """Block until a container has ended; None when none is left."""
        with self._changed:
            while not self._ended and self._open and not self._stopped:
                self._changed.wait()
            return self._ended.pop(0) if self._ended else None

    def _follow(self, one: ObservedContainer) -> None:
        code: int | None = None
        try:
            code = self._pump(one)
        finally:
            with self._changed:
                self._open -= 1
                if code is not None:
                    self._ended.append(Ended(one, code))
                self._changed.notify_all()

    def _pump(self, one: ObservedContainer) -> int | None:
        """Copy its output until it ends for good; its exit code where the end was waited for."""
        options = self._options
        since = options.since
        while True:
            records = self._engine.logs(
                one.id, follow=options.follow, tail=options.tail, since=since, until=options.until
            )
            for record in records:
                with self._changed:
                    if self._stopped:
                        return None
                    self._write(one, record)
            if not options.follow:
                return None
            left = self._engine.wait_until(lambda: self._at_rest(one.id))
            now = self._engine.container(one.id)
            if left != "running" or now is None:
                return now.exit_code if now is not None else 0
            since, options = now.started, options._replace(tail=-1)

    def _at_rest(self, container_id: str) -> str | None:
        """gone, ended or running (again); None while its restart policy has not decided."""
        now = self._engine.container(container_id)
        if now is None:
            return "gone"
        if now.status in ("running", "paused"):
            return "running"
        return None if now.status == "restarting" else "ended"
