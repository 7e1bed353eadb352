"""One look at an environment: what there is, how it does, what it is asked and what it uses."""

from __future__ import annotations

from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.deploy.status import InstanceStatus, Status
    from wherry.deploy.traffic import RequestStats

__all__ = ["InstanceHealth", "Look"]


class InstanceHealth(NamedTuple):
    """One instance. `cpu` is percent of one core, `memory` in bytes."""

    name: str
    color: str
    status: str
    causes: tuple[str, ...]
    stats: RequestStats
    cpu: float
    memory: int


class Look(NamedTuple):
    """`found` is what there is; `stats` are all requests of the last `seconds`."""

    found: Status
    color: str
    status: str
    causes: tuple[str, ...]
    healths: tuple[InstanceHealth, ...]
    stats: RequestStats
    seconds: float

    @property
    def name(self) -> str:
        """The environment's."""
        return self.found.environment.name

    @property
    def serving(self) -> int:
        """How many get requests."""
        return sum(one.instance.serves for one in self.found.instances)

    @property
    def pairs(self) -> list[tuple[InstanceStatus, InstanceHealth]]:
        """Each instance as it is found, and how it does."""
        return list(zip(self.found.instances, self.healths, strict=True))
