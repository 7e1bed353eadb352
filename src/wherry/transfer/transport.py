"""Requests over kept connections: TLS with a registry's own CA, proxies, and errors in words.

Plain HTTP is spoken only where the caller allows it. All of it may be used by several threads at once.
"""

from __future__ import annotations

import os
from threading import Lock

from wherry.base.errors import Unavailable
from wherry.base.values import NamedTuple
from wherry.transfer.proxies import find_proxy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from email.message import Message
    from http.client import HTTPConnection, HTTPResponse
    from socket import socket
    from ssl import SSLContext

    Body = bytes | Iterable[bytes] | None

__all__ = ["Answer", "Cut", "Origin", "Transport"]

_CONNECT = 30.0  # seconds
_SILENCE = 120.0  # seconds without a byte before a connection counts as cut
_LARGEST_READ = 1 << 20


class Cut(Exception):  # noqa: N818 (it is mended by whoever knows how, or becomes Unavailable)
    """The connection ended while a request was sent or an answer was read."""


class Origin(NamedTuple):
    """Whom a connection leads to; credentials belong to one origin. `host` is with its port where it is given."""

    scheme: str
    host: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}"


class Answer:
    """The answer to one request. Read it to its end or close it; a connection is used again only in the first case."""

    def __init__(
        self, transport: Transport, origin: Origin, connection: HTTPConnection, response: HTTPResponse
    ) -> None:
        self._transport = transport
        self._connection: HTTPConnection | None = connection  # until it is given back: then it may be another answer's
        self._response = response
        self.origin = origin
        self.status = response.status
        self.headers: Message = response.headers

    def read(self, count: int) -> bytes:
        """At most `count` bytes; empty at the end. Raises Cut where fewer come than were announced."""
        from http.client import HTTPException

        try:
            data = self._response.read(min(count, _LARGEST_READ))
        except (OSError, HTTPException, ValueError) as error:
            self.close()
            raise Cut(str(error)) from None
        if not data and count:
            if self._response.length:
                self.close()
                raise Cut("fewer bytes than were announced")
            self._give_back(reusable=not self._response.will_close)
        return data

    def all(self, limit: int) -> bytes:
        """The whole body, or its first `limit` + 1 bytes where it is longer. Raises Cut."""
        data = b""
        while len(data) <= limit and (piece := self.read(limit + 1 - len(data))):
            data += piece
        if self._response.isclosed():
            self._give_back(reusable=not self._response.will_close)
        else:
            self.close()
        return data

    def header(self, name: str) -> str:
        """A header's value, empty where it is absent."""
        return self.headers.get(name) or ""

    def close(self) -> None:
        """Give up the rest."""
        self._give_back(reusable=False)

    def _give_back(self, *, reusable: bool) -> None:
        self._response.close()
        connection, self._connection = self._connection, None
        if connection is not None:
            self._transport.give_back(self.origin, connection, reusable=reusable)

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Transport:
    """Connections to a registry and to where it leads.

    `unverified` are hosts whose certificate is not checked; `certificates` is the directory that holds
    `HOST/*.crt` (CAs) and `HOST/NAME.cert` with `NAME.key` (what this side shows), as Docker's `certs.d`.
    """

    def __init__(self, certificates: str, environ: Mapping[str, str], unverified: Iterable[str] = ()) -> None:
        self._certificates = certificates
        self._environ = environ
        self._unverified = frozenset(unverified)
        self._idle: dict[Origin, list[HTTPConnection]] = {}
        self._busy: dict[HTTPConnection, socket] = {}  # its socket, which it forgets when the answer is its last
        self._contexts: dict[str, SSLContext] = {}
        self._lock = Lock()
        self._aborted = False

    def send(self, method: str, origin: Origin, path: str, headers: Mapping[str, str], body: Body = None) -> Answer:
        """One request and the head of its answer. A kept connection that the other side closed is opened again.

        Raises Unavailable where there is no way to the host, Cut where the connection broke.
        """
        from http.client import HTTPException

        for fresh in (False, True):
            connection, kept = self._take(origin, fresh=fresh)
            try:
                self._request(connection, method, origin, path, dict(headers), body)
                return Answer(self, origin, connection, connection.getresponse())
            except (OSError, HTTPException, ValueError) as error:
                self.give_back(origin, connection, reusable=False)
                if not kept or not isinstance(body, bytes | None):
                    raise Cut(f"{origin.host}: {_reason(error)}") from None
            except BaseException:
                self.give_back(origin, connection, reusable=False)
                raise
        raise Cut(origin.host)

    def _request(
        self, connection: HTTPConnection, method: str, origin: Origin, path: str, headers: dict[str, str], body: Body
    ) -> None:
        proxy = find_proxy(origin.scheme, origin.host, self._environ)
        if proxy is not None and origin.scheme == "http":
            path = f"{origin}{path}"
            if proxy.authorization:
                headers["Proxy-Authorization"] = proxy.authorization
        headers.setdefault("User-Agent", "wherry")
        if isinstance(body, bytes | None):
            connection.request(method, path, body=body, headers=headers)
            return
        chunked = "Content-Length" not in headers
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
        try:
            connection.request(method, path, body=body, headers=headers, encode_chunked=chunked)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the other side has said why before the end, and the answer tells

    def _take(self, origin: Origin, *, fresh: bool) -> tuple[HTTPConnection, bool]:
        with self._lock:
            self._refuse_when_aborted(origin)
            idle = self._idle.get(origin) or []
            kept = bool(idle) and not fresh
            connection = idle.pop() if kept else None
            if connection is not None:
                self._busy[connection] = connection.sock
        if connection is None:
            connection = self._connect(origin)
            with self._lock:
                if self._aborted:
                    connection.close()
                self._refuse_when_aborted(origin)
                self._busy[connection] = connection.sock
        return connection, kept

    def _refuse_when_aborted(self, origin: Origin) -> None:
        if self._aborted:
            raise Unavailable(f"the transfer with {origin.host} was given up")

    def give_back(self, origin: Origin, connection: HTTPConnection, *, reusable: bool) -> None:
        """Take a connection back from whoever has it; one that is not reusable is closed."""
        with self._lock:
            del self._busy[connection]
            if reusable and not self._aborted:
                self._idle.setdefault(origin, []).append(connection)
                return
        connection.close()

    def speaks_tls(self, host: str) -> bool:
        """Whether `host` answers to TLS; asked of hosts that may be spoken to without. Raises Unavailable."""
        import ssl

        origin = Origin("https", host)
        try:
            connection = self._open(origin, 10.0)
        except ssl.SSLCertVerificationError as error:
            raise self._untrusted(host, error) from None
        except (ssl.SSLError, ConnectionResetError, TimeoutError):
            return False
        except (OSError, ValueError) as error:
            raise _unreachable(host, error) from None
        with self._lock:
            self._busy[connection] = connection.sock
        self.give_back(origin, connection, reusable=True)
        return True

    def _connect(self, origin: Origin) -> HTTPConnection:
        import ssl
        from http.client import HTTPException

        try:
            return self._open(origin, _CONNECT)
        except ssl.SSLCertVerificationError as error:
            raise self._untrusted(origin.host, error) from None
        except (OSError, HTTPException, ValueError) as error:
            raise _unreachable(origin.host, error) from None

    def _open(self, origin: Origin, timeout: float) -> HTTPConnection:
        from http.client import HTTPConnection, HTTPSConnection

        proxy = find_proxy(origin.scheme, origin.host, self._environ)
        where = proxy.address if proxy else origin.host
        connection: HTTPConnection
        if origin.scheme == "http":
            connection = HTTPConnection(where, timeout=timeout)
        else:
            connection = HTTPSConnection(where, timeout=timeout, context=self._context(origin.host))
            if proxy:
                authorization = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
                connection.set_tunnel(origin.host, headers=authorization)
        connection.connect()
        connection.sock.settimeout(_SILENCE)
        return connection

    def _untrusted(self, host: str, error: Exception) -> Unavailable:
        why = getattr(error, "verify_message", "") or str(error)
        return Unavailable(
            f"cannot trust {host}: its certificate was signed by an unknown authority or is not for that name ({why})",
            hint=f"put the certificate of the authority that signed it into {self._certificates}/{host}/ca.crt",
        )

    def _context(self, host: str) -> SSLContext:
        with self._lock:
            if host not in self._contexts:
                self._contexts[host] = self._new_context(host)
            return self._contexts[host]

    def _new_context(self, host: str) -> SSLContext:
        import ssl

        directory = f"{self._certificates}/{host}"
        names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
        own = [name for name in names if name.endswith(".crt")]
        unverified = host in self._unverified and not own
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if unverified else ssl.create_default_context()
        for name in own:
            context.load_verify_locations(f"{directory}/{name}")
        for name in names:
            if name.endswith(".cert"):
                context.load_cert_chain(f"{directory}/{name}", f"{directory}/{name.removesuffix('.cert')}.key")
        if unverified:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def abort(self) -> None:
        """End every request that is under way, from another thread: they get Cut, and every later one Unavailable."""
        from socket import SHUT_RDWR

        with self._lock:
            self._aborted = True
            busy = list(self._busy.values())
        for connected in busy:
            try:
                connected.shutdown(SHUT_RDWR)
            except OSError:
                continue

    def close(self) -> None:
        """Give the idle connections back."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.close()


def _unreachable(host: str, error: Exception) -> Unavailable:
    if "WRONG_VERSION" in str(error):
        return Unavailable(
            f"cannot reach {host}: it answers without TLS",
            hint=f'if that is wanted, list it in the configuration: [registries] insecure = ["{host}"]',
        )
    hint = "is the name right, and is there a way to it?"
    return Unavailable(f"cannot reach {host}: {_reason(error)}", hint=hint)


def _reason(error: Exception) -> str:
    import socket

    if isinstance(error, socket.gaierror):
        return "no such host"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
