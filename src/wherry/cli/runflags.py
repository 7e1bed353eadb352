"""The flags of `run` and `create`, and the container that they ask for."""

from __future__ import annotations

from wherry.cli import mountflags, parsing, ports
from wherry.cli.flags import Flag
from wherry.cli.networkflags import parse_networks
from wherry.engine.request import ContainerRequest, EndpointRequest, HealthRequest, LimitsRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Parsed

__all__ = ["RUN_FLAGS", "container_request"]

RUN_FLAGS = (
    Flag("add-host", "list", "Add a name to /etc/hosts (name:address)"),
    Flag(
        "annotation", "list", "Pass an annotation to the OCI runtime", unsupported="annotations are not passed on yet"
    ),
    Flag("attach", "list", "Attach to stdin, stdout or stderr", short="a", unsupported="run attaches to all of them"),
    Flag("cap-add", "list", "Add a capability"),
    Flag("cap-drop", "list", "Drop a capability"),
    Flag("cgroupns", "str", "Control group namespace (host or private)"),
    Flag("cidfile", "str", "Write the container's identifier to this file"),
    Flag("cpu-period", "int", "CPU period in microseconds"),
    Flag("cpu-quota", "int", "CPU quota in microseconds"),
    Flag("cpu-shares", "int", "CPU weight", short="c"),
    Flag("cpus", "str", "Number of CPUs"),
    Flag("cpuset-cpus", "str", "CPUs to run on (0-3, 0,1)"),
    Flag("cpuset-mems", "str", "Memory nodes to use"),
    Flag("detach", "bool", "Run in the background and print the identifier", short="d"),
    Flag("detach-keys", "str", "Key sequence for detaching"),
    Flag("device", "list", "Give a device of the host to the container"),
    Flag("disable-content-trust", "bool", "Skip image verification (signatures are not verified)", default=True),
    Flag("dns", "list", "Set DNS servers"),
    Flag("dns-option", "list", "Set DNS options"),
    Flag("dns-search", "list", "Set DNS search domains"),
    Flag("domainname", "str", "Domain name of the container"),
    Flag("entrypoint", "str", "Replace the image's ENTRYPOINT"),
    Flag("env", "list", "Set an environment variable", short="e"),
    Flag("env-file", "list", "Read environment variables from a file"),
    Flag("expose", "list", "Note a port as exposed"),
    Flag("gpus", "str", "GPU devices", unsupported="no device plug-in interface (CDI) is spoken yet"),
    Flag("group-add", "list", "Add a further group"),
    Flag("health-cmd", "str", "Command to check health"),
    Flag("health-interval", "str", "Time between checks (30s)"),
    Flag("health-retries", "int", "Failures in a row until unhealthy (3)"),
    Flag("health-start-interval", "str", "Time between checks in the start period (5s)"),
    Flag("health-start-period", "str", "Time for the start, in which failures do not count"),
    Flag("health-timeout", "str", "Longest time of one check (30s)"),
    Flag("hostname", "str", "Host name of the container", short="h"),
    Flag("init", "bool", "Run an init that reaps processes and passes signals on"),
    Flag("interactive", "bool", "Keep the input open", short="i"),
    Flag("ip", "str", "IPv4 address"),
    Flag("ipc", "str", "IPC namespace (private, host, container:NAME)"),
    Flag("label", "list", "Set a label", short="l"),
    Flag("label-file", "list", "Read labels from a file"),
    Flag("link", "list", "Know another container by a further name (container[:alias])"),
    Flag("log-driver", "str", "Log driver (json-file or none)"),
    Flag("log-opt", "list", "Log driver options", unsupported="logs are kept whole, without options"),
    Flag("mac-address", "str", "Hardware address"),
    Flag("memory", "str", "Memory limit", short="m"),
    Flag("memory-reservation", "str", "Memory soft limit"),
    Flag("memory-swap", "str", "Memory plus swap limit (-1: no limit of swap)"),
    Flag("mount", "list", "Mount (type=bind|volume|tmpfs,source=...,target=...)"),
    Flag("name", "str", "Name of the container"),
    Flag("network", "list", "Network (bridge, host, none, container:NAME, or a network's name)"),
    Flag("net", "list", "The same as --network"),
    Flag("network-alias", "list", "Further name on the network"),
    Flag("no-healthcheck", "bool", "Ignore the image's HEALTHCHECK"),
    Flag("oom-kill-disable", "bool", "Never kill for want of memory"),
    Flag("oom-score-adj", "int", "Preference of the kernel for killing (-1000 to 1000)"),
    Flag("pid", "str", "PID namespace (host, container:NAME)"),
    Flag("pids-limit", "int", "Most processes (-1: no limit)"),
    Flag("platform", "str", "Platform, where the registry has several"),
    Flag("privileged", "bool", "Give all privileges that this machine can give"),
    Flag("publish", "list", "Publish a port ([address:][hostPort:]containerPort[/protocol])", short="p"),
    Flag("publish-all", "bool", "Publish all exposed ports on free ports", short="P"),
    Flag("pull", "str", "Fetch the image (always, missing, never)", default="missing"),
    Flag("quiet", "bool", "Do not show how the image is fetched", short="q"),
    Flag("read-only", "bool", "Mount the root file system read-only"),
    Flag("restart", "str", "Restart policy (no, always, unless-stopped, on-failure[:n])", default="no"),
    Flag("rm", "bool", "Remove the container when it ends"),
    Flag("runtime", "str", "OCI runtime", unsupported="the one that works on the machine is chosen"),
    Flag("security-opt", "list", "Security options"),
    Flag("shm-size", "str", "Size of /dev/shm"),
    Flag("sig-proxy", "bool", "Pass signals on to the container", default=True),
    Flag("stop-signal", "str", "Signal that asks the container to stop"),
    Flag("stop-timeout", "int", "Seconds until it is killed"),
    Flag("sysctl", "list", "Kernel parameter of the container's namespaces"),
    Flag("tmpfs", "list", "Mount a tmpfs"),
    Flag("tty", "bool", "Give the container a terminal", short="t"),
    Flag("ulimit", "list", "Resource limit (name=soft[:hard])"),
    Flag("user", "str", "User (name or number, with :group)", short="u"),
    Flag("userns", "str", "User namespace (host, which is the only one)"),
    Flag("uts", "str", "UTS namespace (host)"),
    Flag("volume", "list", "Mount a volume or a directory", short="v"),
    Flag("volume-driver", "str", "Volume driver", unsupported="volumes are local"),
    Flag("volumes-from", "list", "Mount the volumes of another container"),
    Flag("workdir", "str", "Working directory", short="w"),
)


