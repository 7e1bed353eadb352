"""What a service may say. The order of keys is the order in which `compose config` prints them.

Source: compose-spec, schema/compose-spec.json and 05-services.md.
"""

from __future__ import annotations

from wherry.compose import shortforms
from wherry.compose.kinds import (
    Anything,
    Duration,
    Fields,
    Flag,
    Kind,
    ListOf,
    MapOf,
    Number,
    Pairs,
    Scalar,
    Size,
    Text,
    Whole,
)
from wherry.compose.tree import Node, invalid
from wherry.compose.units import go_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.compose.tree import Path

__all__ = ["SERVICE"]


def _itself(node: Node) -> str:
    return go_text(node.value)


def _texts(*, single: bool = False) -> ListOf:
    return ListOf(Text(), single=single, identity=_itself)


def _scalars() -> ListOf:
    return ListOf(Scalar(), identity=_itself)


class _Command(ListOf):
    """A command; nothing means the image's, an empty one means none. A later one replaces an earlier one."""

    def __init__(self) -> None:
        super().__init__(Text(), short=shortforms.command_words, replaces=True)


class _Logging(Fields):
    """Options of another driver are not merged (compose-spec, merge: logging)."""

    def _merge(self, base: Node, over: Node) -> Node:
        before, after = shortforms.key_of(base, "driver"), shortforms.key_of(over, "driver")
        return super()._merge(base, over) if not before or not after or before == after else over


class _Ulimit(Fields):
    """Soft and hard, or one number that is both."""

    def _read(self, node: Node, path: Path) -> Node:
        return super()._read(node, path) if isinstance(node.value, dict) else shortforms.ulimit_value(node, path)

    def _merge(self, base: Node, over: Node) -> Node:
        return super()._merge(base, over) if isinstance(base.value, dict) and isinstance(over.value, dict) else over


class _Mode(Kind):
    """Permission bits, canonically as octal text: a number is one already, text is read as octal digits."""

    expected = "permissions such as 0440"

    def _read(self, node: Node, path: Path) -> Node:
        if isinstance(node.value, int) and not isinstance(node.value, bool):
            return node.at(f"0{node.value:o}")
        digits = node.value.lower().removeprefix("0o") if isinstance(node.value, str) else ""
        if not digits or not set(digits) <= set("01234567"):
            raise invalid(node.mark, path, f"expected permissions, found {node.kind}", 'write them as "0440"')
        return node.at(f"0{int(digits, 8):o}")


class _Count(Whole):
    """How many devices; all of them is -1."""

    def _read(self, node: Node, path: Path) -> Node:
        return node.at(-1) if node.value == "all" else super()._read(node, path)


class _Hosts(ListOf):
    """`NAME=ADDRESS` (or `NAME:ADDRESS`), canonically with `=` and sorted."""

    def __init__(self) -> None:
        super().__init__(Text(), short=shortforms.host_addresses, identity=_itself)

    def _read(self, node: Node, path: Path) -> Node:
        read = super()._read(node, path)
        items = []
        for number, child in enumerate(read.value):
            name, mark, address = child.value.partition("=" if "=" in child.value else ":")
            if child.tag:
                items.append(child)
                continue
            if not mark or not name or not address:
                words = f'expected NAME=ADDRESS, found "{child.value}"'
                raise invalid(child.mark, (*path, str(number)), words)
            items.append(child.at(f"{name}={address.strip('[]')}"))
        return read.at(items)


class _PullPolicy(Kind):
    """When an image is fetched."""

    expected = "always, never, missing, if_not_present, build, daily, weekly or every_<duration>"

    def _read(self, node: Node, path: Path) -> Node:
        word = node.value if isinstance(node.value, str) else ""
        known = ("always", "never", "missing", "if_not_present", "build", "refresh", "daily", "weekly")
        if word not in known and not word.startswith("every_"):
            raise invalid(node.mark, path, f'"{node.value}" is no pull policy', f"expected {self.expected}")
        if word.startswith("every_"):
            Duration().read(node.at(word.removeprefix("every_")), path)
        return node.at("missing" if word == "if_not_present" else word)


_DEPENDENCY = Fields(
    {
        "condition": Text(("service_started", "service_healthy", "service_completed_successfully")),
        "restart": Flag(),
        "required": Flag(),
    },
    required=("condition",),
)

_SERVICE_FILE = Fields(
    {"source": Text(), "target": Text(), "uid": Scalar(), "gid": Scalar(), "mode": _Mode()},
    short=shortforms.file_source,
    words="a name or a mapping",
)

_ULIMITS = MapOf(_Ulimit({"soft": Whole(), "hard": Whole()}, required=("soft", "hard")))

