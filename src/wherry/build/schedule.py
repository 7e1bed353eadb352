"""Doing pieces of work that need each other, as many at once as there are processors; the first error ends the rest."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

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
    from concurrent.futures import FIRST_COMPLETED, FIRST_EXCEPTION, ThreadPoolExecutor, wait

    done: set[int] = set()
    waiting = dict(needs)
    running: dict[Future[None], int] = {}
    with ThreadPoolExecutor(max(2, os.cpu_count() or 1), "stage") as pool:
        try:
            while waiting or running:
                for number in [each for each, needed in waiting.items() if needed <= done]:
                    del waiting[number]
                    running[pool.submit(work, number)] = number
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    future.result()
                    done.add(running.pop(future))
        except BaseException:
            for future in running:
                future.cancel()
            while running:
                stop()
                for future in wait(running, timeout=_AGAIN, return_when=FIRST_EXCEPTION).done:
                    del running[future]
            raise


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
