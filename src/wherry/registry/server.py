"""The running server: sockets by granian in this process, upkeep in between, an end that loses nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

from wherry.base.clock import rfc3339
from wherry.base.errors import Conflict, InvalidInput, Unavailable
from wherry.base.locks import FileLock
from wherry.registry.application import Application
from wherry.registry.asgi import Gateway
from wherry.registry.audit import Audit
from wherry.registry.configuration import split_address
from wherry.registry.upkeep import Upkeep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from granian.server.embed import Server

    from wherry.registry.service import Service

__all__ = ["RequestLog", "cut_stalled_readers", "serve"]

_HEADER_SECONDS = 10  # a client that takes longer over its request line and headers is cut off
_HEADER_BYTES = 64 << 10
_CONNECTIONS = 1024
_FLUSH_SECONDS = 0.02
_STALLED_SECONDS = 120  # a client that takes nothing of an answer for so long is cut off
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode


class RequestLog:
    """Lines of JSON on a descriptor, written in groups. `only_errors` leaves out what went well."""

    def __init__(self, fd: int, *, only_errors: bool = False) -> None:
        self._fd = fd
        self._only_errors = only_errors
        self._lines: list[str] = []

    def __call__(self, entry: dict[str, object]) -> None:
        """Take one entry."""
        if self._only_errors and "error" not in entry and "event" not in entry:
            return
        if not self._lines:
            asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)
        self._lines.append(_ENCODE(entry))

    def flush(self) -> None:
        """Write what has gathered."""
        if self._lines:
            lines, self._lines = self._lines, []
            try:
                os.write(self._fd, ("\n".join(lines) + "\n").encode())
            except OSError:
                pass  # a log that cannot be written does not stop the service


def serve(service: Service, *, only_errors: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight end first. Raises Conflict, InvalidInput or Unavailable."""
    lock = FileLock(f"{service.root}/server.lock", wait=False)
    try:
        lock.acquire()
    except BlockingIOError:
        raise Conflict(f"another server has {service.root}", hint="stop it first, or use another --data") from None
    try:
        asyncio.run(_Server(service, only_errors).run())
    finally:
        lock.release()


class _Server:
    def __init__(self, service: Service, only_errors: bool) -> None:
        self._service = service
        self._log = RequestLog(sys.stderr.fileno(), only_errors=only_errors)
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        service, configuration = self._service, self._service.configuration
        audit = Audit(f"{service.root}/audit.log", service.clock)
        application = Application(
            service.catalog,
            service.storage,
            service.accounts,
            service.settings(),
            audit=audit,
            clock=service.clock,
            log=self._log,
        )
        gateway = Gateway(application, service.storage)
        server, port = self._listen(gateway)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        serving = asyncio.ensure_future(server.serve())
        host = split_address(configuration.listen)[0]
        await _answers(host, port, serving)
        cut_stalled_readers(port, _STALLED_SECONDS)
        upkeep = asyncio.ensure_future(Upkeep(service, audit, self._event).run())
        scheme = "https" if configuration.tls_cert else "http"
        shown = f"[{host}]" if ":" in host else host
        self._event("listening", address=f"{scheme}://{shown}:{port}", open=application.access.is_open)
        await asyncio.wait([serving, asyncio.ensure_future(self._stopping.wait())], return_when=asyncio.FIRST_COMPLETED)
        self._event("stopping", in_flight=gateway.active)
        upkeep.cancel()
        server.stop()  # type: ignore[no-untyped-call]
        await gateway.wait_until_idle(configuration.stop_timeout)
        await asyncio.wait([serving], timeout=5)
        application.close()
        self._event("stopped")
        self._log.flush()

    def _event(self, name: str, **details: object) -> None:
        self._log({"time": rfc3339(self._service.clock()), "event": name, **details})
        if name in ("listening", "stopping"):
            self._log.flush()

    def _listen(self, gateway: Gateway) -> tuple[Server, int]:
        from granian.constants import HTTPModes, Interfaces, SSLProtocols
        from granian.http import HTTP1Settings
        from granian.server.embed import Server as Embedded

        configuration = self._service.configuration
        host, port = split_address(configuration.listen)
        port = _free_port(host, port)
        certificate: dict[str, Any] = {}
        if configuration.tls_cert:
            for path in (configuration.tls_cert, configuration.tls_key):
                if not os.access(path, os.R_OK):
                    raise InvalidInput(f"cannot read {path}", hint="--tls-cert and --tls-key name PEM files")
            certificate = {
                "ssl_cert": Path(configuration.tls_cert),
                "ssl_key": Path(configuration.tls_key),
                "ssl_protocol_min": SSLProtocols.tls12,
            }
        try:
            server = Embedded(
                gateway,
                address=host,
                port=port,
                interface=Interfaces.ASGINL,
                http=HTTPModes.auto if certificate else HTTPModes.http1,
                websockets=False,
                backlog=_CONNECTIONS,
                http1_settings=HTTP1Settings(header_read_timeout=_HEADER_SECONDS * 1000, max_buffer_size=_HEADER_BYTES),
                log_enabled=False,
                **certificate,
            )
        except OSError as error:
            raise InvalidInput(f"cannot use the certificate {configuration.tls_cert}: {error}") from None
        return server, port


def cut_stalled_readers(port: int, seconds: int) -> None:
    """Let the kernel end connections to this process's `port` whose other side takes no bytes for so long.

    Otherwise a client could hold one for ever, and a thousand of them all that there are. What is set on a listening
    socket holds for those that it accepts from then on (tcp(7), TCP_USER_TIMEOUT).
    """
    for name in os.listdir("/proc/self/fd"):
        try:
            with socket.socket(fileno=os.dup(int(name))) as each:
                if each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and each.getsockname()[1] == port:
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, seconds * 1000)
        except OSError:
            continue  # no socket, or closed meanwhile


async def _answers(host: str, port: int, serving: asyncio.Future[None]) -> None:
    """Return when a connection succeeds. Raises Unavailable where serving ended instead."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (what was asked for)
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(reached, port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return
    raise Unavailable(f"cannot listen on {host}:{port}: {serving.exception() or 'the server ended'}")


def _free_port(host: str, port: int) -> int:
    """The port itself, or one that is free for 0. Raises Unavailable where the address cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except OSError as error:
        raise Unavailable(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
