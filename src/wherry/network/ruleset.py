"""The nft rules of one installation, as text. Pure.

One table holds everything. `whole_ruleset` makes it what it has to be, whatever it was before, in one transaction.
Containers reach out by masquerading; from outside only published ports lead in, and networks do not meet.
"""

from __future__ import annotations

from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wherry.network.bridge import Bridge

__all__ = ["PortMapping", "Publication", "publish_ruleset", "table_name", "unpublish_ruleset", "whole_ruleset"]

_DATA = "ipv4_addr . inet_service"
_PROTOCOLS = ("tcp", "udp")
_KINDS = (("any", "inet_service"), ("addr", "ipv4_addr . inet_service"))


class PortMapping(NamedTuple):
    """One published port; `host_ip` empty means every IPv4 address of the host, `host_port` 0 a free one.

    Where `host_port_end` is set, the first free one from `host_port` to it is wanted.
    """

    container_port: int
    protocol: str
    host_ip: str
    host_port: int
    host_port_end: int = 0


class Publication(NamedTuple):
    """The ports that lead to the container at `address`."""

    address: str
    ports: tuple[PortMapping, ...]


def table_name(tag: str) -> str:
    """The table of the installation with this `tag`."""
    return f"wherry-{tag}" if tag else "wherry"


def whole_ruleset(tag: str, bridges: Sequence[Bridge], publications: Iterable[Publication]) -> str:
    """The table with exactly these networks and ports; what else was in it is gone."""
    table = f"ip {table_name(tag)}"
    maps = [f"{protocol}_{kind} {{ type {key} : {_DATA}; }}" for protocol in _PROTOCOLS for kind, key in _KINDS]
    lines = [f"add table {table}", *(f"add map {table} {definition}" for definition in maps)]
    lines += [f"flush map {table} {definition.partition(' ')[0]}" for definition in maps]
    for (name, hook), rules in _chains(bridges).items():
        lines += [f"add chain {table} {name} {{ type {hook}; policy accept; }}", f"flush chain {table} {name}"]
        lines += [f"add rule {table} {name} {rule}" for rule in rules]
    elements = "".join(publish_ruleset(tag, each.address, each.ports) for each in publications)
    return "\n".join(lines) + "\n" + elements


def _chains(bridges: Sequence[Bridge]) -> dict[tuple[str, str], list[str]]:
    lookups = [
        f"fib daddr type local dnat ip to {key} map @{protocol}_{kind}"
        for protocol in _PROTOCOLS
        for kind, key in (("addr", f"ip daddr . {protocol} dport"), ("any", f"{protocol} dport"))
    ]
    return {
        # Addresses of the loopback network never come over a wire: what is published there is the machine's own.
        ("guard", "filter hook prerouting priority -300"): ['iifname != "lo" ip daddr 127.0.0.0/8 drop'],
        ("prerouting", "nat hook prerouting priority -100"): lookups,
        ("output", "nat hook output priority -100"): lookups,
        ("postrouting", "nat hook postrouting priority 100"): [rule for each in bridges for rule in _masquerade(each)],
        ("forward", "filter hook forward priority 0"): _forward(bridges),
    }


def _masquerade(bridge: Bridge) -> list[str]:
    out = [f'ip saddr {bridge.subnet} oifname != "{bridge.name}" masquerade']
    return [
        *(out if bridge.masquerade and not bridge.internal else ()),
        f'ip saddr 127.0.0.0/8 oifname "{bridge.name}" masquerade',
        f'ip saddr {bridge.subnet} oifname "{bridge.name}" ct status dnat masquerade',
    ]


def _forward(bridges: Sequence[Bridge]) -> list[str]:
    if not bridges:
        return []
    ours = "{ " + ", ".join(f'"{bridge.name}"' for bridge in bridges) + " }"
    closed = [bridge.name for bridge in bridges if bridge.internal]
    return [
        *(f'iifname "{bridge.name}" oifname "{bridge.name}" accept' for bridge in bridges),
        *(rule for name in closed for rule in (f'iifname "{name}" drop', f'oifname "{name}" drop')),
        f'iifname {ours} oifname {{ "docker0", "br-*" }} ct state new ct status and dnat == 0 drop',
        f"oifname {ours} ct state established,related accept",
        f"oifname {ours} ct status dnat accept",
        f"oifname {ours} drop",
    ]


def publish_ruleset(tag: str, address: str, ports: Iterable[PortMapping]) -> str:
    """Let each IPv4 port lead to `address`."""
    return "".join(_element("add", tag, address, port) for port in ports if ":" not in port.host_ip)


def unpublish_ruleset(tag: str, address: str, ports: Iterable[PortMapping]) -> str:
    """Take the ports back, present or not: an element is added and deleted in one transaction."""
    return "".join(
        _element("add", tag, address, port) + _element("delete", tag, address, port)
        for port in ports
        if ":" not in port.host_ip
    )


def _element(verb: str, tag: str, address: str, port: PortMapping) -> str:
    everywhere = port.host_ip in ("", "0.0.0.0")  # noqa: S104 (the address that a user wrote)
    kind = "any" if everywhere else "addr"
    key = f"{port.host_port}" if everywhere else f"{port.host_ip} . {port.host_port}"
    target = f"{key} : {address} . {port.container_port}"
    return f"{verb} element ip {table_name(tag)} {port.protocol}_{kind} {{ {target} }}\n"
