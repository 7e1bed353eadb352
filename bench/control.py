"""What looking after environments costs: CPU of a turn, memory of the process, growth of the database; as a table.

The database is a real one, with environments, instances and their deployments; containers are rows of the engine's,
with control groups of their own where this runs as root, and are read as always. Operations are not part of it (nothing
is wrong), and the load balancer is a fake: what asking HAProxy for its counters costs is not in the figures, nor is
taking log lines apart. Time is made to pass: a turn is taken right after the other.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import tempfile
import time

from wherry.base.paths import Layout
from wherry.compose.labels import PROJECT, SERVICE
from wherry.compose.location import ProjectOptions
from wherry.deploy.applications import Applications
from wherry.deploy.balancer import AccessRecord
from wherry.deploy.control import Control
from wherry.deploy.environments import Environments
from wherry.deploy.fakes import World, fake_parts
from wherry.deploy.local import LocalTarget
from wherry.deploy.local.projects import ENVIRONMENT, INSTANCE, VERSION
from wherry.deploy.traffic import Window
from wherry.engine.records import Container, ContainerRecords, ContainerState, NetworkState
from wherry.engine.request import ContainerRequest
from wherry.kernel.cgroups import cgroup_path
from wherry.store.database import Database

MODEL = {"services": {"web": {"image": "web", "ports": [{"target": 80}]}}, "networks": {"default": {}}}


class Estate:
    """Environments of one installation, with so many instances in all."""

    def __init__(self, root: str, environments: int, instances: int) -> None:
        self.world = World()
        self.layout = Layout(root, f"{root}/run")
        self.parts = fake_parts(self.layout, self.world)
        self.parts.versions.models["/project"] = MODEL
        label = Applications(self.parts).add_version("shop", ProjectOptions({}, "/project")).label
        doer = Environments(self.parts, "bench")
        each = instances // environments
        for number in range(environments):
            doer.create(f"env-{number}", "shop", label, settings={"min": str(each), "max": "100"})
        self.names = [one.name for one in doer.all()]
        self.target = LocalTarget(self.layout)  # before there are rows, which it would find without processes
        self.groups: list[str] = []
        self._add_rows()
        self.window = Window()
        self.control = Control(self.parts._replace(target=self.target), window=self.window)

    def _add_rows(self) -> None:
        database = Database(self.layout.database)
        records = ContainerRecords(database, self.layout)
        for environment in self.names:
            for one in self.parts.records.instances(environment):
                self._add_row(records, environment, one.name, one.version)
        database.close()

    def _add_row(self, records: ContainerRecords, environment: str, instance: str, version: str) -> None:
        project = f"wherry_{environment}_{instance}"
        identifier = os.urandom(32).hex()
        labels = {
            PROJECT: project,
            SERVICE: "web",
            ENVIRONMENT: environment,
            INSTANCE: instance,
            VERSION: version,
            **{f"com.example.label.{number}": "x" * 20 for number in range(5)},
        }
        request = ContainerRequest(
            image="sha256:" + "0" * 64,
            labels=labels,
            environment=tuple(f"VARIABLE_{number}=some value" for number in range(15)),
        )
        state, network = ContainerState("running", started=self.world.clock()), NetworkState("n", "10.0.0.2")
        records.add(Container(identifier, f"{project}-web-1", "web", "sha256:0", "", request, 1, state, network))
        records.update(identifier, network=network, started=state.started, status="running")
        self._add_group(identifier)

    def _add_group(self, identifier: str) -> None:
        path = cgroup_path(self.layout.tag, identifier)
        for top in ("", "/memory", "/cpuacct"):
            parent = f"/sys/fs/cgroup{top}"
            if os.geteuid() == 0 and os.path.exists(f"{parent}/cgroup.procs"):
                os.makedirs(parent + path, exist_ok=True)
                self.groups.append(parent + path)

    def traffic(self, per_second: float, seconds: float) -> None:
        """Requests of all environments, evenly."""
        for index in range(int(per_second * seconds)):
            record = AccessRecord(
                self.world.now + seconds * index / (per_second * seconds),
                self.names[index % len(self.names)],
                *("web", "i-1", 200, float(index % 97), "GET", "/", "127.0.0.1"),
            )
            self.window.add(record)

    def close(self) -> None:
        self.control.close()
        for group in self.groups:
            os.rmdir(group)
        for parent in {os.path.dirname(group) for group in self.groups}:
            if parent.rpartition("/")[2] != "wherry":
                os.rmdir(parent)


def size_of(root: str) -> int:
    return sum(entry.stat().st_size for entry in os.scandir(root) if entry.name.startswith("wherry.db"))


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=int, default=10)
    parser.add_argument("--instances", type=int, default=50)
    parser.add_argument("--turns", type=int, default=720)
    parser.add_argument("--seconds", type=float, default=5.0, help="between two turns")
    parser.add_argument("--requests", type=float, nargs="*", default=[0, 1000], help="per second, in all")
    options = parser.parse_args()
    print("| requests/s | CPU of a turn | of one core | longest turn | memory | database |")
    print("|---|---|---|---|---|---|")
    for rate in options.requests:
        root = tempfile.mkdtemp(prefix="wherry-bench-")
        estate = Estate(root, options.environments, options.instances)
        try:
            used, longest = 0.0, 0.0
            for _ in range(options.turns):
                estate.traffic(rate, options.seconds)
                estate.world.now += options.seconds
                began, before = time.perf_counter(), time.process_time()
                estate.control.turn()
                used += time.process_time() - before
                longest = max(longest, time.perf_counter() - began)
            each = used / options.turns
            print(
                f"| {rate:g} | {each * 1000:.1f} ms | {100 * each / options.seconds:.2f} % | {longest * 1000:.0f} ms"
                f" | {peak():.0f} MiB | {size_of(root) / (1 << 20):.1f} MiB |",
                flush=True,
            )
        finally:
            estate.close()
            shutil.rmtree(root)


if __name__ == "__main__":
    main()
