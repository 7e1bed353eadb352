"""Questions to the kernel's packet filter that need no program: a netlink message each (libnftnl, ctnetlink)."""

from __future__ import annotations

import struct

from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

__all__ = ["Flow", "forget_flows", "generation"]

_NETFILTER = 12
_CONNTRACK, _NFTABLES = 1 << 8, 10 << 8
_GET_GENERATION, _GET_FLOWS, _DELETE_FLOW = _NFTABLES | 16, _CONNTRACK | 1, _CONNTRACK | 2
_REQUEST, _ACKNOWLEDGE, _DUMP = 1, 4, 0x300
_ERROR, _DONE = 2, 3
_INET = 2
_UDP = 17


class Flow(NamedTuple):
    """A UDP exchange that the kernel remembers: where its packets were sent, and who answers by now."""

    destination: str
    port: int
    server: str


def _open() -> socket.socket:
    import socket

    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER)
    opened.settimeout(2.0)
    return opened


def _message(kind: int, flags: int, family: int, attributes: bytes = b"") -> bytes:
    body = struct.pack("=BBH", family, 0, 0) + attributes
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body


def generation() -> int:
    """The number of the rules in force, by nft or iptables-nft; each change raises it. 0 where the kernel is silent."""
    try:
        with _open() as asked:
            asked.send(_message(_GET_GENERATION, _REQUEST, 0))
            answer = asked.recv(8192)
    except OSError:
        return 0
    if len(answer) < 28 or struct.unpack_from("=H", answer, 4)[0] == _ERROR:
        return 0
    return int(struct.unpack_from(">I", answer, 24)[0])


def forget_flows(matches: Callable[[Flow], bool]) -> int:
    """Make the kernel forget the UDP flows that match, so that their next packet meets the rules; how many they were.

    Without that a client that sends on goes where it went before a port was published or taken back.
    """
    try:
        with _open() as asked:
            found = [whole for flow, whole in _flows(asked) if matches(flow)]
            for whole in found:
                asked.send(_message(_DELETE_FLOW, _REQUEST | _ACKNOWLEDGE, _INET, whole))
                asked.recv(8192)
    except OSError:
        return 0
    return len(found)


def _flows(asked: socket.socket) -> Iterator[tuple[Flow, bytes]]:
    """Each UDP flow with the attribute that names it."""
    asked.send(_message(_GET_FLOWS, _REQUEST | _DUMP, _INET))
    while True:
        answer = asked.recv(1 << 17)
        offset = 0
        while offset < len(answer):
            length, kind = struct.unpack_from("=IH", answer, offset)
            if kind in (_DONE, _ERROR):
                return
            flow = _flow(answer[offset + 20 : offset + length])
            if flow is not None:
                yield flow
            offset += (length + 3) & ~3


def _flow(message: bytes) -> tuple[Flow, bytes] | None:
    attributes = _attributes(message)
    original, reply = attributes.get(1, b""), attributes.get(2, b"")
    there, back = _attributes(original), _attributes(reply)
    protocol = _attributes(there.get(2, b""))
    if protocol.get(1) != bytes([_UDP]):
        return None
    destination = _attributes(there.get(1, b"")).get(2, bytes(4))
    server = _attributes(back.get(1, b"")).get(1, bytes(4))
    port = int.from_bytes(protocol.get(3, b""), "big")
    return Flow(_dotted(destination), port, _dotted(server)), struct.pack(
        "=HH", len(original) + 4, 1 | 1 << 15
    ) + original


def _attributes(data: bytes) -> dict[int, bytes]:
    found, offset = {}, 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def _dotted(address: bytes) -> str:
    return ".".join(map(str, address))
