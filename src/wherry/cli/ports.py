"""Ports in words: `-p` and `--expose` read, and the PORTS column written, as Docker does both."""

from __future__ import annotations

from wherry.base.errors import InvalidInput
from wherry.engine.request import PortRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["parse_expose", "parse_ports", "show_ports"]

_HINT = "write [address:][hostPort:]containerPort[/protocol]"
_ANY = "0.0.0.0"  # noqa: S104 (the address that is printed)


def parse_ports(text: str) -> list[PortRequest]:
    """`[[address:][hostPort]:]containerPort[/protocol]`, with ranges on both sides; IPv6 with or without brackets.

    A range of host ports for one container port asks for the first of them that is free.
    """
    import ipaddress

    body, _, protocol = text.partition("/")
    protocol = (protocol or "tcp").lower()
    rest, _, container = body.rpartition(":")
    address, _, host = rest.rpartition(":")
    address = address.removeprefix("[").removesuffix("]")
    if address:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise InvalidInput(f"Invalid ip address: {address}", hint=_HINT) from None
    if not container:
        raise InvalidInput(f"No port specified: {text}<empty>", hint=_HINT)
    inside = _range(container, "containerPort")
    outside = _range(host, "hostPort") if host and host != "0" else None
    if protocol not in ("tcp", "udp", "sctp"):
        raise InvalidInput(f"Invalid proto: {protocol}")
    if outside is None:
        return [PortRequest(port, protocol, address) for port in inside]
    if len(inside) == 1 and len(outside) > 1:
        return [PortRequest(inside[0], protocol, address, outside[0], outside[-1])]
    if len(outside) != len(inside):
        raise InvalidInput(f"Invalid ranges specified for container and host Ports: {container} and {host}")
    return [PortRequest(port, protocol, address, number) for port, number in zip(inside, outside, strict=True)]


def _range(text: str, what: str) -> range:
    first, dash, last = text.partition("-")
    numbers = (first, last) if dash else (first, first)
    if not all(number.isascii() and number.isdigit() and 0 < int(number) < 65536 for number in numbers):
        raise InvalidInput(f"Invalid {what}: {text}", hint=_HINT)
    if int(numbers[1]) < int(numbers[0]):
        raise InvalidInput(f"Invalid {what}: {text}", hint="a range begins with its smaller number")
    return range(int(numbers[0]), int(numbers[1]) + 1)


def parse_expose(given: Iterable[str]) -> tuple[str, ...]:
    """`80`, `80/udp` and `7000-7002` as single ports with their protocol."""
    ports: list[str] = []
    for text in given:
        body, _, protocol = text.partition("/")
        try:
            ports += [f"{number}/{(protocol or 'tcp').lower()}" for number in _range(body, "port")]
        except InvalidInput:
            raise InvalidInput(f'invalid range format for --expose: {text}, error: parsing "{body}": invalid syntax')
    return tuple(ports)


def show_ports(published: Sequence[tuple[int, str, str, int]], exposed: Iterable[str]) -> str:
    """The PORTS column: neighbours joined to ranges, what is only exposed first. Ports are (inside, protocol, address,
    outside).
    """
    known = {(port, protocol) for port, protocol, _, _ in published}
    lines = [(port, address or _ANY, outside, protocol) for port, protocol, address, outside in published]
    for text in exposed:
        number, _, protocol = text.partition("/")
        if (int(number), protocol or "tcp") not in known:
            lines.append((int(number), "", 0, protocol or "tcp"))
    return ", ".join(_grouped(sorted(lines)))


def _grouped(lines: list[tuple[int, str, int, str]]) -> list[str]:
    groups: dict[tuple[str, str], tuple[int, int]] = {}
    done, mappings = [], []
    for port, address, outside, protocol in lines:
        if address and outside != port:
            mappings.append(f"{address}:{outside}->{port}/{protocol}")
            continue
        key = (address, protocol)
        if key in groups and groups[key][1] + 1 == port:
            groups[key] = (groups[key][0], port)
            continue
        if key in groups:
            done.append(_group(key, groups[key]))
        groups[key] = (port, port)
    return [*done, *(_group(key, ends) for key, ends in groups.items()), *mappings]


def _group(key: tuple[str, str], ends: tuple[int, int]) -> str:
    address, protocol = key
    ports = str(ends[0]) if ends[0] == ends[1] else f"{ends[0]}-{ends[1]}"
    return f"{address}:{ports}->{ports}/{protocol}" if address else f"{ports}/{protocol}"
