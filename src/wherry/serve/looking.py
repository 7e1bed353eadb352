"""One look at an environment: what there is, how it does, what it is asked and what it uses."""

from __future__ import annotations

import threading

from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from wherry.deploy.health import EnvironmentHealth, InstanceHealth
    from wherry.deploy.status import InstanceStatus, Status
    from wherry.deploy.traffic import RequestStats

__all__ = ["Look", "Speeds"]


class Look(NamedTuple):
    """`requests` are those of the last `seconds`, by instance, "" for all; `cpu` is percent of one core by instance."""

    status: Status
    health: EnvironmentHealth
    requests: Mapping[str, RequestStats]
    seconds: float
    cpu: Mapping[str, float]

    @property
    def name(self) -> str:
        """The environment's."""
        return self.status.environment.name

    @property
    def instances(self) -> tuple[InstanceStatus, ...]:
        """All of them."""
        return self.status.instances

    @property
    def serving(self) -> int:
        """How many get requests."""
        return sum(one.instance.serves for one in self.instances)

    def traffic(self, instance: str) -> RequestStats | None:
        """Of an instance, or of all for an empty name; None where there was no request."""
        return self.requests.get(instance)

    def judged(self, instance: str) -> InstanceHealth | None:
        """How an instance does, None where nobody has judged it."""
        return next((one for one in self.health.instances if one.name == instance), None)


class Speeds:
    """How fast totals grow, by what they are totals of. Any thread may ask."""

    def __init__(self, least_seconds: float = 1.0) -> None:
        self._least = least_seconds
        self._lock = threading.Lock()
        self._seen: dict[object, tuple[float, float, float]] = {}  # seconds, total, speed

    def speed(self, subject: object, seconds: float, total: float) -> float:
        """Per second since the last time (at least so long ago), 0 the first time and where the total began anew."""
        with self._lock:
            before, held, known = self._seen.get(subject, (seconds, total, 0.0))
            passed = seconds - before
            if passed < self._least and subject in self._seen:
                return known
            speed = max(0.0, total - held) / passed if passed > 0 else 0.0
            self._seen[subject] = (seconds, total, speed)
            return speed

    def keep(self, subjects: set[object]) -> None:
        """Forget all others."""
        with self._lock:
            self._seen = {subject: seen for subject, seen in self._seen.items() if subject in subjects}
