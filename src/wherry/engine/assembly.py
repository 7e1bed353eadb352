"""Putting a container's parts together, and taking them apart again.

Parts: the root file system (an overlay mount), the network (address, namespace, cable, ports), the files that names
are resolved by, and the bundle. Taking apart is idempotent and needs only the container's row.
"""

from __future__ import annotations

import os
import sys

from wherry.base.errors import Conflict, InvalidInput
from wherry.base.files import ensure_directory, remove_tree
from wherry.base.values import NamedTuple
from wherry.engine.configuration import configure
from wherry.engine.mounting import decide_mounts, fill_volumes, spec_mounts
from wherry.engine.records import NetworkState
from wherry.engine.specification import build_request, granted_capabilities
from wherry.kernel import cgroups
from wherry.kernel.mounts import overlay, unmount_below
from wherry.oci.runtime_spec import Mount, build_spec
from wherry.runtime import Launch
from wherry.runtime.monitor import is_monitored, kill_monitor
from wherry.runtime.users import resolve_user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from wherry.base.paths import Layout
    from wherry.engine.configuration import Configuration
    from wherry.engine.networks import Network, Networks
    from wherry.engine.records import Container, ContainerRecords
    from wherry.engine.request import ContainerRequest
    from wherry.engine.volumes import Volumes
    from wherry.network import Bridge, Firewall, PortMapping
    from wherry.runtime import OciRuntime, State
    from wherry.store import Image, Store

__all__ = ["Assembly", "Ready"]

# Run by conmon when the container has ended. A process that attends to the container (a foreground `run`) holds the
# lock `attended` and sees to the end itself; the shell does not wait, so that the monitor lets go of its ports.
_AT_END = (
    'if [ -e "$1/attended" ]; then flock -n 9 9<"$1/attended" || exit 0; fi; shift; "$@" </dev/null >/dev/null 2>&1 &'
)


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
        _close(self.kept)
        self.drop_namespace()


