"""Doing pieces of work that need each other, as many at once as there are processors; the first error ends the rest."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from queue import SimpleQueue
    from threading import Thread

__all__ = ["run_in_order"]

_AGAIN = 0.1  # seconds between two attempts to stop what was just being started


def run_in_order(needs: Mapping[int, frozenset[int]], work: Callable[[int], None], stop: Callable[[], None]) -> None:
    """Call `work(number)` once for each key of `needs`, after it was done for all that the key needs.

    Keys come in an order that satisfies their needs. Where nothing can be done at once, everything happens in the
    calling thread. On an error, or an interrupt of the caller, `stop()` is called until all work has ended (it may
    come before what it is to stop), and the first error is raised.
    """
    if not _has_choice(needs):
        for number in needs:
            work(number)
        return
    crew = _Crew(work, min(len(needs), max(2, os.cpu_count() or 1)))
    try:
        _do_all(needs, crew)
    except BaseException:
        crew.dismiss()
        while crew.is_busy():
            stop()
            crew.wait(_AGAIN)
        raise
    crew.dismiss()


def _do_all(needs: Mapping[int, frozenset[int]], crew: _Crew) -> None:
    done: set[int] = set()
    waiting = dict(needs)
    while len(done) < len(needs):
        for number in [each for each, needed in waiting.items() if needed <= done]:
            del waiting[number]
            crew.give(number)
        done.add(crew.take())


class _Crew:
    """Threads that work in the order in which they are given something. Most of what a build does in an unchanged stage
    is short: the thread pool of the standard library would take longer to load than to do it.
    """

    def __init__(self, work: Callable[[int], None], size: int) -> None:
        from queue import SimpleQueue
        from threading import Thread

        self._work = work
        self._given: SimpleQueue[int | None] = SimpleQueue()
        self._ended: SimpleQueue[tuple[int, BaseException | None]] = SimpleQueue()
        self._dismissed = False
        self._threads: list[Thread] = []
        for _ in range(size):
            self._threads.append(Thread(target=self._live, name="stage", daemon=True))
            self._threads[-1].start()

    def give(self, number: int) -> None:
        self._given.put(number)

    def take(self) -> int:
        """The number of a piece of work that was done; raises its error."""
        number, error = self._ended.get()
        if error is not None:
            raise error
        return number

    def dismiss(self) -> None:
        """Nothing is begun any more; the threads end with what they do now."""
        self._dismissed = True
        for _ in self._threads:
            self._given.put(None)

    def is_busy(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def wait(self, seconds: float) -> None:
        """Until one of those at work has ended, or so long."""
        next((thread for thread in self._threads if thread.is_alive()), self._threads[0]).join(seconds)

    def _live(self) -> None:
        while (number := self._given.get()) is not None and not self._dismissed:
            try:
                self._work(number)
            except BaseException as error:  # noqa: BLE001 (raised by `take`)
                self._dismissed = True
                self._ended.put((number, error))
            else:
                self._ended.put((number, None))


def _has_choice(needs: Mapping[int, frozenset[int]]) -> bool:
    """Whether two of them could ever be done at the same time: whether some one does not need the one before."""
    reach: dict[int, set[int]] = {}
    previous: int | None = None
    for number, needed in needs.items():
        reach[number] = set(needed).union(*(reach[each] for each in needed))
        if previous is not None and previous not in reach[number]:
            return True
        previous = number
    return False
