"""Wrong passwords slowed down: each one from the same address costs more time, until the address has to wait."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Throttle"]

_FREE = 3  # failures that cost nothing but the hash
_LIMIT = 10  # failures after which answers are refused
_WINDOW = 300.0  # seconds after which a failure is forgotten
_MOST = 10_000


class Throttle:
    """Counts failures by who failed. `clock` gives seconds that only grow."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: dict[str, list[float]] = {}

    def wait(self, who: str) -> float:
        """Seconds that `who` has to wait before it may try again; 0 for now."""
        recent = self._recent(who)
        return max(0.0, recent[-1] + _WINDOW / 5 - self._clock()) if len(recent) >= _LIMIT else 0.0

    def failed(self, who: str) -> None:
        """Note a failure."""
        if len(self._failures) >= _MOST and who not in self._failures:
            self._forget_the_old()
        recent = self._recent(who)
        recent.append(self._clock())
        self._failures[who] = recent[-_LIMIT:]

    def delay(self, who: str) -> float:
        """Seconds by which the answer to the last failure is to be delayed."""
        failures = len(self._recent(who))
        return min(0.25 * 2 ** (failures - _FREE), 4.0) if failures > _FREE else 0.0

    def succeeded(self, who: str) -> None:
        """Forget what `who` did wrong."""
        self._failures.pop(who, None)

    def _recent(self, who: str) -> list[float]:
        since = self._clock() - _WINDOW
        return [moment for moment in self._failures.get(who, ()) if moment > since]

    def _forget_the_old(self) -> None:
        self._failures = {who: recent for who in self._failures if (recent := self._recent(who))}
        if len(self._failures) >= _MOST:
            self._failures.clear()
