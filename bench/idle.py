"""What `wherry serve` costs while it looks after idle instances: real containers behind the real load balancer.

Several environments of ten instances each, of a small Python server; nobody asks for anything but health checks. When
the control loop has settled, the CPU of its process (and of what it ran) is taken over a while, and its memory at the
end.
Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import os
import signal
import time

import balancer
import bench
from deployed import Place

EACH = 10  # instances of an environment
COMPOSE = "name: shop\nservices:\n  web: {image: bench-app, environment: {MARK: idle}, ports: ['8000']}\n"
SETTINGS = ("--set", "health.path=/health", "--min", str(EACH), "--max", str(EACH), "--policy", "all-at-once")
_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Of a process and of those that it has waited for."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS


def measure(place: Place, options: argparse.Namespace) -> None:
    place.prepare()
    with open(f"{place.project}/compose.yaml", "w") as file:
        file.write(COMPOSE)
    names = [f"idle-{number}" for number in range(options.instances // EACH)]
    try:
        for name in names:
            place.command("env", "create", name, *SETTINGS)
        server = place.start("serve", "--listen", "127.0.0.1:0")
        try:
            time.sleep(options.settle)
            before, began = cpu_seconds(server.pid), time.monotonic()
            time.sleep(options.seconds)
            share = 100 * (cpu_seconds(server.pid) - before) / (time.monotonic() - began)
            memory = balancer.resident(server.pid)
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=60)
        print("| instances | environments | of one core | memory | wanted |\n|---|---|---|---|---|")
        print(f"| {len(names) * EACH} | {len(names)} | {share:.2f} % | {memory:.0f} MiB | 3 % and 150 MB |")
    finally:
        for name in names:
            place.command("env", "terminate", "--yes", name)
        balancer.wherry(place.environment, "rm", "-f", "wherry-balancer", check=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=50)
    parser.add_argument("--settle", type=float, default=60.0, help="seconds before the measurement")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long it is looked at")
    options = parser.parse_args()
    with bench.place() as directory:
        measure(Place(directory), options)


if __name__ == "__main__":
    main()
