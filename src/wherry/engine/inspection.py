"""Docker's JSON for `inspect`: containers, images and volumes (Engine API 1.41, the fields that scripts read).

Fields that have no meaning here are present with the value that says so (empty, zero or null), because templates
written for Docker name them.
"""

from __future__ import annotations

from wherry.base.clock import rfc3339
from wherry.engine.records import NetworkState
from wherry.engine.request import EndpointRequest, endpoints_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from wherry.engine.configuration import Configuration
    from wherry.engine.health import HealthResult
    from wherry.engine.networks import Network
    from wherry.engine.records import Container
    from wherry.engine.request import ContainerRequest, HealthRequest, LimitsRequest, PortRequest
    from wherry.engine.volumes import Volume
    from wherry.oci.config import ImageConfig
    from wherry.store import Image, Store

__all__ = [
    "PREDEFINED",
    "describe_ports",
    "inspect_container",
    "inspect_image",
    "inspect_network",
    "inspect_predefined",
    "inspect_volume",
]


def inspect_container(
    container: Container,
    config: Configuration,
    mounts: list[dict[str, Any]],
    results: Iterable[HealthResult],
    *,
    directory: str,
    clamped: Iterable[str],
    runtime: str,
) -> dict[str, Any]:
    """`docker container inspect`; `results` are those of its health checks.

    `clamped` names the capabilities that this machine could not grant.
    """
    return {
        "Id": container.id,
        "Created": rfc3339(container.created),
        "Path": config.path,
        "Args": list(config.args[1:]),
        "State": {**_state(container), **_health(container, results)},
        "Image": container.image_id,
        "ResolvConfPath": f"{directory}/resolv.conf",
        "HostnamePath": f"{directory}/hostname",
        "HostsPath": f"{directory}/hosts",
        "LogPath": f"{directory}/log",
        "Name": f"/{container.name}",
        "RestartCount": container.state.restart_count,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": None,
        "HostConfig": _host_config(container.request, runtime, list(clamped)),
        "GraphDriver": {"Name": "overlay2", "Data": {"UpperDir": f"{directory}/upper", "WorkDir": f"{directory}/work"}},
        "Mounts": [_mount(mount) for mount in mounts],
        "Config": _config(container, config),
        "NetworkSettings": _network_settings(container, config),
    }


def _state(container: Container) -> dict[str, Any]:
    state = container.state
    return {
        "Status": state.status,
        "Running": state.is_up,
        "Paused": state.status == "paused",
        "Restarting": state.status == "restarting",
        "OOMKilled": state.oom_killed,
        "Dead": state.status == "dead",
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": rfc3339(state.started),
        "FinishedAt": rfc3339(state.finished),
    }


def _health(container: Container, results: Iterable[HealthResult]) -> dict[str, Any]:
    """`State.Health`; there is none without a check."""
    if not container.state.health:
        return {}
    log = [
        {
            "Start": rfc3339(result.started),
            "End": rfc3339(result.ended),
            "ExitCode": result.exit_code,
            "Output": result.output,
        }
        for result in results
    ]
    return {
        "Health": {"Status": container.state.health, "FailingStreak": container.state.health_streak, "Log": log or None}
    }


