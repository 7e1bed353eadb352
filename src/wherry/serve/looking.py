"""One look at an environment: what there is, and how it does."""

from __future__ import annotations

from wherry.base.values import NamedTuple
from wherry.deploy.assessing import assess
from wherry.deploy.exclusion import Exclusion
from wherry.deploy.health import InstanceHealth
from wherry.deploy.status import take_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.deploy.health import EnvironmentHealth
    from wherry.deploy.parts import Parts
    from wherry.deploy.status import InstanceStatus, Status

__all__ = ["Look", "Looking"]


class Look(NamedTuple):
    """`found` is what there is, `health` how it does."""

    found: Status
    health: EnvironmentHealth

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
        """Each instance as it is found, and how it does; grey where it came between two looks."""
        known = {one.name: one for one in self.health.instances}
        return [
            (one, known.get(one.instance.name) or InstanceHealth(one.instance.name, "grey", "Pending", ()))
            for one in self.found.instances
        ]


class Looking:
    """Looks at the environments of an installation."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._exclusion = Exclusion(parts, lambda _: None, wait=False)

    def look(self, name: str) -> Look:
        """Raises NotFound."""
        status = take_status(self._parts, name, is_held=self._exclusion.is_held)
        return Look(status, assess(self._parts, name))
