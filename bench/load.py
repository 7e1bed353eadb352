"""An open-loop load on this machine: requests leave at their times, whether earlier ones have ended or not.

    python bench/load.py --port 80 --host shop.localhost --rate 200 --seconds 30 [--fresh] [--path /slow]

Every request that does not end with a 2xx or 3xx status and a whole body is counted as failed, with when it ended, what
happened to it and, with `--mark`, how the body began; nothing is tried again. With `--fresh` each request has a
connection of its own, otherwise connections are kept and used again, unless they were idle for a minute: servers close
such connections at some time, and clients do not ask by them. Ends early at SIGTERM or SIGINT; prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import time
from collections import Counter

_IDLE_SECONDS = 60.0


class Load:
    """The requests and what became of them; latencies are in seconds."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []  # since when, the oldest first
        self.sent = 0
        self.good = 0
        self.failures: Counter[str] = Counter()
        self.bodies: Counter[str] = Counter()
        self.first_seen: dict[str, float] = {}
        self.last_seen: dict[str, float] = {}
        self.failed: list[tuple[float, str]] = []
        self.latencies: list[float] = []
        connection = "close" if options.fresh else "keep-alive"
        lines = (f"GET {options.path} HTTP/1.1", f"Host: {options.host}", f"Connection: {connection}", "", "")
        self._request = "\r\n".join(lines).encode()

    async def run(self, stop: asyncio.Event) -> None:
        """Send until the time is over or `stop` is set, then wait for what is under way."""
        began = time.monotonic()
        tasks: set[asyncio.Task[None]] = set()
        for number in range(int(self._options.rate * self._options.seconds)):
            ahead = began + number / self._options.rate - time.monotonic()
            if ahead > 0:
                try:
                    await asyncio.wait_for(stop.wait(), ahead)
                except TimeoutError:
                    pass
            if stop.is_set():
                break
            task = asyncio.create_task(self._one())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
        for *_, writer in self._idle:
            writer.close()

    async def _one(self) -> None:
        began = time.monotonic()
        self.sent += 1
        try:
            status, body = await asyncio.wait_for(self._ask(), self._options.timeout)
        except (OSError, EOFError, ValueError) as error:
            self._fail(f"{type(error).__name__}: {error}".partition(": bytearray")[0])
            return
        mark = body[: self._options.mark].decode(errors="replace").strip() if self._options.mark else ""
        if not 200 <= status < 400:
            self._fail(f"status {status} {mark}".strip())
            return
        self.good += 1
        self.latencies.append(time.monotonic() - began)
        self.bodies[mark] += 1
        self.last_seen[mark] = time.time()
        self.first_seen.setdefault(mark, self.last_seen[mark])

    def _fail(self, kind: str) -> None:
        self.failures[kind] += 1
        self.failed.append((time.time(), kind))

    async def _ask(self) -> tuple[int, bytes]:
        while self._idle and self._idle[0][0] < time.monotonic() - _IDLE_SECONDS:
            self._idle.pop(0)[2].close()
        if self._idle:
            _, reader, writer = self._idle.pop()
        else:
            reader, writer = await asyncio.open_connection(self._options.address, self._options.port)
        try:
            writer.write(self._request)
            head = await reader.readuntil(b"\r\n\r\n")
            status, closes, body = await _rest(head, reader)
        except BaseException:
            writer.close()
            raise
        if closes or self._options.fresh:
            writer.close()
        else:
            self._idle.append((time.monotonic(), reader, writer))
        return status, body

    def summary(self) -> dict[str, object]:
        """What is printed; latencies in milliseconds."""
        times = sorted(self.latencies)
        at = {f"p{p}": round(1000 * times[len(times) * p // 100], 1) for p in (50, 95, 99) if times}
        return {
            "sent": self.sent,
            "good": self.good,
            "failed": len(self.failed),
            "failures": dict(self.failures),
            "failed_at": self.failed,
            "bodies": dict(self.bodies),
            "first_seen": self.first_seen,
            "last_seen": self.last_seen,
            "milliseconds": at,
        }


async def _rest(head: bytes, reader: asyncio.StreamReader) -> tuple[int, bool, bytes]:
    """Status, whether the connection ends, body."""
    lines = head.decode("latin-1").split("\r\n")
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    status = int(lines[0].split(" ", 2)[1])
    if fields.get("transfer-encoding", "").lower() == "chunked":
        body = await _chunks(reader)
    elif "content-length" in fields:
        body = await reader.readexactly(int(fields["content-length"]))
    else:
        return status, True, await reader.read()
    kept = fields.get("connection", "keep-alive" if lines[0].startswith("HTTP/1.1") else "close")
    return status, kept.lower() == "close", body


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return body


async def _main(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    load = Load(options)
    await load.run(stop)
    print(json.dumps(load.summary()), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Open-loop load on an address of this machine.")
    parser.add_argument("--address", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", required=True, help="the Host field")
    parser.add_argument("--path", default="/")
    parser.add_argument("--rate", type=float, default=200.0, help="requests per second")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to send")
    parser.add_argument("--timeout", type=float, default=15.0, help="seconds after which a request has failed")
    parser.add_argument("--fresh", action="store_true", help="a connection for each request")
    parser.add_argument("--mark", type=int, default=0, help="count answers by the first bytes of their bodies")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(_main(_options()))