def _host_config(request: ContainerRequest, runtime: str, clamped: list[str]) -> dict[str, Any]:
    return {
        "Binds": [_bind(mount) for mount in request.mounts if mount.source and mount.kind != "tmpfs"] or None,
        "ContainerIDFile": "",
        "LogConfig": {"Type": request.log_driver or "json-file", "Config": request.log_options},
        "NetworkMode": "default" if request.network == "bridge" else request.network,
        "PortBindings": _port_bindings(request),
        "RestartPolicy": {"Name": request.restart.name, "MaximumRetryCount": request.restart.maximum},
        "AutoRemove": request.auto_remove,
        "VolumeDriver": "",
        "VolumesFrom": list(request.volumes_from) or None,
        "CapAdd": list(request.cap_add) or None,
        "CapDrop": list(request.cap_drop) or None,
        "CapabilitiesNotHeld": clamped,
        "Cgroup": "",
        "CgroupParent": "",
        "CgroupnsMode": request.cgroup_mode or "host",
        "Dns": list(request.dns),
        "DnsOptions": list(request.dns_options),
        "DnsSearch": list(request.dns_search),
        "ExtraHosts": list(request.add_hosts) or None,
        "GroupAdd": list(request.group_add) or None,
        "Isolation": "",
        "IpcMode": request.ipc_mode or "private",
        "Init": request.init,
        "Links": _links(request) or None,
        "PidMode": request.pid_mode,
        "Privileged": request.privileged,
        "PublishAllPorts": request.publish_all,
        "ReadonlyRootfs": request.read_only,
        "SecurityOpt": list(request.security_opt) or None,
        "Tmpfs": {mount.target: ",".join(mount.options) for mount in request.mounts if mount.kind == "tmpfs"},
        "UTSMode": request.uts_mode,
        "UsernsMode": "",
        "Sysctls": request.sysctls,
        "Runtime": runtime,
        **_limits(request.limits),
        "Devices": [
            {
                "PathOnHost": device.host_path,
                "PathInContainer": device.container_path,
                "CgroupPermissions": device.permissions,
            }
            for device in request.devices
        ],
    }


def _links(request: ContainerRequest) -> list[str]:
    return list(request.links) if request.network in ("bridge", "default") else []


def _bind(mount: Any) -> str:
    return f"{mount.source}:{mount.target}" + (":ro" if mount.read_only else "")


def _limits(limits: LimitsRequest) -> dict[str, Any]:
    return {
        "ShmSize": limits.shm_size,
        "CpuShares": limits.cpu_shares,
        "Memory": limits.memory,
        "NanoCpus": limits.nano_cpus,
        "CpuPeriod": limits.cpu_period,
        "CpuQuota": limits.cpu_quota,
        "CpusetCpus": limits.cpuset_cpus,
        "CpusetMems": limits.cpuset_mems,
        "MemoryReservation": limits.memory_reservation,
        "MemorySwap": limits.memory_swap or (limits.memory * 2 if limits.memory else 0),
        "OomKillDisable": limits.oom_kill_disable,
        "OomScoreAdj": limits.oom_score_adj,
        "PidsLimit": limits.pids or None,
        "Ulimits": [{"Name": each.name, "Hard": each.hard, "Soft": each.soft} for each in limits.ulimits] or None,
    }


def _port_bindings(request: ContainerRequest) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in request.ports:
        bindings.setdefault(f"{port.container_port}/{port.protocol}", []).append(
            {"HostIp": port.host_ip, "HostPort": _host_port(port)}
        )
    return bindings


def _host_port(port: PortRequest) -> str:
    if port.host_port_end:
        return f"{port.host_port}-{port.host_port_end}"
    return str(port.host_port) if port.host_port else ""


def _mount(mount: dict[str, Any]) -> dict[str, Any]:
    described = {
        "Type": mount["kind"],
        "Source": mount.get("path", ""),
        "Destination": mount["target"],
        "Mode": "ro" if mount.get("read_only") else "",
        "RW": not mount.get("read_only"),
        "Propagation": "rprivate" if mount["kind"] == "bind" else "",
    }
    return {"Type": "volume", "Name": mount["name"], **described, "Driver": "local"} if mount.get("name") else described


def _config(container: Container, config: Configuration) -> dict[str, Any]:
    request = container.request
    attached = not request.detached
    anonymous = [mount.target for mount in request.mounts if mount.kind == "volume" and not mount.source]
    return {
        "Hostname": config.hostname,
        "Domainname": request.domainname,
        "User": config.user,
        "AttachStdin": attached and request.stdin_open,
        "AttachStdout": attached,
        "AttachStderr": attached,
        **({"ExposedPorts": {port: {} for port in config.exposed_ports}} if config.exposed_ports else {}),
        "Tty": request.tty,
        "OpenStdin": request.stdin_open,
        "StdinOnce": attached and request.stdin_open,
        "Env": [entry for entry in config.environment if entry not in _given_by_us(config, request)],
        "Cmd": list(config.command) if config.command is not None else None,
        **({"Healthcheck": _healthcheck(config.healthcheck)} if config.healthcheck else {}),
        "Image": container.image,
        "Volumes": {path: {} for path in (*config.volumes, *anonymous)} or None,
        "WorkingDir": config.working_dir if config.working_dir != "/" else "",
        "Entrypoint": list(config.entrypoint) if config.entrypoint is not None else None,
        "OnBuild": None,
        "Labels": dict(sorted(config.labels.items())),
        "StopSignal": config.stop_signal,
        **({"StopTimeout": request.stop_timeout} if request.stop_timeout is not None else {}),
    }


