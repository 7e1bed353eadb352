"""Looking once for everybody who looks at the same time: what was found a moment ago is found again.

A page asks every two seconds, and there may be many of them; a look at an environment reads files of every container.
"""

from __future__ import annotations

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from wherry.deploy.parts import Parts

    T = TypeVar("T")

__all__ = ["Moment", "shared_parts"]

_MOST = 1000  # answers that are kept; the oldest go


class Moment:
    """Answers by question, each for `seconds`. Whoever asks while an answer is being found waits for that one.

    `clock` gives seconds that only grow. An error is not kept: the next one asks again.
    """

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._asking: dict[Any, threading.Lock] = {}
        self._found: dict[Any, tuple[float, Any]] = {}

    def get(self, question: Any, find: Callable[[], T]) -> T:
        """The answer, by `find` where there is none that is new enough."""
        with self._lock:
            asking = self._asking.setdefault(question, threading.Lock())
        with asking:
            known = self._found.get(question)
            if known is not None and self._clock() - known[0] < self._seconds:
                answer: T = known[1]
                return answer
            answer = find()
            self._keep(question, answer)
            return answer

    def forget(self) -> None:
        """Everything has changed."""
        with self._lock:
            self._found.clear()

    def _keep(self, question: Any, answer: Any) -> None:
        with self._lock:
            self._found.pop(question, None)
            self._found[question] = self._clock(), answer
            while len(self._found) > _MOST:
                oldest = next(iter(self._found))
                del self._found[oldest]
                self._asking.pop(oldest, None)


class _Shared:
    """Another object whose methods of these names are asked at most once a moment for the same arguments."""

    def __init__(self, inner: object, moment: Moment, names: tuple[str, ...]) -> None:
        self._inner = inner
        self._moment = moment
        self._names = names

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self._names:
            return found
        return lambda *arguments: self._moment.get((name, *arguments), lambda: found(*arguments))


def shared_parts(parts: Parts, moment: Moment) -> Parts:
    """The parts for whoever only looks: what the target and the balancer say of an environment is kept a moment."""
    target = _Shared(parts.target, moment, ("observe",))
    balancer = _Shared(parts.balancer, moment, ("states", "sections", "running"))
    return parts._replace(target=target, balancer=balancer)
