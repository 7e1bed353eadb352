"""The process `wherry serve`: the console's sockets, and the control loop on a thread of its own."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import traceback

from wherry.base.clock import rfc3339, system_clock
from wherry.base.errors import Conflict, WherryError
from wherry.base.locks import FileLock
from wherry.registry.server import RequestLog, free_port, wait_until_it_answers
from wherry.registry.throttle import Throttle
from wherry.serve.console import Console

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.base.paths import Layout
    from wherry.serve.people import People
    from wherry.serve.views import Views

__all__ = ["Loop", "serve"]

_END_SECONDS = 10.0  # that the control loop may take to end its turn


class Loop:
    """Calls `turn` every `period` seconds until it is stopped, and goes on whatever a turn raises."""

    def __init__(self, turn: Callable[[], None], period: float, tell: Callable[..., None]) -> None:
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
        while not self._stopping.wait(self._period):
            try:
                self._turn()
            except WherryError as error:
                self._tell("turn failed", error=error.message)
            except Exception:  # noqa: BLE001 (whatever it is, the next turn may go well)
                self._tell("turn failed", error=traceback.format_exc())


def serve(
    layout: Layout, views: Views, people: People, turn: Callable[[], None], *, host: str, port: int, period: float
) -> None:
    """Serve until SIGTERM or SIGINT. Raises Conflict where another process serves this installation."""
    lock = FileLock(f"{layout.locks}/serve", wait=False)
    try:
        lock.acquire()
    except BlockingIOError:
        raise Conflict("another `wherry serve` serves this installation", hint="stop it first") from None
    with lock:
        asyncio.run(_run(views, people, turn, host, port, period))


async def _run(views: Views, people: People, turn: Callable[[], None], host: str, port: int, period: float) -> None:
    from granian.constants import HTTPModes, Interfaces
    from granian.server.embed import Server

    log = RequestLog(sys.stderr.fileno())

    def tell(event: str, **details: object) -> None:
        loop.call_soon_threadsafe(log, {"time": rfc3339(system_clock()), "event": event, **details})

    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    console = Console(views, people, Throttle(loop.time))
    port = free_port(host, port)
    server = Server(
        console,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    )
    serving = asyncio.ensure_future(server.serve())
    await wait_until_it_answers(host, port, serving)
    control = Loop(turn, period, tell)
    control.start()
    tell("listening", address=f"http://{f'[{host}]' if ':' in host else host}:{port}")
    await asyncio.wait([serving, asyncio.ensure_future(stopping.wait())], return_when=asyncio.FIRST_COMPLETED)
    tell("stopping")
    console.stopping.set()
    await asyncio.to_thread(control.stop, _END_SECONDS)
    server.stop()  # type: ignore[no-untyped-call]
    await asyncio.wait([serving], timeout=5)
    await asyncio.sleep(0)
    log.flush()
