"""Bridges: made when a network is first needed, looked at cheaply ever after."""

from __future__ import annotations

import os

from wherry.base.errors import Unavailable
from wherry.base.files import read_text
from wherry.base.programs import require, run
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Bridge",
    "default_bridge",
    "destroy",
    "free_subnet",
    "interface",
    "is_ready",
    "mac_of",
    "make",
    "used_networks",
]


class Bridge(NamedTuple):
    """A bridge; `subnet` as `10.88.0.0/16`, `gateway` its own address there."""

    name: str
    subnet: str
    gateway: str
    internal: bool = False  # nothing leads out of it, and nothing in
    masquerade: bool = True
    names: bool = False  # whether its gateway answers for names
    mtu: int = 0  # bytes; 0 is what the way out carries


def default_bridge(tag: str) -> Bridge:
    """The bridge of the installation with this `tag`, with a subnet that nothing on the machine uses."""
    seed = int(tag, 16) if tag else 0
    subnet = free_subnet(used_networks(), seed)
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


def used_networks() -> list[tuple[int, int]]:
    """Network and mask of every IPv4 route of the machine."""
    with open("/proc/net/route", encoding="ascii") as table:
        rows = [line.split() for line in table][1:]
    return [(_reversed(row[1]), _reversed(row[7])) for row in rows]


def _reversed(word: str) -> int:
    return int.from_bytes(bytes.fromhex(word), "little")


def interface(tag: str, container_id: str, number: int = 0) -> str:
    """The host's end of a container's cable: at most 15 characters, its installation's tag first."""
    return f"wh{tag}{container_id[: 12 - len(tag)]}{_DIGITS[number] if number else ''}"


_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def is_ready(bridge: Bridge) -> bool:
    """Whether the bridge is there and up, and the machine forwards for it."""
    flags = read_text(f"/sys/class/net/{bridge.name}/flags")
    return (
        bool(flags)
        and bool(int(flags, 16) & 1)
        and read_text("/proc/sys/net/ipv4/ip_forward").startswith("1")
        and read_text(f"/proc/sys/net/ipv4/conf/{bridge.name}/route_localnet").startswith("1")
    )


def make(bridge: Bridge) -> None:
    """Make the bridge and its address where they are missing; let the machine forward."""
    name = bridge.name
    commands = []
    if not os.path.exists(f"/sys/class/net/{name}"):
        # An address of its own: a bridge without one takes the lowest of its cables', and changes when they go.
        commands.append(f"link add {name} address {mac_of(bridge.gateway)} mtu {bridge.mtu or _mtu()} type bridge")
    prefix = bridge.subnet.partition("/")[2]
    commands += [f"addr replace {bridge.gateway}/{prefix} dev {name}", f"link set {name} up"]
    run((require("ip"), "-batch", "-"), stdin="\n".join(commands).encode())
    _set_sysctl("net/ipv4/ip_forward", "1")
    _set_sysctl(f"net/ipv4/conf/{name}/route_localnet", "1")


def destroy(name: str) -> None:
    """Remove the bridge; harmless where it is gone."""
    run((require("ip"), "link", "delete", name), check=False)


def mac_of(address: str) -> str:
    """The hardware address that belongs to an IPv4 address, as Docker derives it."""
    return "02:42:" + ":".join(f"{int(part):02x}" for part in address.split("."))


def _mtu() -> int:
    """What the way out carries, in bytes, so that no container sends what has to be cut."""
    with open("/proc/net/route", encoding="ascii") as table:
        default = next((line.split()[0] for line in table if line.split()[1:2] == ["00000000"]), "")
    return int(read_text(f"/sys/class/net/{default}/mtu") or 1500) if default else 1500


def _set_sysctl(name: str, value: str) -> None:
    path = f"/proc/sys/{name}"
    if read_text(path).strip() != value:
        with open(path, "w", encoding="ascii") as file:
            file.write(value)
