"""Containers on their networks: addresses, cables, ports and names, at the start, in between and at the end.

What a container has is written to its row before the kernel is told, so that taking it back needs only the row.
"""

from __future__ import annotations

import os

from wherry.base.errors import Conflict, InvalidInput, NotFound, Unavailable
from wherry.base.values import NamedTuple
from wherry.engine.namefiles import write_name_files
from wherry.engine.records import NetworkState
from wherry.engine.request import endpoints_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wherry.base.paths import Layout
    from wherry.engine.configuration import Configuration
    from wherry.engine.networks import Network, Networks
    from wherry.engine.records import Container, ContainerRecords
    from wherry.engine.request import ContainerRequest, EndpointRequest
    from wherry.network import Firewall, Namespace, PortMapping
    from wherry.network.dns import NameServer, Zone
    from wherry.network.endpoint import Cable

__all__ = ["Connections", "Ready", "close_all", "zones_of"]


def _nothing() -> None:
    """Where there is nothing to do."""


class Ready(NamedTuple):
    """A container that can be launched: `kept` are descriptors that its monitor is to hold (reserved ports).

    Its network namespace exists; `wire` connects it, which may go on while the runtime makes the container, and has
    to be done before the container is started. Exactly one of `wire` and `abandon` is to be called.
    """

    network: NetworkState
    kept: tuple[int, ...] = ()
    wire: Callable[[], object] = _nothing
    drop_namespace: Callable[[], object] = _nothing

    def abandon(self) -> None:
        """Let go of what would have been launched."""
        close_all(self.kept)
        self.drop_namespace()