class Assembly:
    """Knows every part of the machine that a container touches."""

    def __init__(
        self,
        layout: Layout,
        store: Store,
        records: ContainerRecords,
        networks: Networks,
        firewall: Callable[[], Firewall],
        volumes: Volumes,
        runtime: Callable[[], OciRuntime],
    ) -> None:
        self._layout = layout
        self._store = store
        self._records = records
        self._networks = networks
        self._firewall = firewall
        self._volumes = volumes
        self._runtime = runtime

    def configuration(self, container: Container) -> Configuration:
        """What the container runs with."""
        image = self._store.images.by_identifier(container.image_id)
        return configure(container.id, container.request, self._store.images.config(image).config)

    def check(self, request: ContainerRequest, image: Image) -> None:
        """Raise what can be known to be wrong before anything is made."""
        configure("0" * 64, request, self._store.images.config(image).config)
        granted_capabilities(request)
        mode, _, other = request.network.partition(":")
        if mode == "container":
            self._records.resolve(other)
        elif mode not in ("bridge", "host", "none", "default"):
            self._networks.resolve(request.network)
        if mode in ("host", "none", "container") and request.ports and mode == "container":
            raise InvalidInput("conflicting options: port publishing and the container type network mode")

    def lay_out(self, container: Container) -> None:
        """Make what survives the container's runs: its writable layer and its volumes."""
        directory = self._layout.container(container.id)
        ensure_directory(directory, 0o710)
        ensure_directory(f"{directory}/upper", 0o755)
        ensure_directory(f"{directory}/work", 0o700)
        config = self.configuration(container)
        self._records.set_mounts(container.id, decide_mounts(container.request, config, self._volumes, self._records))

    def put_together(self, container: Container) -> Ready:
        """Mount, connect, publish and write the bundle. What was done before an error, `take_apart` undoes."""
        directory, bundle = self._layout.container(container.id), self._layout.container_run(container.id)
        ensure_directory(bundle, 0o711)
        rootfs = f"{bundle}/rootfs"
        ensure_directory(rootfs, 0o755)
        lowers = self._store.snapshots.lowers(container.chain_id)
        overlay(lowers or [_empty(directory)], f"{directory}/upper", f"{directory}/work", rootfs)
        config = self.configuration(container)
        ready = self._connect(container, config, bundle)
        try:
            self._write_names(container, config, ready.network, directory)
            mounts = self._records.mounts(container.id)
            fill_volumes(mounts, rootfs, self._volumes)
            request = build_request(
                container.request,
                config,
                user=resolve_user(rootfs, config.user, container.request.group_add),
                rootfs=rootfs,
                cgroup=self.cgroup(container.id),
                namespaces=self._namespaces(container, bundle),
                mounts=[*self._name_mounts(container, directory), *spec_mounts(mounts)],
            )
            self._runtime().write_bundle(container.id, build_spec(request))
        except BaseException:
            ready.abandon()
            raise
        return ready

    def cgroup(self, container_id: str) -> str:
        """The container's control group."""
        return cgroups.cgroup_path(self._layout.tag, container_id)

    def _connect(self, container: Container, config: Configuration, bundle: str) -> Ready:
        from wherry.network import Endpoint, connect

        mode = container.request.network
        if mode == "none":
            connect(Endpoint(container.id, f"{bundle}/netns"))
        if mode in ("none", "host") or mode.startswith("container:"):
            return Ready(NetworkState())
        return self._connect_bridge(container, config, bundle, self._network(mode))

    def _network(self, mode: str) -> Network:
        return self._networks.default() if mode in ("bridge", "default") else self._networks.resolve(mode)

    def _connect_bridge(self, container: Container, config: Configuration, bundle: str, network: Network) -> Ready:
        from wherry.network import Endpoint, open_namespace, reserve
        from wherry.network.bridge import mac_of

        address = self._networks.take_address(network, container.id, container.request.ip_address)
        state = NetworkState(
            network.id, address, network.prefix, network.gateway, container.request.mac_address or mac_of(address)
        )
        self._records.update(container.id, network=state)
        self._firewall().hold(_bridge(network))
        reserved = reserve(_wanted_ports(container.request, config))
        try:
            if reserved.ports:
                state = state._replace(ports=tuple((port[0], port[1], port[2], port[3]) for port in reserved.ports))
                self._records.update(container.id, network=state)
            endpoint = Endpoint(
                container.id,
                f"{bundle}/netns",
                network.bridge,
                address,
                network.prefix,
                network.gateway,
                state.mac,
                self._layout.tag,
            )
            namespace = open_namespace(endpoint)
        except BaseException:
            reserved.close()
            raise

        def wire() -> None:
            try:
                namespace.wire()
                self._firewall().publish(address, reserved.ports)
                reserved.relay(address, f"{bundle}/relay")
            finally:
                reserved.close_relayed()

        def drop() -> None:
            reserved.close_relayed()
            namespace.abandon()

        return Ready(state, tuple(reserved.kept), wire, drop)

    def _namespaces(self, container: Container, bundle: str) -> dict[str, str]:
        request = container.request
        namespaces = {"mount": "", "pid": "", "ipc": "", "uts": "", "network": f"{bundle}/netns"}
        if cgroups.version() == "v2" and request.cgroup_mode != "host":
            namespaces["cgroup"] = ""
        shared = {"pid": request.pid_mode, "ipc": request.ipc_mode, "uts": request.uts_mode, "network": request.network}
        for kind, mode in shared.items():
            if mode == "host":
                del namespaces[kind]
            elif mode.startswith("container:"):
                namespaces[kind] = self._namespace_of(mode.partition(":")[2], "net" if kind == "network" else kind)
        return namespaces

    def _namespace_of(self, name: str, kind: str) -> str:
        other = self._records.resolve(name)
        if not other.state.is_running:
            raise Conflict(f"cannot join the namespaces of a non running container: {other.id}")
        return f"/proc/{other.state.pid}/ns/{kind}"

    def _write_names(self, container: Container, config: Configuration, network: NetworkState, directory: str) -> None:
        from wherry.network.names import hosts_file, resolv_conf

        request = container.request
        gateway = network.gateway or "127.0.0.1"
        extra = [_add_host(entry, gateway) for entry in request.add_hosts]
        host = _read("/etc/resolv.conf")
        own = request.network != "host"
        files = {
            "hosts": hosts_file(network.address, config.hostname, request.domainname, extra),
            "hostname": config.hostname + "\n",
            "resolv.conf": resolv_conf(host, request.dns, request.dns_search, request.dns_options, own_network=own),
        }
        for name, text in files.items():
            with open(f"{directory}/{name}", "w", encoding="utf-8") as file:
                file.write(text)

    def _name_mounts(self, container: Container, directory: str) -> list[Mount]:
        mode = container.request.network
        if mode.startswith("container:"):
            directory = self._layout.container(self._records.resolve(mode.partition(":")[2]).id)
        names = ("resolv.conf", "hostname", "hosts")
        return [Mount(f"/etc/{name}", "bind", f"{directory}/{name}", ("rbind", "rprivate")) for name in names]

    def launch(self, container: Container, ready: Ready) -> State:
        """Create the container under its monitor, which takes over the descriptors of `ready`."""
        bundle = self._layout.container_run(container.id)
        request = container.request
        at_end = ("/bin/sh", "-c", _AT_END, "sh", bundle, *self._own_command("ended", container.id))
        try:
            return self._runtime().create(
                Launch(
                    container.id,
                    f"{self._layout.container(container.id)}/log",
                    at_end,
                    terminal=request.tty,
                    stdin_open=request.stdin_open,
                    keep_stdin=request.stdin_open and (request.detached or request.tty),
                    log_driver="none" if request.log_driver == "none" else "k8s-file",
                    kept=ready.kept,
                ),
                meanwhile=ready.wire,
            )
        finally:
            _close(ready.kept)

    def _own_command(self, verb: str, container_id: str) -> tuple[str, ...]:
        """This installation's own command line for what has to go on in the background."""
        environment = (f"WHERRY_ROOT={self._layout.root}", f"WHERRY_RUN={self._layout.run}")
        return ("/usr/bin/env", *environment, sys.executable, "-I", "-m", "wherry", "internal", verb, container_id)

    def spawn_restart(self, container_id: str) -> None:
        """Let a process of its own wait out the back-off and start the container again."""
        import subprocess

        nothing = subprocess.DEVNULL
        subprocess.Popen(
            self._own_command("restart", container_id),
            stdin=nothing,
            stdout=nothing,
            stderr=nothing,
            start_new_session=True,
        )

    def was_oom_killed(self, container: Container) -> bool:
        """Whether the kernel killed it for want of memory; to be asked before it is taken apart."""
        return os.path.exists(f"{self._layout.container_run(container.id)}/oom") or cgroups.is_oom_killed(
            self.cgroup(container.id)
        )

    def take_apart(self, container: Container) -> None:
        """Free everything that a run of the container holds; harmless where nothing is left."""
        from wherry.network import PortMapping, disconnect, stop_relay

        bundle = self._layout.container_run(container.id)
        if os.path.isdir(bundle):
            self._stop_monitor(bundle)
            stop_relay(f"{bundle}/relay")
            self._runtime().delete(container.id, self.cgroup(container.id))
            unmount_below(f"{bundle}/rootfs")
            disconnect(f"{bundle}/netns")
        current = self._records.get(container.id) or container
        network = current.network
        if network.ports:
            with self._firewall().changing():
                self._firewall().unpublish(network.address, [PortMapping(*port) for port in network.ports])
                self._records.update(container.id, network=network._replace(ports=()))
        if network.address:
            self._networks.free_addresses(container.id)
            self._records.update(container.id, network=NetworkState())
        remove_tree(bundle, on_busy=unmount_below)

    def is_monitored(self, container_id: str) -> bool:
        """Whether the container's monitor lives."""
        return is_monitored(self._layout.container_run(container_id))

    def _stop_monitor(self, bundle: str) -> None:
        """Kill a monitor that still lives although its container is being taken apart."""
        if is_monitored(bundle):
            kill_monitor(bundle)

    def remove_anonymous(self, mounts: list[dict[str, Any]]) -> None:
        """Remove the anonymous volumes among `mounts` that no other container uses."""
        for mount in mounts:
            if mount.get("anonymous") and not self._volumes.is_used(mount["name"]):
                self._volumes.remove(mount["name"], force=True)


