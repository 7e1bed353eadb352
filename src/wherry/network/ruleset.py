"""The nft rules of one installation, as text. Pure.

One table holds everything; each publication sends the whole idempotent base with it, in one transaction, so that a
table that somebody flushed is whole again. Containers reach out by masquerading; from outside only published ports
lead in.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from wherry.network.ports import PortMapping

__all__ = ["base_ruleset", "publish_ruleset", "table_name", "unpublish_ruleset"]

_DATA = "ipv4_addr . inet_service"
_PROTOCOLS = ("tcp", "udp")


def table_name(tag: str) -> str:
    """The table of the installation with this `tag`."""
    return f"wherry-{tag}" if tag else "wherry"


def base_ruleset(tag: str, bridge: str, subnet: str) -> str:
    """The table, its maps and chains; sending it again changes nothing and mends what is missing."""
    table = f"ip {table_name(tag)}"
    maps = "".join(
        f"add map {table} {protocol}_any {{ type inet_service : {_DATA}; }}\n"
        f"add map {table} {protocol}_addr {{ type ipv4_addr . inet_service : {_DATA}; }}\n"
        for protocol in _PROTOCOLS
    )
    lookups = [
        f"fib daddr type local dnat ip to {key} map @{protocol}_{kind}"
        for protocol in _PROTOCOLS
        for kind, key in (("addr", f"ip daddr . {protocol} dport"), ("any", f"{protocol} dport"))
    ]
    chains = {
        # Addresses of the loopback network never come over a wire: what is published there is the machine's own.
        ("guard", "filter hook prerouting priority -300"): ['iifname != "lo" ip daddr 127.0.0.0/8 drop'],
        ("prerouting", "nat hook prerouting priority -100"): lookups,
        ("output", "nat hook output priority -100"): lookups,
        ("postrouting", "nat hook postrouting priority 100"): [
            f'ip saddr {subnet} oifname != "{bridge}" masquerade',
            f'ip saddr 127.0.0.0/8 oifname "{bridge}" masquerade',
            f'ip saddr {subnet} oifname "{bridge}" ct status dnat masquerade',
        ],
        ("forward", "filter hook forward priority 0"): [
            f'iifname "{bridge}" oifname {{ "docker0", "br-*" }} ct state new ct status and dnat == 0 drop',
            f'oifname "{bridge}" iifname != "{bridge}" ct state established,related accept',
            f'oifname "{bridge}" iifname != "{bridge}" ct status dnat accept',
            f'oifname "{bridge}" iifname != "{bridge}" drop',
        ],
    }
    lines = [f"add table {table}\n", maps]
    for (name, hook), rules in chains.items():
        lines.append(f"add chain {table} {name} {{ type {hook}; policy accept; }}\nflush chain {table} {name}\n")
        lines += [f"add rule {table} {name} {rule}\n" for rule in rules]
    return "".join(lines)


def publish_ruleset(tag: str, address: str, ports: Iterable[PortMapping]) -> str:
    """Let each port lead to `address`. To be sent after the base."""
    return "".join(_element("add", tag, address, port) for port in ports)


def unpublish_ruleset(tag: str, address: str, ports: Iterable[PortMapping]) -> str:
    """Take the ports back, present or not: an element is added and deleted in one transaction."""
    return "".join(_element("add", tag, address, port) + _element("delete", tag, address, port) for port in ports)


def _element(verb: str, tag: str, address: str, port: PortMapping) -> str:
    everywhere = port.host_ip in ("", "0.0.0.0")  # noqa: S104 (the address that a user wrote)
    kind = "any" if everywhere else "addr"
    key = f"{port.host_port}" if everywhere else f"{port.host_ip} . {port.host_port}"
    target = f"{key} : {address} . {port.container_port}"
    return f"{verb} element ip {table_name(tag)} {port.protocol}_{kind} {{ {target} }}\n"