class Connections:
    """The networks' side of every container of one installation."""

    def __init__(
        self,
        layout: Layout,
        records: ContainerRecords,
        networks: Networks,
        firewall: Callable[[], Firewall],
        names: Callable[[], NameServer],
    ) -> None:
        self._layout = layout
        self._records = records
        self._networks = networks
        self._firewall = firewall
        self._names = names

    def check(self, request: ContainerRequest) -> None:
        """Raise what can be known to be wrong before the container is made."""
        mode, _, other = request.network.partition(":")
        if mode == "container":
            self._records.resolve(other)
        for endpoint in endpoints_of(request):
            _check_endpoint(self._networks.find(endpoint.network), endpoint)

    def connect(self, container: Container, config: Configuration, bundle: str) -> Ready:
        """Everything up to the namespace; the rest is in the `wire` of what is returned."""
        from wherry.network import Endpoint, open_namespace, reserve

        endpoints = endpoints_of(container.request)
        if not endpoints:
            return self._isolate(container, bundle)
        pairs = [(self._networks.find(endpoint.network), endpoint) for endpoint in endpoints]
        pairs.sort(key=lambda pair: pair[0].internal)  # ports are published through the first
        networks, endpoints = [pair[0] for pair in pairs], tuple(pair[1] for pair in pairs)
        state = self._take_addresses(container, networks, endpoints)
        if any(port[2] in [network.gateway for network in networks] for port in container.request.ports):
            self._hold(networks)  # a bridge's own address can be reserved once there is the bridge
        reserved = reserve(_wanted_ports(container.request, config))
        try:
            if reserved.ports:
                state = state._replace(ports=tuple((port[0], port[1], port[2], port[3]) for port in reserved.ports))
                self._records.update(container.id, network=state)
            cables = [_cable(network, one) for network, one in zip(networks, state.joined(), strict=True)]
            gateway = default_gateway(state.joined())
            namespace = open_namespace(
                Endpoint(container.id, f"{bundle}/netns", tuple(cables), gateway, self._layout.tag)
            )
        except BaseException:
            reserved.close()
            raise

        def wire() -> None:
            try:
                self._lay_cables(namespace, networks)
                if reserved.ports:
                    self._firewall().publish(state.address, reserved.ports)
                    reserved.relay(state.address, f"{bundle}/relay")
                self._announce(container.id, networks, state)
            finally:
                reserved.close_relayed()

        def drop() -> None:
            reserved.close_relayed()
            namespace.abandon()

        return Ready(state, tuple(reserved.kept), wire, drop)

    def _isolate(self, container: Container, bundle: str) -> Ready:
        """A namespace with nothing but the loopback interface, or none for who uses another's or the host's."""
        from wherry.network import Endpoint, open_namespace

        mode = container.request.network
        if mode == "host" or mode.startswith("container:"):
            return Ready(NetworkState())
        namespace = open_namespace(Endpoint(container.id, f"{bundle}/netns"))
        return Ready(NetworkState(), wire=namespace.wire, drop_namespace=namespace.abandon)

    def _hold(self, networks: Sequence[Network]) -> None:
        for network in networks:
            self._firewall().hold(network.as_bridge())

    def _lay_cables(self, namespace: Namespace, networks: Sequence[Network]) -> None:
        """Connect the namespace to bridges, made where they are missing; it is done with, whatever happens."""
        try:
            self._hold(networks)
        except BaseException:
            namespace.abandon()
            raise
        namespace.wire()

    def _take_addresses(
        self, container: Container, networks: Sequence[Network], endpoints: Sequence[EndpointRequest]
    ) -> NetworkState:
        states: list[NetworkState] = []
        for number, (network, endpoint) in enumerate(zip(networks, endpoints, strict=True)):
            states.append(self._take_address(container.id, network, endpoint, number))
            self._records.update(container.id, network=states[0]._replace(others=tuple(states[1:])))
        return states[0]._replace(others=tuple(states[1:]))

    def _take_address(self, owner: str, network: Network, endpoint: EndpointRequest, number: int) -> NetworkState:
        from wherry.network.bridge import mac_of

        address = self._networks.take_address(network, owner, endpoint.ip_address)
        gateway = "" if network.internal else network.gateway
        mac = endpoint.mac_address or mac_of(address)
        return NetworkState(network.id, address, network.prefix, gateway, mac, (), network.name, number)

    def _announce(self, container_id: str, networks: Sequence[Network], state: NetworkState) -> None:
        """Let other containers find it by name, from the moment that this returns."""
        named = [one for network, one in zip(networks, state.joined(), strict=True) if network.request is not None]
        if not named:
            return
        names = self._names()
        names.sync()
        for one in named:
            names.wait_for(self._networks.resolve(one.network).gateway, container_id[:12], one.address)

    def disconnect(self, container: Container) -> None:
        """Give back what its row says that it has; harmless where that is nothing. Its namespace goes by itself."""
        state = container.network
        if state.ports:
            self._unpublish(container.id, state)
        if not state.address:
            return
        self._networks.free_addresses(container.id)
        self._records.update(container.id, network=NetworkState())
        self.refresh_names(state)

    def refresh_names(self, state: NetworkState) -> None:
        """After a container on these networks went or has another name; whether they can be answered or not."""
        if all(one.name == "bridge" for one in state.joined()):
            return
        try:
            self._names().sync()
        except Unavailable:
            return  # the next container that needs names says why

    def _unpublish(self, container_id: str, state: NetworkState) -> None:
        from wherry.network import PortMapping

        firewall = self._firewall()
        with firewall.changing():
            firewall.unpublish(state.address, [PortMapping(*port) for port in state.ports])
            self._records.update(container_id, network=state._replace(ports=()))

    def write_names(self, container: Container, hostname: str, state: NetworkState, *, strict: bool = True) -> None:
        """The files in the container by which it resolves names. `strict` refuses links to what does not run."""
        named = [self._networks.resolve(one.network) for one in state.joined() if one.name != "bridge"]
        write_name_files(
            self._layout.container(container.id),
            container.request,
            hostname,
            addresses=[one.address for one in state.joined()],
            gateway=state.gateway or (named[0].gateway if named else ""),
            name_server=named[0].gateway if named else "",
            links=self._links(container, state, strict=strict),
        )

    def _links(self, container: Container, state: NetworkState, *, strict: bool) -> list[tuple[str, str]]:
        """Names from `--link` with the addresses that their containers have on a network that both are on."""
        found = []
        for endpoint in endpoints_of(container.request):
            for link in endpoint.links:
                name, _, alias = link.partition(":")
                try:
                    other = self._records.resolve(name)
                except NotFound:
                    if strict:
                        raise
                    continue
                shared = [
                    one for one in other.network.joined() if one.network in {own.network for own in state.joined()}
                ]
                if not shared and not strict:
                    continue
                if not shared:
                    raise Conflict(
                        f"Cannot link to a non running container: /{other.name} AS /{container.name}/{alias or name}"
                    )
                names = dict.fromkeys((alias or name, other.id[:12], other.name))
                found.append((" ".join(names), shared[0].address))
        return found

    def join(self, container: Container, network: Network, endpoint: EndpointRequest, hostname: str) -> None:
        """Connect one more network; the container's lock is held. Raises in Docker's words."""
        self._check_mode(container)
        _check_endpoint(network, endpoint)
        endpoints = endpoints_of(container.request)
        if any(self._is_of(each, network) for each in endpoints):
            raise Conflict(f"endpoint with name {container.name} already exists in network {network.name}")
        wanted = container._replace(request=container.request._replace(endpoints=(*endpoints, endpoint)))
        self._records.set_request(container.id, wanted.request)
        try:
            if container.state.is_running:
                self._plug(wanted, network, endpoint, hostname)
        except BaseException:
            self._records.set_request(container.id, container.request)
            raise

    def _check_mode(self, container: Container) -> None:
        mode = container.request.network
        if mode == "host":
            raise Conflict("container cannot be disconnected from host network or connected to host network")
        if mode == "none":
            raise Conflict(
                "container cannot be connected to multiple networks with one of the networks in private (none) mode"
            )
        if mode.startswith("container:"):
            raise Conflict(
                "container sharing network namespace with another container or host"
                " cannot be connected to any other network"
            )

    def _is_of(self, endpoint: EndpointRequest, network: Network) -> bool:
        return endpoint.network == network.name or (
            len(endpoint.network) >= 3 and network.id.startswith(endpoint.network)
        )

    def _plug(self, container: Container, network: Network, endpoint: EndpointRequest, hostname: str) -> None:
        from wherry.network.endpoint import plug

        before = container.network
        number = 1 + max((one.number for one in before.joined()), default=-1)
        one = self._take_address(container.id, network, endpoint, number)
        state = before._replace(others=(*before.others, one)) if before.address else one._replace(ports=before.ports)
        self._records.update(container.id, network=state)
        try:
            self._firewall().hold(network.as_bridge())
            plug(container.id, self._layout.tag, self._namespace(container), _cable(network, one))
            self._settle(container, before, state, hostname)
            self._announce(container.id, [network], one)
        except BaseException:
            self._unplug(container, state, one, hostname)
            raise

    def leave(self, container: Container, network: Network, hostname: str, *, force: bool = False) -> None:
        """Take one network away; the container's lock is held. Raises in Docker's words."""
        if network.name == "host" or container.request.network == "host":
            raise Conflict("container cannot be disconnected from host network or connected to host network")
        endpoints = endpoints_of(container.request)
        rest = tuple(each for each in endpoints if not self._is_of(each, network))
        joined = [one for one in container.network.joined() if one.network == network.id]
        if len(rest) == len(endpoints) and not (force and joined):
            raise Conflict(f"container {container.id} is not connected to network {network.name}")
        for one in joined:
            self._unplug(container, container.network, one, hostname)
        self._records.set_request(container.id, container.request._replace(endpoints=rest))

    def _unplug(self, container: Container, before: NetworkState, one: NetworkState, hostname: str) -> None:
        from wherry.network.endpoint import unplug

        rest = [each for each in before.joined() if each.network != one.network]
        state = rest[0]._replace(others=tuple(rest[1:])) if rest else NetworkState()
        if before.ports and state.address != before.address:
            self._unpublish(container.id, before)
        unplug(container.id, self._layout.tag, one.number)
        state = state._replace(ports=before.ports if rest else ())
        self._records.update(container.id, network=state)
        self._networks.free_addresses(container.id, one.network)
        self._settle(container, before, state, hostname)
        self.refresh_names(one)

    def _settle(self, container: Container, before: NetworkState, state: NetworkState, hostname: str) -> None:
        """After a cable came or went: the default route, the ports and the files follow."""
        from wherry.network import PortMapping
        from wherry.network.endpoint import set_gateway

        gateway = default_gateway(state.joined())
        set_gateway(self._namespace(container), gateway)
        if state.ports and state.address != before.address:
            self._firewall().publish(state.address, [PortMapping(*port) for port in state.ports])
        self.write_names(container, hostname, state, strict=False)

    def _namespace(self, container: Container) -> str:
        return f"{self._layout.container_run(container.id)}/netns"


