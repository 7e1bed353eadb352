"""What there is of a project: containers, networks, volumes and images, as values that plans are made from."""

from __future__ import annotations

from wherry.base.values import NamedTuple
from wherry.compose import labels as label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ObservedContainer", "ObservedMount", "ObservedResource", "State", "whole"]


class ObservedMount(NamedTuple):
    """A volume that a container mounts; `anonymous` ones were made for it alone."""

    target: str
    volume: str
    anonymous: bool = False


class ObservedContainer(NamedTuple):
    """One container of the project. `status` is created, running, paused, restarting, exited or dead."""

    id: str
    name: str
    labels: dict[str, str]
    status: str = "running"
    exit_code: int = 0
    health: str = ""  # "" | starting | healthy | unhealthy
    image: str = ""
    image_id: str = ""
    networks: tuple[str, ...] = ()
    mounts: tuple[ObservedMount, ...] = ()
    ports: tuple[tuple[int, str, str, int], ...] = ()  # container port, protocol, host address, host port
    created: int = 0  # nanoseconds since the epoch
    started: int = 0
    finished: int = 0

    @property
    def service(self) -> str:
        """The service that it is of."""
        return self.labels.get(label.SERVICE, "")

    @property
    def number(self) -> int:
        """Which replica it is, from 1."""
        text = self.labels.get(label.NUMBER, "")
        return int(text) if text.isdigit() else 0

    @property
    def is_one_off(self) -> bool:
        """Whether `run` made it."""
        return self.labels.get(label.ONE_OFF) == "True"

    @property
    def is_running(self) -> bool:
        """Whether it has a process, or is about to have one again."""
        return self.status in ("running", "paused", "restarting")


class ObservedResource(NamedTuple):
    """A network or a volume: its name and its labels."""

    name: str
    labels: dict[str, str] = {}  # noqa: RUF012 (a value is never changed)


class State(NamedTuple):
    """Everything observed. Networks and volumes are all that there are, by name: external ones belong to nobody.

    `images` maps the image name of each service to the identifier of the image that it names now, where it is here.
    """

    containers: tuple[ObservedContainer, ...] = ()
    networks: dict[str, ObservedResource] = {}  # noqa: RUF012 (a value is never changed)
    volumes: dict[str, ObservedResource] = {}  # noqa: RUF012
    images: dict[str, str] = {}  # noqa: RUF012

    def of_service(self, service: str) -> list[ObservedContainer]:
        """The containers of a service, by number, without those of `run`."""
        found = [one for one in self.containers if one.service == service and not one.is_one_off]
        return sorted(found, key=lambda one: (one.number, one.name))

    def orphans(self, known: Iterable[str]) -> list[ObservedContainer]:
        """Containers of services that the project does not know."""
        names = set(known)
        return [one for one in self.containers if one.service not in names and not one.is_one_off]


def whole(containers: Iterable[ObservedContainer]) -> list[tuple[ObservedContainer, ObservedContainer | None]]:
    """The containers, each with the one that was made to replace it, where a command was cut off in between.

    Such a one has never been started, and has the volumes of the other.
    """
    every = list(containers)
    present = {one.id for one in every}
    half_made = {one.labels[label.REPLACE]: one for one in every if one.labels.get(label.REPLACE) in present}
    left_out = {one.id for one in half_made.values()}
    return [(one, half_made.get(one.id)) for one in every if one.id not in left_out]