def _given_by_us(config: Configuration, request: ContainerRequest) -> tuple[str, ...]:
    """What every container's environment has without anybody asking; Docker does not show it."""
    own = (f"HOSTNAME={config.hostname}", "TERM=xterm")
    return tuple(entry for entry in own if entry not in request.environment)


def _healthcheck(health: HealthRequest) -> dict[str, Any]:
    described = {
        "Test": list(health.test),
        "Interval": health.interval,
        "Timeout": health.timeout,
        "StartPeriod": health.start_period,
        "StartInterval": health.start_interval,
        "Retries": health.retries,
    }
    return {key: value for key, value in described.items() if value}


def describe_ports(container: Container, exposed: Iterable[str]) -> dict[str, list[dict[str, str]] | None]:
    """`NetworkSettings.Ports`: what is published, by container port; null for what is only exposed."""
    described: dict[str, list[dict[str, str]] | None] = {}
    if container.network.address:
        described = dict.fromkeys(sorted(exposed))
    for container_port, protocol, address, host_port in container.network.ports:
        bindings = described.get(f"{container_port}/{protocol}") or []
        bindings.append({"HostIp": address or "0.0.0.0", "HostPort": str(host_port)})  # noqa: S104
        described[f"{container_port}/{protocol}"] = bindings
    return described


def _network_settings(container: Container, config: Configuration) -> dict[str, Any]:
    state = container.network
    top = state if state.name in ("bridge", "") else NetworkState()
    return {
        "Bridge": "",
        "SandboxID": container.id if container.state.is_running else "",
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "Ports": describe_ports(container, config.exposed_ports),
        "SandboxKey": "",
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        **_addresses(top, container.id),
        "Networks": _networks(container),
    }


def _addresses(state: NetworkState, container_id: str) -> dict[str, Any]:
    return {
        "EndpointID": endpoint_id(container_id, state.network),
        "Gateway": state.gateway,
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "IPAddress": state.address,
        "IPPrefixLen": state.prefix,
        "IPv6Gateway": "",
        "MacAddress": state.mac,
    }


def _networks(container: Container) -> dict[str, Any]:
    """By name, as Docker: what it has where it runs, and where it would be where it does not."""
    mode = container.request.network
    if mode in ("host", "none"):
        return {mode: _endpoint(container, EndpointRequest(mode), NetworkState())}
    joined = {one.name or "bridge": one for one in container.network.joined()}
    joined |= {one.network[:12]: one for one in container.network.joined()}
    found = {}
    for endpoint in endpoints_of(container.request):
        state = joined.get(endpoint.network) or joined.get(endpoint.network[:12]) or NetworkState()
        found[state.name or endpoint.network] = _endpoint(container, endpoint, state)
    return found


def _endpoint(container: Container, endpoint: EndpointRequest, state: NetworkState) -> dict[str, Any]:
    own = [container.request.hostname] if container.request.hostname else []
    given = [container.id[:12], *own] if state.address or container.state.started else []
    is_users = endpoint.network not in ("bridge", "host", "none")
    return {
        "IPAMConfig": {"IPv4Address": endpoint.ip_address} if endpoint.ip_address else None,
        "Links": list(endpoint.links) or None,
        "Aliases": ([*endpoint.aliases, *given] or None) if is_users else None,
        "NetworkID": state.network,
        **_addresses(state, container.id),
        "DriverOpts": None,
    }


def endpoint_id(container_id: str, network_id: str) -> str:
    """An identifier for a container's place on a network; empty where it has none."""
    from hashlib import sha256

    return sha256(f"{container_id} {network_id}".encode()).hexdigest() if network_id else ""