def default_gateway(states: Sequence[NetworkState]) -> str:
    """Docker's choice among several networks: the first by name that leads out."""
    leading = sorted((one.name, one.gateway) for one in states if one.gateway)
    return leading[0][1] if leading else ""


def zones_of(networks: Sequence[Network], containers: Sequence[Container]) -> list[Zone]:
    """The names on every network of a user's: each container's own, its aliases there, its short identifier, its host
    name where it was given one."""
    from wherry.network.dns import Entry, Zone

    zones = []
    for network in networks:
        entries = [
            Entry(container.id, one.address, _names_on(container, network), container.request.dns)
            for container in containers
            for one in container.network.joined()
            if one.network == network.id
        ]
        if network.request is not None:
            zones.append(Zone(network.id, network.gateway, tuple(entries), network.internal))
    return zones


def _names_on(container: Container, network: Network) -> tuple[str, ...]:
    places = [each for each in endpoints_of(container.request) if each.network in (network.name, network.id)]
    own = (container.request.hostname,) if container.request.hostname else ()
    return (container.name, *(alias for each in places for alias in each.aliases), container.id[:12], *own)


def _check_endpoint(network: Network, endpoint: EndpointRequest) -> None:
    if network.request is None and endpoint.aliases:
        raise InvalidInput("network-scoped alias is supported only for containers in user defined networks")
    if endpoint.ip_address and network.request is not None and not network.request.subnet:
        raise InvalidInput(
            "user specified IP address is supported only when connecting to networks with user configured subnets.",
            hint=f"make the network with --subnet: {network.name} has none of its own",
        )


def _cable(network: Network, state: NetworkState) -> Cable:
    from wherry.network.endpoint import Cable

    isolated = not network.is_on("enable_icc")
    return Cable(state.number, network.bridge, state.address, state.prefix, state.mac, isolated)


def _wanted_ports(request: ContainerRequest, config: Configuration) -> list[PortMapping]:
    from wherry.network import PortMapping

    wanted = [PortMapping(*port) for port in request.ports]
    if request.publish_all:
        published = {(port.container_port, port.protocol) for port in wanted}
        for exposed in config.exposed_ports:
            number, _, protocol = exposed.partition("/")
            if (int(number), protocol or "tcp") not in published:
                wanted.append(PortMapping(int(number), protocol or "tcp", "", 0))
    return wanted


def close_all(fds: Sequence[int]) -> None:
    """Close descriptors, some of which may be closed already."""
    for fd in fds:
        try:
            os.close(fd)
        except OSError:
            continue
