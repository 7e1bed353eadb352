"""The short forms of a Compose file, each as the long form that it stands for. Pure; places are the short form's."""

from __future__ import annotations

import re

from wherry.compose.tree import Node, invalid
from wherry.compose.units import go_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from wherry.compose.tree import Path

__all__ = [
    "build_context",
    "command_words",
    "dependency_names",
    "device_mapping",
    "env_file_path",
    "expand_ports",
    "file_source",
    "gpu_request",
    "health_test",
    "host_addresses",
    "key_of",
    "network_names",
    "port_identity",
    "ssh_agents",
    "target_of",
    "ulimit_value",
    "volume_mount",
]

_EVERYWHERE = "0.0.0.0"  # noqa: S104 (what a port without an address is published on)
_PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
_PORT = re.compile(
    r"(?:(?:\[(?P<six>[0-9a-fA-F:.%]*)\]|(?P<ip>[0-9]+(?:\.[0-9]+){3})):)?(?:(?P<host>\d+(?:-\d+)?)?:)?"
    r"(?P<inside>\d+(?:-\d+)?)(?:/(?P<protocol>[a-zA-Z]+))?"
)


def _mapping(node: Node, **values: Any) -> Node:
    """A mapping at the short form's place; values that are None are left out."""
    return node.at({key: node.at(value) for key, value in values.items() if value is not None})


def _only_text(node: Node, path: Path, words: str) -> str:
    if not isinstance(node.value, str):
        raise invalid(node.mark, path, f"expected {words}, found {node.kind}")
    return node.value


# --- ports


def expand_ports(node: Node, path: Path) -> list[Node]:
    """One long form for each port of `[ADDRESS:][HOST:]CONTAINER[/PROTOCOL]`; a long form is itself."""
    if isinstance(node.value, dict) or node.tag:
        return [node]
    text = go_text(node.value) if isinstance(node.value, int) else _only_text(node, path, "a port")
    match = _PORT.fullmatch(text)
    if not match:
        hint = "write [ADDRESS:][HOST:]CONTAINER[/PROTOCOL], in quotes"
        raise invalid(node.mark, path, f'invalid port "{text}"', hint)
    six, ip, host, inside, protocol = match.group("six", "ip", "host", "inside", "protocol")
    targets = _ports(inside, node, path)
    published = _published(host, targets, node, path)
    protocol = (protocol or "tcp").lower()
    if protocol not in ("tcp", "udp", "sctp"):
        raise invalid(node.mark, path, f'invalid protocol "{protocol}"', "tcp, udp or sctp")
    return [
        _mapping(node, mode="ingress", host_ip=six or ip or None, target=port, published=out, protocol=protocol)
        for port, out in zip(targets, published, strict=True)
    ]


def _ports(text: str, node: Node, path: Path) -> list[int]:
    first, _, last = text.partition("-")
    ports = list(range(int(first), int(last or first) + 1))
    if not ports or ports[-1] > 65535:
        raise invalid(node.mark, path, f'invalid port range "{text}"', "ports are numbers up to 65535")
    return ports


def _published(host: str | None, targets: list[int], node: Node, path: Path) -> list[str | None]:
    if not host:
        return [None] * len(targets)
    ports = _ports(host, node, path)
    if len(ports) == len(targets):
        return [str(port) for port in ports]
    if len(targets) == 1:
        return [host]
    raise invalid(node.mark, path, f"the ranges {host} and {targets[0]}-{targets[-1]} are not equally long")


def port_identity(node: Node) -> str | None:
    """Ports are one when address, target, published port and protocol are."""
    if not isinstance(node.value, dict):
        return go_text(node.value)
    host, target, published, protocol = (key_of(node, key) for key in ("host_ip", "target", "published", "protocol"))
    return f"{host or _EVERYWHERE}:{published}:{target}/{protocol or 'tcp'}"


def key_of(node: Node, key: str) -> str:
    """The scalar below `key` as text, empty where there is none."""
    child = node.value.get(key) if isinstance(node.value, dict) else None
    return go_text(child.value) if child is not None else ""


# --- volumes, devices, secrets and configs


def volume_mount(node: Node, path: Path) -> Node:
    """`[SOURCE:]TARGET[:OPTIONS]`; a source that begins with `/`, `.` or `~` is a path, else a volume's name."""
    text = _only_text(node, path, "a volume")
    parts = text.split(":")
    if len(parts) > 3 or not all(parts):
        what = "too many colons" if len(parts) > 3 else "an empty part between colons"
        raise invalid(node.mark, path, f'invalid volume "{text}": {what}', "write [SOURCE:]TARGET[:OPTIONS]")
    source, target = (None, parts[0]) if len(parts) == 1 else (parts[0], parts[1])
    options = parts[2].split(",") if len(parts) == 3 else []
    read_only = True if "ro" in options else None
    if source is None or source[0] not in "/.~":
        volume = {"nocopy": node.at(True)} if "nocopy" in options else {}
        return _mapping(node, type="volume", source=source, target=target, read_only=read_only, volume=volume)
    bind = {"create_host_path": node.at(True)}
    for option in options:
        if option in _PROPAGATIONS:
            bind["propagation"] = node.at(option)
        elif option in ("z", "Z"):
            bind["selinux"] = node.at(option)
    return _mapping(node, type="bind", source=source, target=target, read_only=read_only, bind=bind)


