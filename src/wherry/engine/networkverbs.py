"""Networks as users handle them: the verbs of `docker network`, over rows, containers and the kernel's side."""

from __future__ import annotations

from wherry.base.errors import Conflict
from wherry.base.locks import FileLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.base.paths import Layout
    from wherry.engine.assembly import Assembly
    from wherry.engine.connecting import Connections
    from wherry.engine.networks import Network, NetworkRequest, Networks
    from wherry.engine.records import Container, ContainerRecords
    from wherry.engine.request import EndpointRequest
    from wherry.network import Firewall

__all__ = ["NetworkVerbs"]


class NetworkVerbs:
    """Create, remove, connect, disconnect, prune."""

    def __init__(
        self,
        layout: Layout,
        records: ContainerRecords,
        networks: Networks,
        connections: Connections,
        assembly: Assembly,
        firewall: Callable[[], Firewall],
    ) -> None:
        self._layout = layout
        self._records = records
        self._networks = networks
        self._connections = connections
        self._assembly = assembly
        self._firewall = firewall

    def create(self, request: NetworkRequest) -> Network:
        """Make it, with its bridge. Raises in Docker's words; then nothing of it is left."""
        network = self._networks.create(request)
        try:
            self._firewall().hold(network.as_bridge())
        except BaseException:
            self.remove(network)
            raise
        return network

    def remove(self, network: Network) -> None:
        """Raises Conflict while a container uses it."""
        self._networks.retire(network)
        self._finish(network)

    def _finish(self, network: Network) -> None:
        """Whoever comes first does it; a new network may have the bridge's name from then on."""
        with FileLock(f"{self._layout.locks}/network-{network.id}") as lock:
            if any(one.id == network.id for one in self._networks.retired()):
                self._firewall().drop_bridge(network.bridge)
                self._networks.forget(network)
            lock.remove()

    def sweep(self) -> None:
        """Finish removals that were cut off; cheap where there are none."""
        for network in self._networks.retired():
            self._finish(network)

    def members(self, network: Network) -> list[Container]:
        """The containers that are on it now."""
        return [
            one for one in self._records.joined() if any(each.network == network.id for each in one.network.joined())
        ]

    def prune(self, keep: Callable[[Network], bool] = lambda _: False) -> list[str]:
        """Remove every network of a user's that no running container is on; their names."""
        removed = []
        for network in self._networks.all():
            if network.request is None or keep(network):
                continue
            try:
                self.remove(network)
            except Conflict:
                continue
            removed.append(network.name)
        return removed

    def connect(self, name: str, container: str, endpoint: EndpointRequest) -> None:
        """Connect a container, running or not, to a network."""
        network = self._named(name)
        found = self._records.resolve(container)
        with self._records.lock(found.id):
            current = self._records.resolve(found.id)
            hostname = self._assembly.configuration(current).hostname
            self._connections.join(current, network, endpoint._replace(network=network.name), hostname)

    def disconnect(self, name: str, container: str, *, force: bool = False) -> None:
        """Take a container off a network."""
        network = self._named(name)
        found = self._records.resolve(container)
        with self._records.lock(found.id):
            current = self._records.resolve(found.id)
            hostname = self._assembly.configuration(current).hostname
            self._connections.leave(current, network, hostname, force=force)

    def _named(self, name: str) -> Network:
        if name == "host":
            raise Conflict("container cannot be disconnected from host network or connected to host network")
        if name == "none":
            raise Conflict(
                "container cannot be connected to multiple networks with one of the networks in private (none) mode"
            )
        return self._networks.find(name)
