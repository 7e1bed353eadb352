"""Ten services up, up again and down, beside docker-compose and podman-compose; prints a table in Markdown.

Every tool has the same image and the same file, which names the project's default network and a program that ends at
once when it is told to. The tools take turns in a changing order; the table shows medians of whole processes.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import time

import bench

SERVICES = 10
_PROGRAM = "trap 'exit 0' TERM; sleep 1000 & wait"
STEPS = (("up", ("up", "-d")), ("again", ("up", "-d")), ("down", ("down",)))


def write_project(directory, image):
    """A Compose file with SERVICES services, in a directory of its own."""
    os.makedirs(directory)
    with open(f"{directory}/docker-compose.yml", "w") as file:
        file.write('version: "3"\nservices:\n')
        for number in range(SERVICES):
            file.write(f'  s{number}:\n    image: {image}\n    command: [sh, -c, "{_PROGRAM}"]\n')


def composers(directory, rootfs):
    """The tools that there are, each with the command line of its Compose."""
    ours = bench.wherry(directory)
    found = [ours._replace(argv=(*ours.argv, "compose"))]
    docker = bench.docker(directory, rootfs)
    if docker is not None and shutil.which("docker-compose"):
        version = bench.output(["docker-compose", "version", "--short"])
        found.append(docker._replace(name="docker-compose", version=version, argv=("docker-compose",)))
    podman = bench.podman(directory, rootfs)
    if podman is not None and shutil.which("podman-compose"):
        found.append(podman_compose(directory, podman))
    return found


def podman_compose(directory, podman):
    """podman-compose calls `podman`, here one with the storage and the limits of the measurement."""
    program, settings = f"{directory}/podman-program", f"{directory}/containers.conf"
    with open(program, "w") as file:
        file.write(f'#!/bin/sh\nexec {" ".join(podman.argv)} "$@"\n')
    os.chmod(program, 0o755)
    with open(settings, "w") as file:
        file.write('[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]\n')
    lines = bench.output(["podman-compose", "--version"]).splitlines()
    version = next((line.split()[-1] for line in lines if line.startswith("podman-composer version")), "")
    argv = ("podman-compose", "--podman-path", program)
    env = {**os.environ, "CONTAINERS_CONF": settings}
    return podman._replace(name="podman-compose", version=version, argv=argv, env=env, image="localhost/bench")


def measure_rounds(tools, directory, runs):
    """{step: {tool: median of seconds}}, after one round that does not count."""
    order = random.Random(1)
    times = {step: {tool.name: [] for tool in tools} for step, _ in STEPS}
    for number in range(runs + 1):
        for tool in order.sample(tools, len(tools)):
            for step, arguments in STEPS:
                seconds = bench.timed((*tool.argv, *arguments), tool.env, cwd=f"{directory}/{tool.name}-project")
                if number:
                    times[step][tool.name].append(seconds)
    return {step: {name: statistics.median(all_) for name, all_ in each.items()} for step, each in times.items()}


def measure(directory, runs):
    rootfs = f"{directory}/rootfs"
    bench.make_rootfs(rootfs)
    tools = composers(directory, rootfs)
    for tool in tools:
        write_project(f"{directory}/{tool.name}-project", tool.image)
    values = measure_rounds(tools, directory, runs)
    names = [tool.name for tool in tools]
    system = f"{os.cpu_count()} cores, Linux {os.uname().release}; medians of {runs}"
    print(f"Machine: {system}, {time.strftime('%Y-%m-%d')}.\n")
    heads = [f"{tool.name} {tool.version}" for tool in tools]
    print(f"| {SERVICES} services | {' | '.join(heads)} | to the best peer | wanted |")
    print(f"|---|{'---|' * len(tools)}---|---|")
    for title, step, target in (("up -d", "up", 0.4), ("up -d again", "again", 0.25), ("down", "down", 0.4)):
        print(bench.row(title, "s", values[step], names, str(target)))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with bench.place() as directory:
        measure(directory, arguments.runs)


if __name__ == "__main__":
    main()
