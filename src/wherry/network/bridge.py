"""The bridge of an installation: made when it is first needed, looked at cheaply ever after."""

from __future__ import annotations

import os

from wherry.base.errors import ProgramFailed, Unavailable
from wherry.base.files import atomic_write, ensure_directory, remove_if_exists
from wherry.base.locks import FileLock
from wherry.base.programs import find, require, run
from wherry.base.values import NamedTuple
from wherry.network.ruleset import base_ruleset, table_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from wherry.base.paths import Layout

__all__ = [
    "Bridge",
    "apply_rules",
    "default_bridge",
    "destroy_bridge",
    "ensure_bridge",
    "free_subnet",
    "interface",
    "mac_of",
]

_DOCKER = "/sys/class/net/docker0"


class Bridge(NamedTuple):
    """A bridge; `subnet` as `10.88.0.0/16`, `gateway` its own address there."""

    name: str
    subnet: str
    gateway: str


def default_bridge(tag: str) -> Bridge:
    """The bridge of the installation with this `tag`, with a subnet that nothing on the machine uses."""
    seed = int(tag, 16) if tag else 0
    subnet = free_subnet(_routes(), seed)
    base = subnet.rpartition(".0/")[0]
    return Bridge(f"wh{tag}0" if tag else "wherry0", subnet, f"{base}.1")


_RANGES = ((10 << 24 | 64 << 16, 1 << 22), (172 << 24 | 16 << 16, 1 << 20), (192 << 24 | 168 << 16, 1 << 16))
_SIZE = 1 << 12


def free_subnet(used: Iterable[tuple[int, int]], seed: int) -> str:
    """A private /20 that overlaps none of `used` (network and mask as numbers); `seed` says where to begin.

    Routes to halves of the Internet, as some VPNs set them, are not in the way.
    """
    taken = [(network, mask) for network, mask in used if mask >= 0xFF000000]
    mask = 0xFFFFFFFF ^ (_SIZE - 1)
    for base, length in _RANGES:
        count = length // _SIZE
        for step in range(count):
            network = base + (seed + step) % count * _SIZE
            if all((network ^ other) & mask & other_mask for other, other_mask in taken):
                return ".".join(str(byte) for byte in network.to_bytes(4, "big")) + "/20"
    raise Unavailable("no private subnet is free", hint="remove routes or networks that are not needed")


def _routes() -> list[tuple[int, int]]:
    with open("/proc/net/route", encoding="ascii") as table:
        rows = [line.split() for line in table][1:]
    return [(_reversed(row[1]), _reversed(row[7])) for row in rows]


def _reversed(word: str) -> int:
    return int.from_bytes(bytes.fromhex(word), "little")


def interface(tag: str, container_id: str) -> str:
    """The host's end of a container's cable: at most 15 characters, its installation's tag first."""
    return f"wh{tag}{container_id[: 12 - len(tag)]}"


def ensure_bridge(layout: Layout, bridge: Bridge) -> None:
    """Make the bridge, its address and its rules where they are missing; a few file look-ups where they are there."""
    marker = f"{layout.run}/network/{bridge.name}"
    beside_docker = os.path.exists(_DOCKER)
    state = "docker" if beside_docker else "alone"
    if os.path.exists(f"/sys/class/net/{bridge.name}") and _read(marker) == state:
        return
    with FileLock(f"{layout.locks}/bridge-{bridge.name}"):
        _make(bridge)
        apply_rules(base_ruleset(layout.tag, bridge.name, bridge.subnet))
        _pass_firewall(bridge.name)
        ensure_directory(os.path.dirname(marker))
        atomic_write(marker, state.encode(), durable=False)


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _make(bridge: Bridge) -> None:
    name = bridge.name
    commands = (
        []
        if os.path.exists(f"/sys/class/net/{name}")
        else [
            # An address of its own: a bridge without one takes the lowest of its cables', and changes when they go.
            f"link add {name} address {mac_of(bridge.gateway)} mtu {_mtu()} type bridge"
        ]
    )
    prefix = bridge.subnet.partition("/")[2]
    commands += [f"addr replace {bridge.gateway}/{prefix} dev {name}", f"link set {name} up"]
    run((require("ip"), "-batch", "-"), stdin="\n".join(commands).encode())
    _set_sysctl("net/ipv4/ip_forward", "1")
    _set_sysctl(f"net/ipv4/conf/{name}/route_localnet", "1")


def mac_of(address: str) -> str:
    """The hardware address that belongs to an IPv4 address, as Docker derives it."""
    return "02:42:" + ":".join(f"{int(part):02x}" for part in address.split("."))


def _mtu() -> int:
    """What the way out carries, in bytes, so that no container sends what has to be cut."""
    with open("/proc/net/route", encoding="ascii") as table:
        default = next((line.split()[0] for line in table if line.split()[1:2] == ["00000000"]), "")
    return int(_read(f"/sys/class/net/{default}/mtu") or 1500) if default else 1500


def _set_sysctl(name: str, value: str) -> None:
    path = f"/proc/sys/{name}"
    if _read(path).strip() != value:
        with open(path, "w", encoding="ascii") as file:
            file.write(value)


def apply_rules(ruleset: str) -> None:
    """Send the rules to the kernel: all of them take effect, or none."""
    run((require("nft"), "-f", "-"), stdin=ruleset.encode())


def _pass_firewall(name: str) -> None:
    """Where something else drops what is forwarded (Docker does), let this bridge's packets through.

    Docker keeps the chain DOCKER-USER for such rules; elsewhere they go first into FORWARD, where that chain has rules
    or drops by policy. Our own table still refuses what was not published.
    """
    iptables = find("iptables")
    if iptables is None:
        return
    chain = "DOCKER-USER" if _succeeds(iptables, "-S", "DOCKER-USER") else "FORWARD"
    if (
        chain == "FORWARD"
        and run((iptables, "-w", "-S", "FORWARD"), check=False).stdout.strip() == b"-P FORWARD ACCEPT"
    ):
        return
    for direction in ("-i", "-o"):
        if not _succeeds(iptables, "-C", chain, direction, name, "-j", "ACCEPT"):
            run((iptables, "-w", "-I", chain, direction, name, "-j", "ACCEPT"))


def _succeeds(iptables: str, *arguments: str) -> bool:
    return run((iptables, "-w", *arguments), check=False).status == 0


def destroy_bridge(layout: Layout, name: str) -> None:
    """Remove the bridge, its rules and the ways through other firewalls; harmless where they are gone."""
    run((require("ip"), "link", "delete", name), check=False)
    run((require("nft"), "delete", "table", "ip", table_name(layout.tag)), check=False)
    iptables = find("iptables")
    for chain in ("DOCKER-USER", "FORWARD") if iptables else ():
        for direction in ("-i", "-o"):
            try:
                run((str(iptables), "-w", "-D", chain, direction, name, "-j", "ACCEPT"))
            except ProgramFailed:
                continue
    remove_if_exists(f"{layout.run}/network/{name}")
