"""One operation at a time for each environment: locks that end with their holders."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager

from wherry.base.errors import Conflict
from wherry.base.locks import FileLock, is_held
from wherry.base.progress import Finished, Started

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from wherry.base.progress import Sink
    from wherry.deploy.parts import Parts

__all__ = ["Exclusion"]


class Exclusion:
    """The locks of the environments of one installation.

    With `wait`, whoever comes second waits, and `progress` hears for what; without, Conflict is raised.
    """

    def __init__(self, parts: Parts, progress: Sink, *, wait: bool) -> None:
        self._parts = parts
        self._journal = parts.records.journal
        self._progress = progress
        self._wait = wait

    def is_held(self, name: str) -> bool:
        """Whether some process works on the environment now."""
        return is_held(self._path(name))

    @contextmanager
    def hold(self, *names: str) -> Iterator[list[str]]:
        """Hold these environments, and those that a swap which was cut off binds them to; all of them, in order."""
        every = self._with_partners(names)
        with ExitStack() as held:
            for name in every:
                held.enter_context(self._lock(name))
            yield every

    @contextmanager
    def hold_if_free(self, name: str) -> Iterator[bool]:
        """Hold an environment as `hold` does, if nobody holds it or one it is bound to; whether it is held."""
        with ExitStack() as held:
            try:
                for one in self._with_partners((name,)):
                    held.enter_context(FileLock(self._path(one), wait=False))
            except BlockingIOError:
                held.close()
                yield False
            else:
                yield True

    def _path(self, name: str) -> str:
        return f"{self._parts.layout.locks}/environment-{name}"

    def _with_partners(self, names: tuple[str, ...]) -> list[str]:
        swaps = [one for one in self._journal.unfinished() if one.kind == "swap"]
        bound = [{host[0] for host in one.wish.hosts} for one in swaps]
        return sorted({*names, *(other for every in bound if every & {*names} for other in every)})

    def _lock(self, name: str) -> FileLock:
        try:
            return FileLock(self._path(name), wait=False).acquire()
        except BlockingIOError:
            pass
        pending = self._journal.pending(name)
        what = f" ({pending.kind} by {pending.who})" if pending else ""
        if not self._wait:
            raise Conflict(f"another operation on {name} is under way{what}", hint="try again when it has ended")
        task = f"wait-{name}"
        self._progress(Started(task, f"Wait for what is under way on {name}{what}"))
        lock = FileLock(self._path(name)).acquire()
        self._progress(Finished(task))
        return lock