def container_request(parsed: Parsed) -> ContainerRequest:
    """The container that was asked for. Raises InvalidInput in Docker's words. Reads files that flags name."""
    image, *command = parsed.args
    mounts = [
        *map(mountflags.parse_volume, parsed["volume"]),
        *map(mountflags.parse_mount, parsed["mount"]),
        *map(mountflags.parse_tmpfs, parsed["tmpfs"]),
    ]
    _check_words(parsed)
    entrypoint = parsed["entrypoint"]
    network, endpoints = parse_networks(
        [*parsed["network"], *parsed["net"]],
        EndpointRequest("", tuple(parsed["network-alias"]), tuple(parsed["link"]), parsed["ip"], parsed["mac-address"]),
    )
    return ContainerRequest(
        image=image,
        command=tuple(command) or None,
        name=parsed["name"],
        entrypoint=((entrypoint,) if entrypoint else ()) if "entrypoint" in parsed.given else None,
        environment=parsing.parse_environment(parsed["env"], parsed["env-file"]),
        working_dir=parsed["workdir"],
        user=parsed["user"],
        group_add=tuple(parsed["group-add"]),
        hostname=parsed["hostname"],
        domainname=parsed["domainname"],
        labels=parsing.parse_labels(parsed["label"], parsed["label-file"]),
        tty=parsed["tty"],
        stdin_open=parsed["interactive"],
        detached=parsed.get("detach", False),
        auto_remove=parsed["rm"],
        init=parsed["init"],
        restart=parsing.parse_restart(parsed["restart"]),
        stop_signal=parsed["stop-signal"],
        stop_timeout=parsed["stop-timeout"] if "stop-timeout" in parsed.given else None,
        network=network,
        endpoints=endpoints,
        links=tuple(parsed["link"]),
        ports=tuple(port for text in parsed["publish"] for port in ports.parse_ports(text)),
        publish_all=parsed["publish-all"],
        expose=ports.parse_expose(parsed["expose"]),
        add_hosts=tuple(map(parsing.parse_add_host, parsed["add-host"])),
        dns=tuple(map(parsing.parse_dns, parsed["dns"])),
        dns_search=tuple(parsed["dns-search"]),
        dns_options=tuple(parsed["dns-option"]),
        mac_address=parsing.parse_mac(parsed["mac-address"]),
        ip_address=parsed["ip"],
        mounts=tuple(mounts),
        volumes_from=tuple(parsed["volumes-from"]),
        read_only=parsed["read-only"],
        privileged=parsed["privileged"],
        cap_add=tuple(parsed["cap-add"]),
        cap_drop=tuple(parsed["cap-drop"]),
        security_opt=tuple(parsed["security-opt"]),
        devices=tuple(map(parsing.parse_device, parsed["device"])),
        sysctls=parsing.parse_sysctls(parsed["sysctl"]),
        pid_mode=parsed["pid"],
        ipc_mode=parsed["ipc"],
        uts_mode=parsed["uts"],
        cgroup_mode=parsed["cgroupns"],
        health=_health(parsed),
        limits=_limits(parsed),
        platform=parsed["platform"],
        pull=parsed["pull"],
        log_driver=_log_driver(parsed["log-driver"]),
        detach_keys=parsed.get("detach-keys", ""),
    )


