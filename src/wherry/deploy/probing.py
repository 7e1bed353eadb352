"""Asking a server whether it is well, as a health check says: one request, judged as the balancer judges it."""

from __future__ import annotations

from wherry.base.errors import InvalidInput
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket

    from wherry.deploy.routing import Check

__all__ = ["Probe", "probe"]

_MOST_HEAD = 1 << 16  # bytes
_BLOCK = 1 << 14


class Probe(NamedTuple):
    """What a server said. `reason` is why, in the words the balancer has for it; `seconds` until its answer's head."""

    healthy: bool
    reason: str
    seconds: float


def probe(address: str, port: int, check: Check, host: str = "") -> Probe:
    """Ask once, at an IPv4 or IPv6 address; a redirect is an answer and is not followed.

    All of it, to the end of the answer's head, may take `check.timeout` seconds. Never raises.
    """
    import time

    began = time.monotonic()
    try:
        status = _ask(address, port, check.path, host, began + check.timeout)
        healthy, reason = _judge(status, check)
    except TimeoutError:
        healthy, reason = False, f"{check.path} did not answer within {check.timeout:g} s"
    except OSError as error:
        healthy, reason = False, error.strerror or str(error)
    except OverflowError:
        healthy, reason = False, f"{port} is no port"
    except ValueError as error:
        healthy, reason = False, f"{check.path} {error}"
    return Probe(healthy, reason, time.monotonic() - began)


def _judge(status: int, check: Check) -> tuple[bool, str]:
    from wherry.deploy.codes import status_prefixes

    try:
        prefixes = status_prefixes(check.codes)
    except InvalidInput as error:
        return False, str(error)
    if str(status).startswith(prefixes):
        return True, f"{check.path} answered {status}"
    return False, f"{check.path} answered {status}, which is not among {check.codes}"


def _ask(address: str, port: int, path: str, host: str, deadline: float) -> int:
    """The status of the answer. Raises OSError, TimeoutError among them, and ValueError for what is no answer."""
    import socket

    request = _request(address, port, path, host)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
        connection.settimeout(_left(deadline))
        connection.connect((address, port))
        connection.settimeout(_left(deadline))
        connection.sendall(request)
        return _status(connection, deadline)


def _request(address: str, port: int, path: str, host: str) -> bytes:
    from urllib.parse import quote

    if not host:
        host = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    name = host.encode("idna") if not host.isascii() else host.encode()
    if not name or not all(33 <= byte < 127 for byte in name):
        raise ValueError(f"cannot be asked for by the host name {host!r}")
    target = quote(path, safe="!#$%&'()*+,/:;=?@[]~").encode()
    return b"GET %b HTTP/1.1\r\nHost: %b\r\nUser-Agent: wherry\r\nAccept: */*\r\nConnection: close\r\n\r\n" % (
        target,
        name,
    )


def _status(connection: socket, deadline: float) -> int:
    """The first answer that is not on the way to another one (RFC 9110 section 15.2)."""
    held = b""
    while True:
        head, held = _head(connection, held, deadline)
        version, _, rest = head.partition(b" ")
        code = rest[:3]
        if not version.startswith(b"HTTP/") or not code.isdigit() or len(code) < 3:
            raise ValueError("answered with what is not HTTP")
        if not 100 <= int(code) < 200 or int(code) == 101:
            return int(code)


def _head(connection: socket, held: bytes, deadline: float) -> tuple[bytes, bytes]:
    """One head, and what came after it."""
    while (end := _end(held)) < 0:
        if len(held) > _MOST_HEAD:
            raise ValueError("answered with a head of more than 64 KiB")
        connection.settimeout(_left(deadline))
        block = connection.recv(_BLOCK)
        if not block:
            raise ValueError("closed the connection within its answer" if held else "closed the connection unanswered")
        held += block
    return held[:end], held[end:]


def _end(held: bytes) -> int:
    """Where a head ends, -1 where it has not yet."""
    ends = [found + len(mark) for mark in (b"\r\n\r\n", b"\n\n") if (found := held.find(mark)) >= 0]
    return min(ends, default=-1)


def _left(deadline: float) -> float:
    import time

    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