_BUILD = Fields(
    {
        "context": Text(),
        "dockerfile": Text(),
        "dockerfile_inline": Text(),
        "entitlements": _texts(),
        "args": Pairs(bare=None),
        "provenance": Scalar(),
        "sbom": Scalar(),
        "ssh": ListOf(Text(), short=shortforms.ssh_agents, identity=_itself),
        "labels": Pairs(),
        "cache_from": _texts(),
        "cache_to": _texts(),
        "no_cache": Flag(),
        "no_cache_filter": _texts(single=True),
        "additional_contexts": Pairs(),
        "pull": Flag(),
        "extra_hosts": _Hosts(),
        "isolation": Text(),
        "network": Text(),
        "target": Text(),
        "secrets": ListOf(_SERVICE_FILE, identity=shortforms.target_of("/run/secrets")),
        "shm_size": Size(),
        "tags": _texts(),
        "ulimits": _ULIMITS,
        "platforms": _texts(),
        "privileged": Flag(),
    },
    short=shortforms.build_context,
    words="a path, an address or a mapping",
)

_HOOK = Fields(
    {
        "command": _Command(),
        "user": Text(),
        "privileged": Flag(),
        "working_dir": Text(),
        "environment": Pairs(bare=None),
        "image": Text(),
        "per_replica": Flag(),
    },
    required=("command",),
)

_WATCH = Fields(
    {
        "path": Text(),
        "action": Text(("rebuild", "sync", "restart", "sync+restart", "sync+exec")),
        "target": Text(),
        "exec": _HOOK,
        "include": _texts(single=True),
        "ignore": _texts(single=True),
        "initial_sync": Flag(),
    },
    required=("path", "action"),
)

_DEVICE_REQUEST = Fields(
    {
        "capabilities": _texts(),
        "driver": Text(),
        "count": _Count(),
        "device_ids": _texts(),
        "options": Pairs(),
    }
)

_UPDATE = Fields(
    {
        "parallelism": Whole(0),
        "delay": Duration(),
        "failure_action": Text(),
        "monitor": Duration(),
        "max_failure_ratio": Number(),
        "order": Text(("start-first", "stop-first")),
    }
)

_RESERVED = {
    "cpus": Number(),
    "memory": Size(),
    "pids": Whole(),
    "devices": ListOf(_DEVICE_REQUEST),
    "generic_resources": ListOf(
        Fields({"discrete_resource_spec": Fields({"kind": Text(), "value": Whole()})}),
    ),
}

_DEPLOY = Fields(
    {
        "mode": Text(("replicated", "global", "replicated-job", "global-job")),
        "replicas": Whole(0),
        "labels": Pairs(),
        "update_config": _UPDATE,
        "rollback_config": _UPDATE,
        "resources": Fields(
            {
                "limits": Fields({key: _RESERVED[key] for key in ("cpus", "memory", "pids")}),
                "reservations": Fields({key: kind for key, kind in _RESERVED.items() if key != "pids"}),
            }
        ),
        "restart_policy": Fields(
            {"condition": Text(), "delay": Duration(), "max_attempts": Whole(0), "window": Duration()}
        ),
        "placement": Fields(
            {
                "constraints": _texts(),
                "preferences": ListOf(Fields({"spread": Text()})),
                "max_replicas_per_node": Whole(0),
            }
        ),
        "endpoint_mode": Text(),
    }
)

_HEALTHCHECK = Fields(
    {
        "test": ListOf(Text(), short=shortforms.health_test, replaces=True),
        "timeout": Duration(),
        "interval": Duration(),
        "retries": Whole(0),
        "start_period": Duration(),
        "start_interval": Duration(),
        "disable": Flag(),
    }
)

_SERVICE_NETWORK = Fields(
    {
        "priority": Whole(),
        "gw_priority": Whole(),
        "aliases": _texts(),
        "interface_name": Text(),
        "ipv4_address": Text(),
        "ipv6_address": Text(),
        "link_local_ips": _texts(),
        "mac_address": Text(),
        "driver_opts": MapOf(Scalar()),
    }
)

_PORT = Fields(
    {
        "name": Text(),
        "mode": Text(("host", "ingress")),
        "host_ip": Text(),
        "target": Whole(0, 65535),
        "published": Scalar(),
        "protocol": Text(("tcp", "udp", "sctp")),
        "app_protocol": Text(),
    },
    required=("target",),
    words="a port or a mapping",
)

_VOLUME = Fields(
    {
        "type": Text(("bind", "volume", "tmpfs", "cluster", "npipe", "image")),
        "source": Text(),
        "target": Text(),
        "read_only": Flag(),
        "consistency": Text(),
        "bind": Fields(
            {
                "selinux": Text(("z", "Z")),
                "propagation": Text(("private", "rprivate", "shared", "rshared", "slave", "rslave")),
                "create_host_path": Flag(),
                "recursive": Text(("enabled", "disabled", "writable", "readonly")),
            }
        ),
        "volume": Fields({"labels": Pairs(), "nocopy": Flag(), "subpath": Text()}),
        "tmpfs": Fields({"size": Size(), "mode": _Mode()}),
        "image": Fields({"subpath": Text()}),
    },
    required=("type", "target"),
    short=shortforms.volume_mount,
    words="a volume or a mapping",
)

_BLOCK_LIMIT = ListOf(Fields({"path": Text(), "rate": Size()}))

