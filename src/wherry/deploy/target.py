"""The contract of targets: where instances run. `local/` is this machine."""

from __future__ import annotations

from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, Protocol

    from wherry.base.progress import Sink
else:
    Protocol = object

__all__ = [
    "ACCESSORIES",
    "RELEASE",
    "AccessoryWish",
    "InstanceWish",
    "LogLine",
    "ObservedInstance",
    "ObservedService",
    "Release",
    "Secret",
    "Target",
]


ACCESSORIES = "accessories"  # in place of an instance's name, in logs
RELEASE = "release"  # in place of an instance's name, for what runs a release command


class Secret(NamedTuple):
    """A secret in the clear, on its way into a container: a variable, or a file below /run/secrets where `file`."""

    name: str
    value: str
    file: bool = False


class InstanceWish(NamedTuple):
    """One instance: all stateless services of `model`, a resolved Compose model with images pinned by digest.

    `environment` is a name, `name` the instance's (`i-` and a number that is never used again in the environment).
    `variables` go to every service, over what the model says.
    """

    environment: str
    name: str
    version: str
    model: dict[str, Any]
    services: tuple[str, ...]
    variables: dict[str, str]
    secrets: tuple[Secret, ...] = ()


class AccessoryWish(NamedTuple):
    """The stateful services of an environment, shared by its instances under their services' names.

    Each gets those of the variables and secrets that its definition names. `marks`, by name, are what tells whether a
    secret's value has changed, without telling the value.
    """

    environment: str
    model: dict[str, Any]
    services: tuple[str, ...]
    variables: dict[str, str]
    secrets: tuple[Secret, ...] = ()
    marks: dict[str, str] = {}  # noqa: RUF012 (a value)


class Release(NamedTuple):
    """A command that runs once, in a container of `service` of a version, on the environment's network.

    Two of one `name` do not run at once in an environment: the later one ends the earlier. Other than `release` it
    begins with `job-`.
    """

    instance: InstanceWish
    service: str
    command: tuple[str, ...]
    timeout: float = 600.0
    name: str = RELEASE


class ObservedService(NamedTuple):
    """One container of an instance or accessory. `status` and `health` are Docker's words; times seconds since 1970.

    `address` is where the balancer reaches it. `cpu_seconds` is a total, `memory` is in bytes; both 0 where it does not
    run. `cpus` (cores) and `memory_limit` (bytes) are what it may take at most, 0 where it has no limit.
    """

    service: str
    container: str
    status: str
    health: str
    exit_code: int
    restarts: int
    started: float
    address: str = ""
    cpu_seconds: float = 0.0
    memory: int = 0
    oom_killed: bool = False
    cpus: float = 0.0
    memory_limit: int = 0


class ObservedInstance(NamedTuple):
    """What there is of an instance (or, with an empty `name`, of the accessories)."""

    environment: str
    name: str
    version: str
    services: tuple[ObservedService, ...]


class LogLine(NamedTuple):
    """A line that a service wrote; `time` is nanoseconds since 1970, `stream` 1 or 2."""

    instance: str
    service: str
    time: int
    stream: int
    data: bytes


class Target(Protocol):
    """Every method may be called again after a kill, and then ends what was begun. Several threads may call at once."""

    def observe(self, environment: str) -> list[ObservedInstance]:
        """What there is of an environment, instances by number, accessories last."""

    def observe_all(self) -> dict[str, list[ObservedInstance]]:
        """What there is of every environment that has anything, in one look."""

    def start(self, wish: InstanceWish, progress: Sink, look: Callable[[], None] = lambda: None) -> ObservedInstance:
        """Bring the instance up: containers run, health checks of their own have passed where others depend on them.

        What there is of it is started where it stands still, and not replaced. Raises WherryError with the service, its
        exit code and its last lines where one ends at once. `look` is called once a second while one is waited for, and
        may raise.
        """

    def stop(self, environment: str, name: str, grace: float | None, progress: Sink) -> None:
        """SIGTERM, the grace (s; None: each service's own), SIGKILL; remove it, keep its logs. Harmless where gone.

        `name` may also be that of a release.
        """

    def restart(self, environment: str, name: str) -> None:
        """Restart its containers in place."""

    def ensure_accessories(
        self,
        wish: AccessoryWish,
        progress: Sink,
        *,
        replace: bool = False,
        anew: bool = False,
        look: Callable[[], None] = lambda: None,
    ) -> list[str]:
        """Run what is missing; replace what has changed only with `replace`, else name it in the answer.

        With `anew` the containers of all of them are replaced; volumes stay. It returns when all run and are healthy;
        `look` is called once a second while they are waited for, and may raise.
        """

    def release(self, release: Release, output: Callable[[bytes], None]) -> int:
        """Run it to its end; its exit code. It is gone afterwards, also where this process is killed meanwhile."""

    def terminate(self, environment: str, progress: Sink, *, volumes: bool) -> None:
        """Take everything of the environment away, its volumes only where `volumes`."""

    def logs(
        self,
        environment: str,
        *,
        follow: bool = False,
        tail: int = -1,
        instances: Sequence[str] = (),
        services: Sequence[str] = (),
    ) -> Iterator[LogLine]:
        """What instances and accessories wrote, those included that failed and are gone, in order of time."""
