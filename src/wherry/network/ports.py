"""Published ports: reserved on the host by a socket that nobody else can bind, led to the container by nft."""

from __future__ import annotations

from wherry.base.errors import Conflict, InvalidInput, ProgramFailed, Unsupported
from wherry.base.values import NamedTuple
from wherry.network.bridge import Bridge, apply_rules
from wherry.network.ruleset import base_ruleset, publish_ruleset, unpublish_ruleset

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PortMapping", "publish", "reserve", "unpublish"]

_ANY = "0.0.0.0"  # noqa: S104 (what Docker publishes on unless told otherwise)


class PortMapping(NamedTuple):
    """One published port; `host_ip` empty means every address of the host, `host_port` 0 a free one.

    Where `host_port_end` is set, the first free one from `host_port` to it is wanted.
    """

    container_port: int
    protocol: str
    host_ip: str
    host_port: int
    host_port_end: int = 0


def reserve(ports: Sequence[PortMapping]) -> tuple[list[int], list[PortMapping]]:
    """Bind each host port. The sockets, which hold them as long as they are open, and the ports with numbers filled in.

    Raises Conflict in Docker's words where one is taken; then none is held.
    """
    import os

    held: list[int] = []
    filled: list[PortMapping] = []
    try:
        for port in ports:
            fd, number = _bind(port)
            held.append(fd)
            filled.append(port._replace(host_port=number, host_port_end=0))
    except BaseException:
        for fd in held:
            os.close(fd)
        raise
    return held, filled


def _bind(port: PortMapping) -> tuple[int, int]:
    import errno
    import socket

    if port.protocol not in ("tcp", "udp"):
        raise InvalidInput(f"cannot publish the protocol {port.protocol}", hint="tcp and udp can be published")
    if ":" in port.host_ip:
        raise Unsupported(f"cannot publish on {port.host_ip}: IPv6 is not there yet", hint="publish on an IPv4 address")
    kind = socket.SOCK_STREAM if port.protocol == "tcp" else socket.SOCK_DGRAM
    address = port.host_ip or _ANY
    bound = socket.socket(socket.AF_INET, kind)
    last = port.host_port_end or port.host_port
    for candidate in range(port.host_port, last + 1):
        try:
            bound.bind((address, candidate))
            break
        except OSError as error:
            if error.errno == errno.EADDRINUSE and candidate < last:
                continue
            bound.close()
            if error.errno == errno.EADDRINUSE:
                wanted = f"{port.host_port}-{last}" if last > port.host_port else f"{last}"
                raise Conflict(
                    f"Bind for {address}:{wanted} failed: port is already allocated",
                    hint="another container or program has it: choose another host port",
                ) from None
            raise InvalidInput(f"cannot publish on {address}:{candidate}: {error.strerror}") from None
    number = int(bound.getsockname()[1])
    return bound.detach(), number


def publish(tag: str, bridge: Bridge, address: str, ports: Sequence[PortMapping]) -> None:
    """Lead the ports to the container at `address`; a table that is not whole is mended in the same transaction."""
    _send(tag, bridge, publish_ruleset(tag, address, ports))


def unpublish(tag: str, bridge: Bridge, address: str, ports: Sequence[PortMapping]) -> None:
    """Take them back; harmless where they are gone. Ports that lead elsewhere by now are left alone."""
    try:
        _send(tag, bridge, unpublish_ruleset(tag, address, ports))
    except ProgramFailed as error:
        if "exists" not in error.stderr:
            raise
        if len(ports) > 1:  # one of them leads to another container now: each by itself
            for port in ports:
                unpublish(tag, bridge, address, [port])


def _send(tag: str, bridge: Bridge, elements: str) -> None:
    """The elements alone, which is quick; with the whole table before them where it lacks something."""
    try:
        apply_rules(elements)
    except ProgramFailed as error:
        if "No such file" not in error.stderr:
            raise
        apply_rules(base_ruleset(tag, bridge.name, bridge.subnet) + elements)