SERVICE = Fields(
    {
        "profiles": _texts(),
        "annotations": Pairs(),
        "attach": Flag(),
        "build": _BUILD,
        "develop": Fields({"watch": ListOf(_WATCH)}),
        "blkio_config": Fields(
            {
                "weight": Whole(),
                "weight_device": ListOf(Fields({"path": Text(), "weight": Whole()})),
                "device_read_bps": _BLOCK_LIMIT,
                "device_read_iops": _BLOCK_LIMIT,
                "device_write_bps": _BLOCK_LIMIT,
                "device_write_iops": _BLOCK_LIMIT,
            }
        ),
        "cap_add": _texts(),
        "cap_drop": _texts(),
        "cgroup_parent": Text(),
        "cgroup": Text(("host", "private")),
        "cpu_count": Whole(0),
        "cpu_percent": Number(),
        "cpu_period": Whole(),
        "cpu_quota": Whole(),
        "cpu_rt_period": Scalar(),
        "cpu_rt_runtime": Scalar(),
        "cpus": Number(),
        "cpuset": Text(),
        "cpu_shares": Whole(),
        "command": _Command(),
        "configs": ListOf(_SERVICE_FILE, identity=shortforms.target_of("")),
        "container_name": Text(),
        "credential_spec": Fields({"config": Text(), "file": Text(), "registry": Text()}),
        "depends_on": MapOf(_DEPENDENCY, short=shortforms.dependency_names, words="a list of services or a mapping"),
        "deploy": _DEPLOY,
        "device_cgroup_rules": _texts(),
        "devices": ListOf(
            Fields(
                {"source": Text(), "target": Text(), "permissions": Text()},
                required=("source",),
                short=shortforms.device_mapping,
            ),
            identity=shortforms.target_of(""),
        ),
        "dns": _texts(single=True),
        "dns_opt": _texts(),
        "dns_search": _texts(single=True),
        "domainname": Text(),
        "entrypoint": _Command(),
        "provider": Fields({"type": Text(), "options": MapOf(Anything())}, required=("type",)),
        "environment": Pairs(bare=None),
        "env_file": ListOf(
            Fields(
                {"path": Text(), "required": Flag(), "format": Text(("raw",))},
                required=("path",),
                short=shortforms.env_file_path,
                words="a path or a mapping",
            ),
            single=True,
            identity=lambda node: shortforms.key_of(node, "path"),
        ),
        "expose": _scalars(),
        "extends": Fields(
            {"file": Text(), "service": Text()},
            required=("service",),
            short=lambda node, path: node.at({"service": Text().read(node, path)}),
        ),
        "external_links": _texts(),
        "extra_hosts": _Hosts(),
        "group_add": _scalars(),
        "gpus": ListOf(_DEVICE_REQUEST, short=shortforms.gpu_request),
        "hostname": Text(),
        "healthcheck": _HEALTHCHECK,
        "image": Text(),
        "init": Flag(),
        "ipc": Text(),
        "isolation": Text(),
        "labels": Pairs(),
        "label_file": _texts(single=True),
        "links": _texts(),
        "logging": _Logging({"driver": Text(), "options": MapOf(Scalar())}),
        "mem_limit": Size(),
        "mem_reservation": Size(),
        "memswap_limit": Size(),
        "mem_swappiness": Whole(-1, 100),
        "mac_address": Text(),
        "models": MapOf(Fields({"endpoint_var": Text(), "model_var": Text()}), short=shortforms.network_names),
        "networks": MapOf(_SERVICE_NETWORK, short=shortforms.network_names, words="a list of networks or a mapping"),
        "network_mode": Text(),
        "oom_kill_disable": Flag(),
        "oom_score_adj": Whole(-1000, 1000),
        "pid": Text(nullable=True),
        "pids_limit": Whole(),
        "platform": Text(),
        "ports": ListOf(_PORT, expand=shortforms.expand_ports, identity=shortforms.port_identity),
        "privileged": Flag(),
        "pull_policy": _PullPolicy(),
        "pull_refresh_after": Duration(),
        "read_only": Flag(),
        "restart": Text(),
        "runtime": Text(),
        "scale": Whole(0),
        "secrets": ListOf(_SERVICE_FILE, identity=shortforms.target_of("/run/secrets")),
        "security_opt": _texts(),
        "shm_size": Size(),
        "stdin_open": Flag(),
        "stop_grace_period": Duration(),
        "stop_signal": Text(),
        "storage_opt": MapOf(Scalar()),
        "sysctls": Pairs(),
        "tmpfs": _texts(single=True),
        "tty": Flag(),
        "ulimits": _ULIMITS,
        "use_api_socket": Flag(),
        "user": Text(),
        "userns_mode": Text(),
        "uts": Text(),
        "volumes": ListOf(_VOLUME, identity=lambda node: shortforms.key_of(node, "target") or None),
        "volumes_from": _texts(),
        "working_dir": Text(),
        "pre_start": ListOf(_HOOK),
        "post_start": ListOf(_HOOK),
        "pre_stop": ListOf(_HOOK),
    },
    words="a mapping",
)
