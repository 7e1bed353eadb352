"""Deployments under load: what fails, how long they take, and what the load balancer costs; prints tables in Markdown.

An environment of two instances of two services answers 200 requests a second on kept connections, 200 on a connection
each, and five that take 2 s, all at once and open-loop, while it is deployed to, swapped, aborted, cut off and set.
Nothing is tried again; every answer but 2xx and 3xx counts, apart from the 500s that a version gives by itself.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import signal
import statistics
import subprocess
import time
from typing import NamedTuple

import balancer
import bench
from deployed import HOST, SETTINGS, Burden, Loaded, Place

from wherry.base.paths import Layout

POLICIES = ("rolling", "rolling-additional", "immutable", "traffic-splitting")
EVALUATION = 8.0  # seconds of a trial, of SETTINGS


class Deployed(NamedTuple):
    """A deployment that went well: its policy, the marks before and after, and when the command began."""

    policy: str
    before: str
    after: str
    began: float


class Bench:
    """What is done to the environment, again and again. `marks` counts versions; `mark` is the one that runs."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.random = random.Random(5)
        self.mark = ""
        self._marks = 0
        self.deployed: list[Deployed] = []
        self.turns = 0

    def next_mark(self) -> str:
        self._marks += 1
        return f"m{self._marks}"

    def create(self) -> None:
        self.mark = self.next_mark()
        settings = [word for one in SETTINGS for word in ("--set", one)]
        self.place.command("env", "create", "shop", "--min", "2", "--max", "4", *settings, mark=self.mark)
        self.place.command("env", "create", "other", "--min", "2", "--max", "4", *settings, mark="other")

    # --- what is measured

    def deploy(self, policy: str) -> None:
        mark, began = self.next_mark(), time.time()
        self.place.command("deploy", "shop", "--policy", policy, mark=mark)
        self.deployed.append(Deployed(policy, self.mark, mark, began))
        self.mark = mark

    def swap(self) -> None:
        self.place.command("env", "swap", "shop", "other")

    def rollback(self) -> None:
        self.place.command("env", "rollback", "shop")

    def fail(self, policy: str, bad: str, mark: str) -> None:
        self.place.command("deploy", "shop", "--policy", policy, mark=mark, bad=bad, fails=True)

    def abort(self, policy: str) -> None:
        """At some moment; a command that had ended by then has done its work."""
        process = self.place.start("deploy", "shop", "--policy", policy, mark=self.next_mark())
        try:
            process.wait(self.random.uniform(0.3, 8))
        except subprocess.TimeoutExpired:
            self.place.command("env", "abort", "shop")
        process.communicate(timeout=300)

    def cut_off(self, policy: str) -> None:
        """`kill -9` of the command at some moment, then the next command: a deployment of its own, or an end to it."""
        self.turns += 1
        process = self.place.start("deploy", "shop", "--policy", policy, mark=self.next_mark())
        try:
            process.wait(self.random.uniform(0.3, 8))
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=300)
        if self.turns % 2:
            self.place.command("env", "recover", "shop")
        else:
            self.deploy(policy)

    def change(self) -> None:
        """Settings of every kind."""
        self.turns += 1
        secret = f"{self.place.directory}/secret"
        with open(secret, "w") as file:
            file.write(f"secret {self.turns}")
        for words in (
            ("health.interval=2", "health.healthy=3"),
            ("health.interval=1", "health.healthy=", "health.codes=200-299"),
            ("sticky=on",),
            ("sticky=off", "health.codes="),
            ("min=3",),
            ("min=2", "max=2"),
            ("max=4",),
            ("--env", f"GREETING=hello{self.turns}"),
            ("--secret", f"TOKEN={secret}"),
        ):
            self.place.command("env", "set", "shop", *words)

    def whole(self) -> None:
        """Nothing is under way, and one version alone answers. Ends the measurement where it is not so."""
        self.place.command("env", "recover", "shop")
        said = self.place.command("env", "status", "shop")
        marks = {self._ask() for _ in range(10)}
        if len(marks) != 1 or "" in marks:
            raise SystemExit(f"after it {marks or 'nothing'} answers\n{said}")
        self.mark = marks.pop()

    def _ask(self) -> str:
        import urllib.request

        request = urllib.request.Request(f"http://127.0.0.1:{self.place.port}/", headers={"Host": HOST})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read(8).decode().strip()


def scenarios(made: Bench):
    """Title, what is done each time, and the mark of a version that answers 500 itself."""
    for policy in POLICIES:
        yield f"{policy}", lambda policy=policy: made.deploy(policy), ""
    yield "swap", made.swap, ""
    yield "rollback", made.rollback, ""
    for policy in POLICIES:
        yield f"never healthy, {policy}", lambda policy=policy: made.fail(policy, "unhealthy", "ill"), ""
    yield "answers 500, traffic-splitting", lambda: made.fail("traffic-splitting", "errors", "wrong"), "wrong"
    for policy in POLICIES:
        yield f"abort, {policy}", lambda policy=policy: made.abort(policy), ""
    for policy in POLICIES:
        yield f"kill -9 of the command, {policy}", lambda policy=policy: made.cut_off(policy), ""
    yield "settings, nine commands each", made.change, ""


