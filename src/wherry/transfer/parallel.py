"""Several transfers at once: bounded, and the first that fails ends the others."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    Item = TypeVar("Item")
    Result = TypeVar("Result")

__all__ = ["WORKERS", "each"]

WORKERS = 4


def each(items: Iterable[Item], work: Callable[[Item], Result], stop: Callable[[], object]) -> list[Result]:
    """`work` for every item, begun in order, at most WORKERS at a time; the results in order.

    Where one fails, or the caller is interrupted, `stop` is called, which is to make the others fail soon; no thread
    is left when this returns. Raises what went wrong first.
    """
    from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

    with ThreadPoolExecutor(WORKERS) as pool:
        failures: list[BaseException] = []

        def guarded(item: Item) -> Result:
            try:
                return work(item)
            except BaseException as error:
                failures.append(error)
                raise

        futures = [pool.submit(guarded, item) for item in items]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            if failures or not all(future.done() for future in futures):
                pool.shutdown(wait=False, cancel_futures=True)
                stop()
    if failures:
        raise failures[0]
    return [future.result() for future in futures]
