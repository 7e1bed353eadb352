"""A project as one value: what its files want, canonically. Services and resources are plain JSON-like mappings."""

from __future__ import annotations

from wherry.base.values import NamedTuple
from wherry.compose.graph import in_order

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Dependency", "Project", "Service"]


class Dependency(NamedTuple):
    """One entry of `depends_on`."""

    service: str
    condition: str = "service_started"
    required: bool = True
    restart: bool = False


class Service(NamedTuple):
    """One service: its name and its canonical keys."""

    name: str
    config: dict[str, Any]

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or `default` where it says nothing."""
        value = self.config.get(key)
        return default if value is None else value

    @property
    def scale(self) -> int:
        """How many containers are wanted (`scale`, else `deploy.replicas`, else one)."""
        replicas = self.get("deploy", {}).get("replicas")
        return int(self.get("scale", 1 if replicas is None else replicas))

    @property
    def dependencies(self) -> list[Dependency]:
        """What must be there before it starts, by name."""
        entries = sorted(self.get("depends_on", {}).items())
        return [
            Dependency(name, one["condition"], one.get("required", True), one.get("restart", False))
            for name, one in entries
        ]

    def image_name(self, project: str) -> str:
        """The image that it runs; what is built without a name of its own is called after project and service."""
        return str(self.get("image", f"{project}-{self.name}"))

    def namespace_parents(self) -> list[str]:
        """Services whose containers it joins (`network_mode: service:x` and the like, `volumes_from`)."""
        modes = [str(self.get(key, "")) for key in ("network_mode", "ipc", "pid", "uts", "cgroup")]
        parents = {mode.removeprefix("service:") for mode in modes if mode.startswith("service:")}
        sources = [source for source in self.get("volumes_from", ()) if not source.startswith("container:")]
        return sorted(parents | {source.partition(":")[0] for source in sources})


class Project(NamedTuple):
    """All of it. `disabled` are services of profiles that are not active; `environment` is what was interpolated with.

    `files` are the absolute paths of the Compose files, `directory` is where their paths begin.
    """

    name: str
    directory: str
    files: tuple[str, ...]
    services: dict[str, Service]
    networks: dict[str, dict[str, Any]]
    volumes: dict[str, dict[str, Any]]
    secrets: dict[str, dict[str, Any]]
    configs: dict[str, dict[str, Any]]
    environment: dict[str, str]
    disabled: dict[str, Service] = {}  # noqa: RUF012 (a value is never changed)
    extensions: dict[str, Any] = {}  # noqa: RUF012
    models: dict[str, Any] = {}  # noqa: RUF012
    profiles: tuple[str, ...] = ()

    def edges(self) -> dict[str, list[str]]:
        """For each service the services that it depends on and that are part of the project now."""
        return {
            name: [one.service for one in service.dependencies if one.service in self.services]
            for name, service in self.services.items()
        }

    def ordered(self) -> list[Service]:
        """The services, each after those that it depends on."""
        return [self.services[name] for name in in_order(self.edges())]
