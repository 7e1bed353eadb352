"""An environment to measure: a small application, an installation of its own, and the load on it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import NamedTuple

import balancer
import bench

HOST = "shop.localhost"
MARK = 8  # the first bytes of each answer name the version
BASES = ("python:3.11", "haproxy")

# It ends at SIGTERM at once, with all that is open: that nothing is open then is for the deployment to see to. A slow
# answer begins at once, so that no other instance can be asked for it when it is cut off.
PROGRAM = """\
import asyncio, os, signal
MARK, BAD = os.environ["MARK"], os.environ.get("BAD", "")
BODY = (f"{MARK:<8}" + "x" * 992).encode()

def status(path):
    if path == "/health":
        return "503 Service Unavailable" if BAD == "unhealthy" else "200 OK"
    return "500 Internal Server Error" if BAD == "errors" else "200 OK"

async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            path = head.split(b" ", 2)[1].decode()
            reply = f"HTTP/1.1 {status(path)}\\r\\nContent-Length: {len(BODY)}\\r\\n\\r\\n".encode() + BODY
            if path.startswith("/slow"):
                writer.write(reply[:-900])
                await asyncio.sleep(2)
                reply = reply[-900:]
            writer.write(reply)
            await writer.drain()
    except (EOFError, OSError):
        pass
    finally:
        writer.close()

async def main():
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, os._exit, 0)
    await (await asyncio.start_server(serve, "0.0.0.0", 8000, backlog=1024)).serve_forever()

asyncio.run(main())
"""
COMPOSE = """\
name: shop
services:
  api: {image: bench-app, environment: {MARK: "${MARK}", BAD: "${BAD}"}}
  pages: {image: bench-app, environment: {MARK: pages}}
x-wherry:
  routes: [{service: api, port: 8000}, {service: pages, port: 8000, path: /pages}]
"""
SETTINGS = (
    *("health.path=/health", "health.interval=1", "health.unhealthy=2", "batch=1", "drain=10"),
    *("timeout=12", "split.percent=25", "split.evaluation=8"),
)

# How requests come, all at once: title, what the load is given.
KINDS = {
    "keep-alive": ("--rate", "200"),
    "fresh": ("--rate", "200", "--fresh"),
    "2 s long": ("--rate", "5", "--path", "/slow"),
}


class Place:
    """The installation in a directory of `bench.place()`; `command` runs `wherry` in it."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.program = bench.wherry_program()
        self.port = balancer.free_port()
        self.environment = {
            **os.environ,
            "WHERRY_ROOT": f"{directory}/wherry",
            "WHERRY_RUN": f"{directory}/wherry-run",
            "WHERRY_CONFIG": f"{directory}/config.toml",
        }
        with open(f"{directory}/config.toml", "w") as file:
            file.write(f'[balancer]\naddress = "127.0.0.1"\nhttp = {self.port}\n')
        self.project = f"{directory}/project"
        os.makedirs(self.project)
        for name, text in (
            ("app.py", PROGRAM),
            ("compose.yaml", COMPOSE),
            ("Dockerfile", 'FROM python:3.11\nCOPY app.py /\nCMD ["python3", "/app.py"]\n'),
        ):
            with open(f"{self.project}/{name}", "w") as file:
                file.write(text)

    def prepare(self) -> None:
        """The base images of the default installation, and the application's."""
        bench.quiet([self.program, "base", "build", "--if-missing", "python", "haproxy"])
        save = subprocess.Popen([self.program, "save", *BASES], stdout=subprocess.PIPE)
        bench.quiet([self.program, "load"], self.environment, stdin=save.stdout)
        if save.wait():
            raise SystemExit("the base images cannot be copied")
        self.command("build", "-q", "-t", "bench-app", self.project)

    def start(self, *arguments: str, mark: str = "", bad: str = "") -> subprocess.Popen[str]:
        """Begin a command."""
        environment = {**self.environment, "MARK": mark, "BAD": bad}
        said = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen([self.program, *arguments], env=environment, cwd=self.project, **said)

    def command(self, *arguments: str, mark: str = "", bad: str = "", fails: bool = False) -> str:
        """Do one. Ends the measurement where it fails, or where it was to fail and does not."""
        process = self.start(*arguments, mark=mark, bad=bad)
        said, _ = process.communicate(timeout=600)
        if bool(process.returncode) != fails:
            raise SystemExit(f"{' '.join(arguments)}: exit {process.returncode}\n{said}")
        return said


class Burden(NamedTuple):
    """What came of the load while something was done: by kind of request."""

    outcomes: dict[str, dict[str, object]]

    @property
    def requests(self) -> int:
        """How many were sent."""
        return sum(one["sent"] for one in self.outcomes.values())

    def failed(self, own: str = "") -> list[tuple[float, str, str]]:
        """When, what kind of request, and how; without the 500s that the version `own` gave itself."""
        return sorted(
            (when, kind, how)
            for kind, one in self.outcomes.items()
            for when, how in one["failed_at"]
            if not (own and how.startswith(f"status 500 {own}"))
        )

    def own(self, own: str) -> int:
        """How many 500s the version gave itself."""
        return sum(1 for one in self.outcomes.values() for _, how in one["failed_at"] if how == f"status 500 {own}")

    def first(self, mark: str) -> float:
        """When the version was first seen; infinite where never."""
        return min(one["first_seen"].get(mark, float("inf")) for one in self.outcomes.values())

    def last(self, mark: str) -> float:
        """When the version was last seen by requests that take no time; 0 where never."""
        return max(self.outcomes[kind]["last_seen"].get(mark, 0.0) for kind in ("keep-alive", "fresh"))


class Loaded:
    """The load, for the time of a `with`; `burden` afterwards says what came of it. `kinds` are as KINDS."""

    def __init__(self, port: int, kinds: dict[str, tuple[str, ...]] = KINDS) -> None:
        argv = [sys.executable, f"{bench.HERE}/load.py", "--port", str(port), "--host", HOST, "--seconds", "36000"]
        self._argv = [*argv, "--mark", str(MARK)]
        self._kinds = kinds
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self.burden = Burden({})

    def __enter__(self) -> Loaded:
        for kind, more in self._kinds.items():
            self._processes[kind] = subprocess.Popen([*self._argv, *more], stdout=subprocess.PIPE, text=True)
        time.sleep(1)  # so that there is load before there is something to measure
        return self

    def __exit__(self, *_: object) -> None:
        time.sleep(1)  # as long after it
        for process in self._processes.values():
            process.send_signal(signal.SIGTERM)
        said = {kind: process.communicate(timeout=60)[0] for kind, process in self._processes.items()}
        self.burden = Burden({kind: json.loads(text) for kind, text in said.items()})
