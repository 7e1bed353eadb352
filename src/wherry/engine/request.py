"""What a user asks of a container, as one value: every `docker run` flag that changes the container.

The value is stored with the container, so that `start`, `restart` and `inspect` need nothing else. Sizes are bytes,
times are nanoseconds unless a field says seconds.
"""

from __future__ import annotations

from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "ContainerRequest",
    "DeviceRequest",
    "EndpointRequest",
    "ExecRequest",
    "HealthRequest",
    "LimitsRequest",
    "MountRequest",
    "PortRequest",
    "RestartPolicy",
    "UlimitRequest",
    "decode_request",
    "encode_request",
    "endpoints_of",
]


class PortRequest(NamedTuple):
    """One `-p`: `host_port` 0 asks for a free port; `host_ip` empty means every address.

    Where `host_port_end` is set, the first free port from `host_port` to it, both included, is taken.
    """

    container_port: int
    protocol: str = "tcp"
    host_ip: str = ""
    host_port: int = 0
    host_port_end: int = 0


class MountRequest(NamedTuple):
    """One `-v`, `--mount` or `--tmpfs`; `source` is a path (bind), a volume's name or empty (anonymous volume)."""

    kind: str  # bind | volume | tmpfs
    target: str
    source: str = ""
    read_only: bool = False
    options: tuple[str, ...] = ()  # extra mount options of a tmpfs (`mode=1777`, `noexec`)
    size: int = 0  # of a tmpfs; 0 is the kernel's default
    propagation: str = "rprivate"
    create_source: bool = False  # `-v` makes a missing host directory, `--mount` refuses
    no_copy: bool = False  # do not fill a new volume from the image
    subpath: str = ""


class UlimitRequest(NamedTuple):
    """`--ulimit name=soft:hard`; -1 is unlimited."""

    name: str
    soft: int
    hard: int


class DeviceRequest(NamedTuple):
    """`--device host:container:rwm`."""

    host_path: str
    container_path: str
    permissions: str = "rwm"


class LimitsRequest(NamedTuple):
    """What the container may use; 0 (or empty) means no limit of Wherry's."""

    memory: int = 0
    memory_swap: int = 0  # memory plus swap; -1 is unlimited swap
    memory_reservation: int = 0
    nano_cpus: int = 0
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    pids: int = 0
    shm_size: int = 67_108_864
    oom_kill_disable: bool = False
    oom_score_adj: int = 0
    ulimits: tuple[UlimitRequest, ...] = ()


class HealthRequest(NamedTuple):
    """`--health-*`: times in nanoseconds, 0 keeps the image's value; `disabled` is `--no-healthcheck`."""

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0
    disabled: bool = False


class EndpointRequest(NamedTuple):
    """A container's place on one network: names that it has there besides its own, and an address of its own."""

    network: str
    aliases: tuple[str, ...] = ()
    links: tuple[str, ...] = ()  # "container:alias"
    ip_address: str = ""
    mac_address: str = ""


class RestartPolicy(NamedTuple):
    """`name` is no, always, unless-stopped or on-failure (at most `maximum` times; 0 is without end)."""

    name: str = "no"
    maximum: int = 0