def _check_words(parsed: Parsed) -> None:
    from wherry.base.errors import InvalidInput

    if parsed["userns"] not in ("", "host"):
        raise InvalidInput("--userns: invalid USER mode", hint="containers run in the host's user namespace")
    if parsed["platform"]:
        from wherry.oci.platform import parse_platform

        parse_platform(parsed["platform"])


def _log_driver(name: str) -> str:
    from wherry.base.errors import Unsupported

    if name not in ("", "json-file", "local", "none"):
        raise Unsupported(f"--log-driver {name} is not supported", hint="json-file and none are")
    return name


def _health(parsed: Parsed) -> HealthRequest:
    from wherry.base.errors import InvalidInput

    def duration(name: str) -> int:
        text = parsed[f"health-{name}"]
        return _signed_duration(f"health-{name}", text) if text else 0

    times = {name: duration(name) for name in ("interval", "timeout", "start-period", "start-interval")}
    values = {**times, "retries": parsed["health-retries"]}
    if parsed["no-healthcheck"] and (parsed["health-cmd"] or any(values.values())):
        raise InvalidInput("--no-healthcheck conflicts with --health-* options")
    for name, value in values.items():
        if value < 0:
            raise InvalidInput(f"--health-{name} cannot be negative")
    return HealthRequest(
        test=("CMD-SHELL", parsed["health-cmd"]) if parsed["health-cmd"] else (),
        disabled=parsed["no-healthcheck"],
        **{name.replace("-", "_"): value for name, value in values.items()},
    )


def _signed_duration(flag: str, text: str) -> int:
    from wherry.base.errors import InvalidInput, UsageError

    sign = -1 if text.startswith("-") else 1
    try:
        return sign * parsing.parse_duration(text.removeprefix("-"))
    except InvalidInput:
        raise UsageError(f'invalid argument "{text}" for "--{flag}" flag: time: invalid duration "{text}"') from None


def _limits(parsed: Parsed) -> LimitsRequest:
    def size(name: str) -> int:
        return parsing.parse_size(parsed[name]) if parsed[name] else 0

    return LimitsRequest(
        memory=size("memory"),
        memory_swap=-1 if parsed["memory-swap"] == "-1" else size("memory-swap"),
        memory_reservation=size("memory-reservation"),
        nano_cpus=parsing.parse_cpus(parsed["cpus"]) if parsed["cpus"] else 0,
        cpu_shares=parsed["cpu-shares"],
        cpu_period=parsed["cpu-period"],
        cpu_quota=parsed["cpu-quota"],
        cpuset_cpus=parsed["cpuset-cpus"],
        cpuset_mems=parsed["cpuset-mems"],
        pids=max(parsed["pids-limit"], 0),
        shm_size=size("shm-size") or 67_108_864,
        oom_kill_disable=parsed["oom-kill-disable"],
        oom_score_adj=parsed["oom-score-adj"],
        ulimits=tuple(map(parsing.parse_ulimit, parsed["ulimit"])),
    )