def measure_failures(made: Bench, options: argparse.Namespace) -> None:
    print("| what | times | requests | failed | its own 500s | s each |\n|---|---|---|---|---|---|", flush=True)
    arrivals: dict[str, list[tuple[float, float]]] = {}
    details = []
    for title, action, own in scenarios(made):
        if options.only and title.partition(",")[0] not in options.only:
            continue
        made.deployed.clear()
        with Loaded(made.place.port) as load:
            began = time.monotonic()
            for _ in range(options.runs):
                action()
            each = (time.monotonic() - began) / options.runs
        burden, failed = load.burden, load.burden.failed(own)
        row = f"| {title} | {options.runs} | {burden.requests:,} | {len(failed)} |"
        print(f"{row} {burden.own(own) if own else '-'} | {each:.1f} |", flush=True)
        details += [f"{title}: at {when:.3f} {kind}: {how}" for when, kind, how in failed[: options.details]]
        if title in POLICIES:
            arrivals[title] = [arrival(one, burden) for one in made.deployed]
        made.whole()
    print("\n" + "\n".join(details) if details else "")
    tell_arrivals(arrivals)


def arrival(one: Deployed, burden: Burden) -> tuple[float, float]:
    """Seconds from the command's start to the first answer of the new version, and to the last of the old."""
    return burden.first(one.after) - one.began, burden.last(one.before) - one.began


def tell_arrivals(arrivals: dict[str, list[tuple[float, float]]]) -> None:
    if not arrivals:
        return
    print("| from `wherry deploy` (s) | first answer of the new | last of the old | slowest | wanted |")
    print("|---|---|---|---|---|")
    for policy, times in arrivals.items():
        first, last = (statistics.median(values) for values in zip(*times, strict=True))
        trial = EVALUATION if policy == "traffic-splitting" else 0
        note = f"{policy}, with its trial of {trial:g} s" if trial else policy
        print(f"| {note} | {first:.1f} | {last:.1f} | {max(one for _, one in times):.1f} | {15 + trial:g} |")
    print(flush=True)


# --- throughput


def measure_throughput(place: Place, options: argparse.Namespace) -> None:
    """Through the environment, and through hand-written HAProxys in containers before the same containers."""
    servers = [f"{address}:8000" for address in addresses(place)]
    if not servers:
        raise SystemExit("no container answers")
    try:
        by_hand = balancer.run_hand_written(place.environment, servers, place.directory, "/health")
        balancer.compare(by_hand, place.port, options, host=HOST)
    finally:
        for name in balancer.HAND_WRITTEN:
            balancer.wherry(place.environment, "rm", "-f", name, check=False)


def addresses(place: Place) -> list[str]:
    """Of the containers that answer."""
    from wherry.deploy.local import LocalTarget

    layout = Layout(place.environment["WHERRY_ROOT"], place.environment["WHERRY_RUN"])
    instances = LocalTarget(layout).observe("shop")
    return [each.address for one in instances for each in one.services if one.name and each.service == "api"]


def describe(options: argparse.Namespace, version: str) -> str:
    system = f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}"
    return f"Machine: {system}; wherry {version}, {options.runs} times each, {time.strftime('%Y-%m-%d')}."


def measure(place: Place, options: argparse.Namespace) -> None:
    layout = Layout(place.environment["WHERRY_ROOT"], place.environment["WHERRY_RUN"])
    made = Bench(place)
    place.prepare()
    try:
        made.create()
        made.whole()
        print(describe(options, place.command("version", "--format", "{{.Version}}").strip()), flush=True)
        before = balancer.resident(balancer.process_of(layout))
        if not options.throughput:
            measure_failures(made, options)
        if not options.only:
            measure_throughput(place, options)
        after = balancer.resident(balancer.process_of(layout))
        print(f"\nmemory of the load balancer: {before:.0f} MB at first, {after:.0f} MB after all of it")
    finally:
        for name in ("shop", "other"):
            subprocess.run(
                [place.program, "env", "terminate", "--yes", name],
                env=place.environment,
                check=False,
                capture_output=True,
            )
        balancer.wherry(place.environment, "rm", "-f", "wherry-balancer", check=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="how often everything is done")
    parser.add_argument("--only", action="append", help="what has this title, up to a comma; may be repeated")
    parser.add_argument("--details", type=int, default=5, help="how many failed requests of each are told")
    parser.add_argument("--throughput", action="store_true", help="only throughput and memory")
    parser.add_argument("--rounds", type=int, default=5, help="of throughput")
    parser.add_argument("--seconds", type=int, default=4, help="of each measurement of throughput")
    options = parser.parse_args()
    with bench.place() as directory:
        measure(Place(directory), options)


if __name__ == "__main__":
    main()