def _bridge(network: Network) -> Bridge:
    from wherry.network import Bridge

    return Bridge(network.bridge, network.subnet, network.gateway)


def _wanted_ports(request: ContainerRequest, config: Configuration) -> list[PortMapping]:
    from wherry.network import PortMapping

    wanted = [PortMapping(port.container_port, port.protocol, port.host_ip, port.host_port) for port in request.ports]
    if request.publish_all:
        published = {(port.container_port, port.protocol) for port in wanted}
        for exposed in config.exposed_ports:
            number, _, protocol = exposed.partition("/")
            if (int(number), protocol or "tcp") not in published:
                wanted.append(PortMapping(int(number), protocol or "tcp", "", 0))
    return wanted


def _add_host(entry: str, gateway: str) -> tuple[str, str]:
    name, separator, address = entry.partition(":")
    if not separator or not name or not address:
        raise InvalidInput(f'bad format for add-host: "{entry}"', hint="write name:address")
    return name, gateway if address == "host-gateway" else address.strip("[]")


def _empty(directory: str) -> str:
    """A lower directory for an image without layers."""
    return ensure_directory(f"{directory}/empty", 0o755)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _close(fds: tuple[int, ...]) -> None:
    for fd in fds:
        try:
            os.close(fd)
        except OSError:
            continue
