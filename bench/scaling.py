"""Scaling by `wherry serve` under load: how long until each instance serves, how long back, what fails; in Markdown.

An environment of one to three instances gets 405 requests a second, as `bench/deploy.py` sends them, until three
serve, then six a second until one does. Nothing is tried again; every answer but 2xx and 3xx counts.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import time
from typing import NamedTuple

import balancer
import bench
from deploy import describe
from deployed import KINDS, Loaded, Place

from wherry.base.paths import Layout
from wherry.deploy.records import open_records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.deploy.records import Records

MOST = 3
SETTINGS = (
    *("health.path=/health", "health.interval=1", "drain=10", "scale.measure=requests", "scale.upper=100"),
    *("scale.lower=80", "scale.period=20", "scale.breach=20", "scale.cooldown=10", f"max={MOST}"),
)
# What is left of the load: requests on kept connections, on a connection each, and such that take 2 s.
FEW = {kind: ("--rate", "2", *more[2:]) for kind, more in KINDS.items()}
LIMIT = 180.0  # seconds that coming to a number of instances may take


class Round(NamedTuple):
    """Seconds from the start of the load until two and three served, from its end until two and one did; requests."""

    out: tuple[float, ...]
    back: tuple[float, ...]
    requests: int
    failed: list[tuple[float, str, str]]


def reach(records: Records, began: float, sizes: tuple[int, ...]) -> tuple[float, ...]:
    """Wait until so many instances serve, one number after the other: seconds since `began` (monotonic) for each."""
    reached = []
    for size in sizes:
        while sum(one.serves for one in records.instances("shop")) != size:
            if time.monotonic() - began > LIMIT:
                raise SystemExit(f"after {LIMIT:g} seconds there are not {size} instances")
            time.sleep(0.05)
        reached.append(time.monotonic() - began)
    return tuple(reached)


def play(place: Place, records: Records) -> Round:
    """Load, and less of it."""
    began = time.monotonic()
    with Loaded(place.port) as heavy:
        out = reach(records, began, tuple(range(2, MOST + 1)))
    began = time.monotonic()
    with Loaded(place.port, FEW) as light:
        back = reach(records, began, tuple(range(MOST - 1, 0, -1)))
    burdens = (heavy.burden, light.burden)
    failed = [one for each in burdens for one in each.failed()]
    return Round(out, back, sum(each.requests for each in burdens), failed)


def measure(place: Place, options: argparse.Namespace) -> None:
    place.prepare()
    records = open_records(Layout(place.environment["WHERRY_ROOT"], place.environment["WHERRY_RUN"]))
    server = None
    try:
        settings = [word for one in SETTINGS for word in ("--set", one)]
        place.command("env", "create", "shop", *settings, mark="m1")
        server = place.start("serve", "--listen", "127.0.0.1:0")
        print(describe(options, place.command("version", "--format", "{{.Version}}").strip()), flush=True)
        print("\n| from the start of the load (s) | | from its end (s) | | | |", flush=True)
        print("|---|---|---|---|---|---|\n| two serve | three serve | two serve | one serves | requests | failed |")
        for _ in range(options.runs):
            one = play(place, records)
            times = " | ".join(f"{seconds:.1f}" for seconds in (*one.out, *one.back))
            print(f"| {times} | {one.requests:,} | {len(one.failed)} |", flush=True)
            for when, kind, how in one.failed[: options.details]:
                print(f"at {when:.3f} {kind}: {how}", flush=True)
    finally:
        end(place, server)


def end(place: Place, server: subprocess.Popen[str] | None) -> None:
    if server is not None:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)
    terminate = [place.program, "env", "terminate", "--yes", "shop"]
    subprocess.run(terminate, env=place.environment, check=False, capture_output=True)
    balancer.wherry(place.environment, "rm", "-f", "wherry-balancer", check=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2, help="how often there is load and less of it")
    parser.add_argument("--details", type=int, default=5, help="how many failed requests are told")
    options = parser.parse_args()
    with bench.place() as directory:
        measure(Place(directory), options)


if __name__ == "__main__":
    main()