class ContainerRequest(NamedTuple):
    """One container as asked for. None means "as the image says"; an empty tuple means "explicitly nothing"."""

    image: str
    command: tuple[str, ...] | None = None
    name: str = ""
    entrypoint: tuple[str, ...] | None = None
    environment: tuple[str, ...] = ()  # KEY=VALUE, later wins; KEY alone removes the image's
    secret_environment: str = ""  # the path of a file with more KEY=VALUE, each ended by NUL: neither kept nor shown
    working_dir: str = ""
    user: str = ""
    group_add: tuple[str, ...] = ()
    hostname: str = ""
    domainname: str = ""
    labels: dict[str, str] = {}  # noqa: RUF012 (a value is never changed)
    annotations: dict[str, str] = {}  # noqa: RUF012
    tty: bool = False
    stdin_open: bool = False
    detached: bool = False
    auto_remove: bool = False
    init: bool = False
    restart: RestartPolicy = RestartPolicy()
    stop_signal: str = ""
    stop_timeout: int | None = None  # seconds
    network: str = "bridge"  # bridge | host | none | container:NAME | the name of a network
    endpoints: tuple[EndpointRequest, ...] | None = None  # in order; None means `network` alone
    links: tuple[str, ...] = ()  # "container:alias"
    ports: tuple[PortRequest, ...] = ()
    publish_all: bool = False
    expose: tuple[str, ...] = ()  # "80/tcp"
    add_hosts: tuple[str, ...] = ()  # "name:address"; address may be host-gateway
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    mac_address: str = ""
    ip_address: str = ""
    mounts: tuple[MountRequest, ...] = ()
    volumes_from: tuple[str, ...] = ()  # "container[:ro]"
    read_only: bool = False
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()  # no-new-privileges, seccomp=unconfined|PATH's content
    devices: tuple[DeviceRequest, ...] = ()
    sysctls: dict[str, str] = {}  # noqa: RUF012
    pid_mode: str = ""  # "" | host | container:NAME
    ipc_mode: str = ""  # "" | private | host | shareable | none | container:NAME
    uts_mode: str = ""  # "" | host
    cgroup_mode: str = ""  # "" | private | host
    health: HealthRequest = HealthRequest()
    limits: LimitsRequest = LimitsRequest()
    platform: str = ""
    pull: str = "missing"  # missing | always | never
    log_driver: str = ""  # "" | json-file | none
    log_options: dict[str, str] = {}  # noqa: RUF012
    detach_keys: str = ""


class ExecRequest(NamedTuple):
    """One `exec`."""

    command: tuple[str, ...]
    environment: tuple[str, ...] = ()
    working_dir: str = ""
    user: str = ""
    tty: bool = False
    stdin_open: bool = False
    detached: bool = False
    privileged: bool = False
    detach_keys: str = ""


_SINGLE: dict[str, Any] = {"restart": RestartPolicy, "health": HealthRequest, "limits": LimitsRequest}
_MANY: dict[str, Any] = {
    "ports": PortRequest,
    "mounts": MountRequest,
    "devices": DeviceRequest,
    "endpoints": EndpointRequest,
    "ulimits": UlimitRequest,
}


def endpoints_of(request: ContainerRequest) -> tuple[EndpointRequest, ...]:
    """Where the container is to be on bridges; nowhere for other modes."""
    if request.endpoints is not None:
        return request.endpoints
    if request.network in ("host", "none") or request.network.startswith("container:"):
        return ()
    network = "bridge" if request.network == "default" else request.network
    return (EndpointRequest(network, (), request.links, request.ip_address, request.mac_address),)


def encode_request(request: ContainerRequest) -> dict[str, Any]:
    """JSON values that `decode_request` turns into an equal request. Defaults are left out."""
    return _encode(request)


def _encode(value: Any) -> dict[str, Any]:
    defaults = type(value)._field_defaults
    encoded: dict[str, Any] = {}
    for name, item in value._asdict().items():
        if name in defaults and item == defaults[name]:
            continue
        if name in _SINGLE:
            encoded[name] = _encode(item)
        elif name in _MANY:
            encoded[name] = [_encode(each) for each in item]
        else:
            encoded[name] = item
    return encoded


def decode_request(encoded: dict[str, Any]) -> ContainerRequest:
    """The inverse of `encode_request`; fields of a newer version are ignored."""
    return ContainerRequest(**_decode(ContainerRequest, encoded))


def _decode(kind: Any, encoded: dict[str, Any]) -> dict[str, Any]:
    decoded: dict[str, Any] = {}
    for name, item in encoded.items():
        if name not in kind._fields:
            continue
        if name in _SINGLE:
            decoded[name] = _SINGLE[name](**_decode(_SINGLE[name], item))
        elif name in _MANY:
            decoded[name] = tuple(_MANY[name](**_decode(_MANY[name], each)) for each in item)
        else:
            decoded[name] = tuple(item) if isinstance(item, list) else item
    return decoded