def inspect_image(store: Store, image: Image, config: ImageConfig) -> dict[str, Any]:
    """`docker image inspect`."""
    from wherry.oci.reference import parse_reference

    references = [parse_reference(name) for name in image.names]
    defaults = config.config
    return {
        "Id": image.id,
        "RepoTags": [reference.familiar() for reference in references if reference.tag],
        "RepoDigests": [parse_reference(called).familiar() for called in image.digests],
        "Parent": "",
        "Comment": config.history[-1].comment if config.history else "",
        "Created": rfc3339(image.created),
        "Author": config.author,
        "Config": {
            "Hostname": "",
            "User": defaults.user,
            **({"ExposedPorts": {port: {} for port in defaults.exposed_ports}} if defaults.exposed_ports else {}),
            "Env": list(defaults.env),
            "Cmd": list(defaults.cmd) if defaults.cmd is not None else None,
            "Image": "",
            "Volumes": {path: {} for path in defaults.volumes} or None,
            "WorkingDir": defaults.working_dir,
            "Entrypoint": list(defaults.entrypoint) if defaults.entrypoint is not None else None,
            "OnBuild": list(defaults.on_build) or None,
            "Labels": defaults.labels or None,
            **({"StopSignal": defaults.stop_signal} if defaults.stop_signal else {}),
            **({"Shell": list(defaults.shell)} if defaults.shell else {}),
        },
        "Architecture": config.architecture,
        "Os": config.os,
        **({"Variant": config.variant} if config.variant else {}),
        "Size": image.size,
        "VirtualSize": image.size,
        "GraphDriver": {"Name": "overlay2", "Data": _graph_data(store, config)},
        "RootFS": {"Type": "layers", "Layers": list(config.rootfs)},
        "Metadata": {"LastTagTime": rfc3339(image.added)},
    }


def _graph_data(store: Store, config: ImageConfig) -> dict[str, str]:
    from wherry.oci.config import chain_id

    if not config.rootfs:
        return {}
    lowers = store.snapshots.lowers(chain_id(config.rootfs))
    return {"UpperDir": lowers[0], **({"LowerDir": ":".join(lowers[1:])} if lowers[1:] else {})} if lowers else {}


def inspect_network(network: Network, members: list[Container]) -> dict[str, Any]:
    """`docker network inspect`."""
    request = network.request
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": rfc3339(network.created),
        "Scope": "local",
        "Driver": "bridge",
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": {} if request else None, "Config": [_pool(network)]},
        "Internal": network.internal,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {
            one.id: {
                "Name": one.name,
                "EndpointID": endpoint_id(one.id, network.id),
                "MacAddress": state.mac,
                "IPv4Address": f"{state.address}/{state.prefix}",
                "IPv6Address": "",
            }
            for one in members
            for state in one.network.joined()
            if state.network == network.id
        },
        "Options": request.options if request else {"com.docker.network.bridge.name": network.bridge},
        "Labels": network.labels,
    }


def _pool(network: Network) -> dict[str, str]:
    """As Docker: a gateway that was not asked for is shown where the subnet was not either."""
    request = network.request
    pool = {"Subnet": network.subnet}
    if request and request.ip_range:
        pool["IPRange"] = request.ip_range
    if not request or request.gateway or not request.subnet:
        pool["Gateway"] = network.gateway
    return pool


def inspect_predefined(name: str) -> dict[str, Any]:
    """`docker network inspect` of the modes `host` and `none`, which are no networks of ours."""
    driver, identifier = PREDEFINED[name]
    return {
        "Name": name,
        "Id": identifier,
        "Created": rfc3339(0),
        "Scope": "local",
        "Driver": driver,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": []},
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": {},
        "Labels": {},
    }


PREDEFINED = {"host": ("host", b"host".hex() + "0" * 56), "none": ("null", b"none".hex() + "0" * 56)}
"""The modes that Docker lists among networks: driver and identifier."""


def inspect_volume(volume: Volume) -> dict[str, Any]:
    """`docker volume inspect`."""
    return {
        "CreatedAt": rfc3339(volume.created),
        "Driver": "local",
        "Labels": volume.labels,
        "Mountpoint": volume.path,
        "Name": volume.name,
        "Options": volume.options,
        "Scope": "local",
    }
