"""A service as the container that the engine is asked for. Pure.

What the engine cannot do is refused here, by the key that asks for it, and never left out silently.
"""

from __future__ import annotations

from wherry.base.errors import Unsupported
from wherry.base.values import NamedTuple
from wherry.compose.engine import Attachment, ContainerWish
from wherry.compose.units import parse_duration
from wherry.engine.request import (
    ContainerRequest,
    DeviceRequest,
    HealthRequest,
    LimitsRequest,
    MountRequest,
    PortRequest,
    RestartPolicy,
    UlimitRequest,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from wherry.compose.engine import FileWish
    from wherry.compose.model import Project, Service

__all__ = ["Making", "check_supported", "container_wish"]

_REFUSED = (
    "blkio_config cgroup_parent cpu_count cpu_percent cpu_rt_period cpu_rt_runtime credential_spec device_cgroup_rules"
    " external_links gpus isolation mem_swappiness models provider pre_start pre_stop post_start runtime storage_opt"
    " use_api_socket userns_mode"
).split()
_REFUSED_OF_NETWORKS = ("driver_opts", "gw_priority", "interface_name", "ipv6_address", "link_local_ips")
_WITHOUT_NAMES = ("bridge", "host", "none")  # networks where a container has no name
_SECOND = 1_000_000_000


class Making(NamedTuple):
    """What is decided when a container is made: its name, labels, and what it takes over from others.

    `container_of` names a container of a service for those who share its namespaces or volumes.
    """

    name: str
    number: int
    labels: dict[str, str]
    container_of: Callable[[str], str]
    inherited: tuple[MountRequest, ...] = ()
    files: tuple[FileWish, ...] = ()
    use_aliases: bool = True


def check_supported(service: Service) -> list[str]:
    """Raises Unsupported for a key that the engine cannot obey; warnings for what it leaves undone."""
    for key in _REFUSED:
        if service.config.get(key) not in (None, "", [], {}, 0):
            raise Unsupported(f"services.{service.name}.{key} is not supported yet", hint="leave the key out")
    _check_networks(service)
    reserved = service.get("deploy", {}).get("resources", {}).get("reservations", {})
    for key in ("devices", "generic_resources"):
        if reserved.get(key):
            raise Unsupported(f"services.{service.name}.deploy.resources.reservations.{key} is not supported yet")
    for mount in service.get("volumes", ()):
        if mount["type"] not in ("bind", "volume", "tmpfs"):
            raise Unsupported(f"services.{service.name}.volumes: the type {mount['type']} is not supported yet")
        if mount.get("volume", {}).get("subpath"):
            raise Unsupported(f"services.{service.name}.volumes: subpath is not supported yet")
    driver = service.get("logging", {}).get("driver", "json-file")
    if driver not in ("json-file", "local", "none"):
        raise Unsupported(
            f"services.{service.name}.logging: the driver {driver} is not supported", hint="json-file and none are"
        )
    options = ", ".join(service.get("logging", {}).get("options", ()))
    return [f"services.{service.name}.logging: the options {options} have no effect yet"] if options else []


def _check_networks(service: Service) -> None:
    for key, wish in service.get("networks", {}).items():
        for refused in _REFUSED_OF_NETWORKS:
            if (wish or {}).get(refused):
                raise Unsupported(
                    f"services.{service.name}.networks.{key}.{refused} is not supported yet", hint="leave the key out"
                )
    links = service.get("links", ())
    if any(":" in one for one in links):
        raise Unsupported(
            f"services.{service.name}.links: aliases of links are not supported yet",
            hint="give the other service `aliases` on a network of both",
        )
    if links and not service.get("networks"):
        raise Unsupported(
            f"services.{service.name}.links is supported on networks of the project only",
            hint="leave network_mode out: services find each other by name",
        )


def container_wish(project: Project, service: Service, making: Making) -> ContainerWish:
    """The container to make."""
    config = service.config
    deploy = config.get("deploy", {})
    request = ContainerRequest(
        image=service.image_name(project.name),
        command=_words(config.get("command")),
        name=making.name,
        entrypoint=_words(config.get("entrypoint")),
        environment=tuple(f"{k}={v}" for k, v in config.get("environment", {}).items() if v is not None),
        working_dir=config.get("working_dir", ""),
        user=config.get("user", ""),
        group_add=tuple(config.get("group_add", ())),
        hostname=config.get("hostname", ""),
        domainname=config.get("domainname", ""),
        labels={**config.get("labels", {}), **making.labels},
        annotations=dict(config.get("annotations", {})),
        tty=bool(config.get("tty")),
        stdin_open=bool(config.get("stdin_open")),
        detached=True,
        init=bool(config.get("init")),
        restart=_restart(config.get("restart", ""), deploy.get("restart_policy")),
        stop_signal=config.get("stop_signal", ""),
        stop_timeout=_seconds(config.get("stop_grace_period")),
        network=_mode(config.get("network_mode", "bridge"), making.container_of),
        ports=tuple(_port(one, making.number) for one in config.get("ports", ())),
        expose=tuple(one if "/" in one else f"{one}/tcp" for one in config.get("expose", ())),
        add_hosts=tuple(one.replace("=", ":", 1) for one in config.get("extra_hosts", ())),
        dns=tuple(config.get("dns", ())),
        dns_search=tuple(config.get("dns_search", ())),
        dns_options=tuple(config.get("dns_opt", ())),
        mac_address=config.get("mac_address", ""),
        mounts=_all_mounts(project, config, making.inherited),
        volumes_from=tuple(_volumes_from(one, making.container_of) for one in config.get("volumes_from", ())),
        read_only=bool(config.get("read_only")),
        privileged=bool(config.get("privileged")),
        cap_add=tuple(config.get("cap_add", ())),
        cap_drop=tuple(config.get("cap_drop", ())),
        security_opt=tuple(one.replace(":", "=", 1) for one in config.get("security_opt", ())),
        devices=tuple(
            DeviceRequest(one["source"], one.get("target") or one["source"], one.get("permissions", "rwm"))
            for one in config.get("devices", ())
        ),
        sysctls=dict(config.get("sysctls", {})),
        pid_mode=_mode(config.get("pid", ""), making.container_of),
        ipc_mode=_mode(config.get("ipc", ""), making.container_of),
        uts_mode=_mode(config.get("uts", ""), making.container_of),
        cgroup_mode=config.get("cgroup", ""),
        health=_health(config.get("healthcheck", {})),
        limits=_limits(config, deploy.get("resources", {})),
        platform=config.get("platform", ""),
        pull="never",
        log_driver="none" if config.get("logging", {}).get("driver") == "none" else "",
    )
    return ContainerWish(request, tuple(_attachments(project, service, making)), making.files)


def _words(words: list[str] | None) -> tuple[str, ...] | None:
    return None if words is None else tuple(words)


def _seconds(duration: str | None) -> int | None:
    return None if duration is None else -(-parse_duration(duration) // _SECOND)


def _restart(text: str, policy: dict[str, Any] | None) -> RestartPolicy:
    """`restart`, or what `deploy.restart_policy` means for a single machine."""
    if text or policy is None:
        name, _, maximum = text.partition(":")
        return RestartPolicy(name or "no", int(maximum) if maximum.isdigit() else 0)
    names = {"none": "no", "on-failure": "on-failure", "any": "always"}
    condition = policy.get("condition", "any")
    return RestartPolicy(names.get(condition, condition), int(policy.get("max_attempts", 0)))


def _mode(mode: str, container_of: Callable[[str], str]) -> str:
    service = mode.removeprefix("service:")
    return mode if service == mode else f"container:{container_of(service)}"


def _volumes_from(source: str, container_of: Callable[[str], str]) -> str:
    if source.startswith("container:"):
        return source.removeprefix("container:")
    service, colon, mode = source.partition(":")
    return f"{container_of(service)}{colon}{mode}"


def _port(port: dict[str, Any], number: int) -> PortRequest:
    """A range of host ports serves as many replicas: each takes its own."""
    first, dash, last = str(port.get("published", "0")).partition("-")
    host = int(first or 0)
    if dash:
        host = min(host + number - 1, int(last))
    return PortRequest(int(port["target"]), port.get("protocol", "tcp"), port.get("host_ip", ""), host)


def _all_mounts(
    project: Project, config: dict[str, Any], inherited: tuple[MountRequest, ...]
) -> tuple[MountRequest, ...]:
    """The service's mounts, with inherited volumes in place of those that would be made empty."""
    taken = {mount.target for mount in inherited}
    own = [*_mounts(project, config), *_tmpfs(config)]
    return (*(mount for mount in own if mount.target not in taken), *inherited)


def _mounts(project: Project, config: dict[str, Any]) -> Iterable[MountRequest]:
    for mount in config.get("volumes", ()):
        read_only, target, source = bool(mount.get("read_only")), mount["target"], mount.get("source", "")
        if mount["type"] == "bind":
            bind = mount.get("bind", {})
            how, make = bind.get("propagation", "rprivate"), bind.get("create_host_path", True)
            yield MountRequest("bind", target, source, read_only, propagation=how, create_source=make)
        elif mount["type"] == "volume":
            name = project.volumes[source]["name"] if source else ""
            yield MountRequest("volume", target, name, read_only, no_copy=bool(mount.get("volume", {}).get("nocopy")))
        else:
            options = mount.get("tmpfs", {})
            mode = (f"mode={options['mode']}",) if options.get("mode") else ()
            yield MountRequest("tmpfs", target, options=mode, size=int(options.get("size", 0)))


def _tmpfs(config: dict[str, Any]) -> Iterable[MountRequest]:
    for text in config.get("tmpfs", ()):
        target, _, options = text.partition(":")
        yield MountRequest("tmpfs", target, options=tuple(one for one in options.split(",") if one))


def _health(check: dict[str, Any]) -> HealthRequest:
    times = {key: parse_duration(check.get(key, "0s")) for key in ("interval", "timeout", "start_period")}
    test = tuple(check.get("test", ()))
    return HealthRequest(
        test=test if test != ("NONE",) else (),
        start_interval=parse_duration(check.get("start_interval", "0s")),
        retries=int(check.get("retries", 0)),
        disabled=bool(check.get("disable")) or test == ("NONE",),
        **times,
    )


def _limits(config: dict[str, Any], resources: dict[str, Any]) -> LimitsRequest:
    limits, reservations = resources.get("limits", {}), resources.get("reservations", {})
    return LimitsRequest(
        memory=int(config.get("mem_limit", limits.get("memory", 0))),
        memory_swap=int(config.get("memswap_limit", 0)),
        memory_reservation=int(config.get("mem_reservation", reservations.get("memory", 0))),
        nano_cpus=round(float(config.get("cpus", limits.get("cpus", 0))) * 1_000_000_000),
        cpu_shares=int(config.get("cpu_shares", 0)),
        cpu_period=int(config.get("cpu_period", 0)),
        cpu_quota=int(config.get("cpu_quota", 0)),
        cpuset_cpus=config.get("cpuset", ""),
        pids=max(0, int(config.get("pids_limit", limits.get("pids", 0)))),
        shm_size=int(config.get("shm_size", 67_108_864)),
        oom_kill_disable=bool(config.get("oom_kill_disable")),
        oom_score_adj=int(config.get("oom_score_adj", 0)),
        ulimits=tuple(_ulimit(name, value) for name, value in sorted(config.get("ulimits", {}).items())),
    )


def _ulimit(name: str, value: Any) -> UlimitRequest:
    soft, hard = (value["soft"], value["hard"]) if isinstance(value, dict) else (value, value)
    return UlimitRequest(name, int(soft), int(hard))


def _attachments(project: Project, service: Service, making: Making) -> Iterable[Attachment]:
    """The networks in the order of their priority, with the names by which the container is found there.

    `x-nameless` in a service's network, which deployments write and files cannot, leaves it without a name there.
    """
    wishes = {key: wish or {} for key, wish in service.get("networks", {}).items()}
    mac = service.get("mac_address", "")  # the first network's, where that has none of its own
    for key in sorted(wishes, key=lambda one: (-int(wishes[one].get("priority", 0)), one)):
        wish, name = wishes[key], project.networks[key]["name"]
        is_nameless = not making.use_aliases or wish.get("x-nameless")
        own = () if is_nameless or name in _WITHOUT_NAMES else (service.name,)
        aliases = (*own, *(() if is_nameless else wish.get("aliases", ())))
        yield Attachment(
            name, tuple(dict.fromkeys(aliases)), wish.get("ipv4_address", ""), wish.get("mac_address", mac)
        )
        mac = ""