def device_mapping(node: Node, path: Path) -> Node:
    """`SOURCE[:TARGET[:PERMISSIONS]]`."""
    text = _only_text(node, path, "a device")
    parts = text.split(":")
    if len(parts) > 3 or not parts[0]:
        raise invalid(node.mark, path, f'invalid device "{text}"', "write SOURCE[:TARGET[:rwm]]")
    source, target, access = [*parts, *[""] * (3 - len(parts))]
    return _mapping(node, source=source, target=target or source, permissions=access or "rwm")


def file_source(node: Node, path: Path) -> Node:
    """The name of a secret or config."""
    return _mapping(node, source=_only_text(node, path, "a name or a mapping"))


def target_of(default: str) -> Callable[[Node], str | None]:
    """What tells mounts apart: where they appear; `default` is the directory of those that do not say."""

    def identity(node: Node) -> str | None:
        if not isinstance(node.value, dict):
            return go_text(node.value)
        target = key_of(node, "target") or key_of(node, "source")
        return target if target.startswith("/") or not default else f"{default}/{target}"

    return identity


def env_file_path(node: Node, path: Path) -> Node:
    """The path of an environment file, which then must be there."""
    return _mapping(node, path=_only_text(node, path, "a path"), required=True)


# --- services among each other


def dependency_names(node: Node, path: Path) -> Node:
    """A list of services that must have been started."""
    names = _names(node, path)
    return node.at({name: _mapping(child, condition="service_started", required=True) for name, child in names})


def network_names(node: Node, path: Path) -> Node:
    """A list of networks without further wishes."""
    return node.at({name: child.at(None) for name, child in _names(node, path)})


def _names(node: Node, path: Path) -> list[tuple[str, Node]]:
    if not isinstance(node.value, list):
        raise invalid(node.mark, path, f"expected a list of names or a mapping, found {node.kind}")
    return [(_only_text(child, (*path, str(n)), "a name"), child) for n, child in enumerate(node.value)]


# --- commands


def command_words(node: Node, path: Path) -> Node:
    """A command line as the words that a shell would make of it, without running one."""
    import shlex

    text = _only_text(node, path, "text or a list of text")
    try:
        return node.at([node.at(word) for word in shlex.split(text)])
    except ValueError as error:
        raise invalid(node.mark, path, f"invalid command line: {error}", "close the quotes, or use a list") from None


def health_test(node: Node, path: Path) -> Node:
    """A command line that a shell runs."""
    text = _only_text(node, path, "text or a list of text")
    return node.at([node.at("CMD-SHELL"), node.at(text)])


# --- the rest


def build_context(node: Node, path: Path) -> Node:
    """The build context alone."""
    return _mapping(node, context=_only_text(node, path, "a path, an address or a mapping"))


def ulimit_value(node: Node, path: Path) -> Node:
    """One number is the soft and the hard limit."""
    text = go_text(node.value)
    if isinstance(node.value, (bool, list)) or not text.removeprefix("-").isdecimal():
        raise invalid(node.mark, path, f"expected a whole number or soft and hard, found {node.kind}")
    return node.at(int(text))


def gpu_request(node: Node, path: Path) -> Node:
    """`gpus: all`."""
    if node.value != "all":
        raise invalid(node.mark, path, 'expected "all" or a list of requests')
    return node.at([_mapping(node, count=-1)])


def ssh_agents(node: Node, path: Path) -> Node:
    """`default`, or `NAME=PATH`, as a list of either."""
    if isinstance(node.value, dict):
        entries = [f"{key}={go_text(child.value)}" if child.value else key for key, child in node.value.items()]
        return node.at([node.at(entry) for entry in entries])
    return node.at([node.at(_only_text(node, path, "text, a list or a mapping"))])


def host_addresses(node: Node, path: Path) -> Node:
    """A mapping of host names to an address or several, as a list of `NAME=ADDRESS` in the order of names."""
    if not isinstance(node.value, dict):
        raise invalid(node.mark, path, f"expected a list of NAME=ADDRESS or a mapping, found {node.kind}")
    entries = []
    for name, child in sorted(node.value.items()):
        addresses = child.value if isinstance(child.value, list) else [child]
        entries += [child.at(f"{name}={_only_text(one, (*path, name), 'an address')}") for one in addresses]
    return node.at(entries)
