"""The process `wherry serve`: the console's sockets, and the control loop on a thread of its own."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import traceback
from pathlib import Path

from wherry.base.clock import rfc3339, system_clock
from wherry.base.errors import Conflict, InvalidInput, Unavailable, WherryError
from wherry.base.locks import FileLock
from wherry.base.values import NamedTuple
from wherry.registry.server import RequestLog, cut_stalled_readers, free_port, wait_until_it_answers
from wherry.registry.throttle import Throttle
from wherry.serve.console import Console

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from granian.server.embed import Server

    from wherry.base.paths import Layout
    from wherry.serve.people import People
    from wherry.serve.views import Views

__all__ = ["Listening", "Loop", "Serving", "serve"]

_END_SECONDS = 10.0  # that the control loop may take to end its turn
_IDLE_SECONDS = 5.0  # that requests under way may take to end
_HEADER_SECONDS = 10  # a client that takes longer over its request line and headers is cut off
_HEADER_BYTES = 64 << 10
_STALLED_SECONDS = 120  # a client that takes nothing of an answer for so long is cut off


class Loop:
    """Calls `turn` at once and every `period` seconds until it is stopped, and goes on whatever a turn raises."""

    def __init__(self, turn: Callable[[], object], period: float, tell: Callable[..., None]) -> None:
        self._turn = turn
        self._period = period
        self._tell = tell
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """End after the turn that is under way, or leave it to itself after `seconds`."""
        self._stopping.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        self._try()
        while not self._stopping.wait(self._period):
            self._try()

    def _try(self) -> None:
        try:
            self._turn()
        except WherryError as error:
            self._tell("turn failed", error=error.message)
        except Exception:  # noqa: BLE001 (whatever it is, the next turn may go well)
            self._tell("turn failed", error=traceback.format_exc())


class Listening(NamedTuple):
    """Where the console listens; with a certificate chain and its key (paths of PEM files) by https."""

    host: str = "127.0.0.1"
    port: int = 8080
    certificate: str = ""
    key: str = ""

    def url(self, port: int) -> str:
        """Its address, at the port that was got."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.certificate else 'http'}://{host}:{port}"


class Serving(NamedTuple):
    """What is served. `turn` is called every `period` seconds; `ready` is called with the console's address."""

    views: Views
    people: People
    turn: Callable[[], object]
    period: float
    ready: Callable[[str], None]


def serve(layout: Layout, listening: Listening, serving: Serving) -> None:
    """Serve until SIGTERM or SIGINT. What is still under way then is in the journal, and is taken up by the next one.

    Raises Conflict where another process serves this installation, Unavailable where the address cannot be had,
    InvalidInput for a certificate that cannot be used.
    """
    lock = FileLock(f"{layout.locks}/serve", wait=False)
    try:
        lock.acquire()
    except BlockingIOError:
        raise Conflict("another `wherry serve` serves this installation", hint="stop it first") from None
    with lock:
        asyncio.run(_run(listening, serving))


async def _run(listening: Listening, serving: Serving) -> None:
    log = RequestLog(sys.stderr.fileno())

    def tell(event: str, **details: object) -> None:
        loop.call_soon_threadsafe(log, {"time": rfc3339(system_clock()), "event": event, **details})

    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    console = Console(serving.views, serving.people, Throttle(loop.time))
    port = free_port(listening.host, listening.port)
    server = _server(console, listening, port)
    answering = asyncio.ensure_future(server.serve())
    await wait_until_it_answers(listening.host, port, answering)
    cut_stalled_readers(port, _STALLED_SECONDS)
    control = Loop(serving.turn, serving.period, tell)
    control.start()
    tell("listening", address=listening.url(port))
    serving.ready(listening.url(port))
    stopped = asyncio.ensure_future(stopping.wait())
    await asyncio.wait([answering, stopped], return_when=asyncio.FIRST_COMPLETED)
    tell("stopping")
    await console.stop(_IDLE_SECONDS)  # a server that is stopped within an answer may take the process with it
    await asyncio.to_thread(control.stop, _END_SECONDS)
    server.stop()  # type: ignore[no-untyped-call]
    await asyncio.wait([answering], timeout=5)
    await asyncio.sleep(0)
    log.flush()
    if not stopped.done():
        raise Unavailable(f"the console has stopped listening: {answering.exception() or 'the server ended'}")


def _server(console: Console, listening: Listening, port: int) -> Server:
    from granian.constants import HTTPModes, Interfaces, SSLProtocols
    from granian.http import HTTP1Settings
    from granian.server.embed import Server as Embedded

    certificate: dict[str, Any] = {}
    if listening.certificate:
        certificate = {
            "ssl_cert": Path(listening.certificate),
            "ssl_key": Path(listening.key),
            "ssl_protocol_min": SSLProtocols.tls12,
        }
    try:
        return Embedded(
            console,
            address=listening.host,
            port=port,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            websockets=False,
            http1_settings=HTTP1Settings(header_read_timeout=_HEADER_SECONDS * 1000, max_buffer_size=_HEADER_BYTES),
            log_enabled=False,
            **certificate,
        )
    except OSError as error:
        raise InvalidInput(f"cannot use the certificate {listening.certificate}: {error}") from None
