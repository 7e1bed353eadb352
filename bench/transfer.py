"""Pushing and pulling a large image, beside Docker, Podman and Skopeo, to and from docker-registry; prints Markdown.

The image is about 1.2 GB of the machine's own files in several layers. Every push goes to an empty registry, every
pull into an empty store; the tools take turns, the file system is synced before each, and the table shows medians.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import time
import urllib.request

import bench

LAYERS = 6
SIZE = 1_200_000_000
SOURCES = ("/usr/lib", "/usr/share", "/usr/bin", "/usr/local", "/opt", "/root/.pyenv", "/usr/include")


def write_context(directory):
    """A build context of about SIZE bytes of real files, spread over LAYERS directories."""
    done, limit = 0, SIZE // LAYERS
    for source in SOURCES:
        for folder, _, names in os.walk(source):
            for name in sorted(names):
                path = os.path.join(folder, name)
                if done >= SIZE or not os.path.isfile(path) or os.path.islink(path):
                    continue
                target = f"{directory}/layer{done // limit}{path}"
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copy(path, target)
                done += os.path.getsize(path)
    with open(f"{directory}/Dockerfile", "w") as file:
        copies = "\n".join(f"COPY layer{number}/ /layer{number}/" for number in range(LAYERS))
        file.write(f"FROM scratch\n{copies}\n")
    return done


class Registry:
    """A docker-registry, or ours, with a storage of its own; `empty` gives it another one."""

    def __init__(self, directory, ours=()):
        self._ours = ours
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self._directory = directory
        self._number = 0
        self._process = None

    def empty(self):
        self.stop()
        self._number += 1
        data = f"{self._directory}/registry{self._number}{'-ours' if self._ours else ''}"
        log = open(f"{self._directory}/registry.log", "ab")
        self._process = subprocess.Popen(self._command(data), stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"http://{self.address}/v2/", timeout=1)
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("the registry does not start")

    def _command(self, data):
        if self._ours:
            return [*self._ours, "registry", "serve", "--listen", self.address, "--data", data, "--log", "errors"]
        with open(f"{data}.yml", "w") as file:
            file.write(
                f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {data}}}}}\n"
                f"http: {{addr: {self.address}}}\nlog: {{level: error}}\n"
            )
        return ["docker-registry", "serve", f"{data}.yml"]

    def stop(self):
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None


def measure(tools, runs, once):
    times = {name: [] for name in tools}
    for _ in range(runs):
        for name in tools:
            times[name].append(once(name))
    return {name: statistics.median(values) for name, values in times.items()}


def seconds(argv, env):
    os.sync()
    begun = time.perf_counter()
    done = subprocess.run(argv, env=env, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    elapsed = time.perf_counter() - begun
    if done.returncode:
        raise RuntimeError(f"{argv}: {done.stderr.decode()[-2000:]}")
    return elapsed


def push_case(tools, runs, registry, name):
    def once(tool):
        registry.empty()
        argv, env = tools[tool]
        insecure = ("--tls-verify=false",) if tool == "podman" else ()
        return seconds((*argv, "push", *insecure, name), env)

    return measure([tool for tool in tools if tool != "skopeo"], runs, once)


def pull_case(tools, runs, directory, name):
    rounds = iter(range(1000))

    def once(tool):
        argv, env = tools[tool]
        number = next(rounds)
        if tool == "wherry":
            env = {**env, "WHERRY_ROOT": f"{directory}/pull{number}", "WHERRY_RUN": f"{directory}/pull{number}-run"}
            return seconds((*argv, "pull", name), env)
        if tool == "docker":
            bench.quiet((*argv, "rmi", "-f", name), env, check=False)
            bench.quiet((*argv, "image", "prune", "-a", "-f"), env, check=False)
            return seconds((*argv, "pull", name), env)
        storage = f"overlay@{directory}/pull{number}+{directory}/pull{number}-run"
        if tool == "skopeo":
            target = f"containers-storage:[{storage}]{name}"
            return seconds((*argv, "copy", "--src-tls-verify=false", f"docker://{name}", target), env)
        own = ("--root", f"{directory}/pull{number}", "--runroot", f"{directory}/pull{number}-run")
        return seconds((argv[0], *own, "--storage-driver", "overlay", "pull", "--tls-verify=false", name), env)

    return measure(list(tools), runs, once)


def prepare(directory, image):
    """The tools, each with the image in its store."""
    wherry_env = {**os.environ, "WHERRY_ROOT": f"{directory}/wherry", "WHERRY_RUN": f"{directory}/wherry-run"}
    program = shutil.which("wherry") or os.path.join(bench.HERE, "..", ".venv", "bin", "wherry")
    bench.quiet([program, "build", "-t", image, f"{directory}/context"], wherry_env)
    bench.quiet([program, "save", "-o", f"{directory}/image.tar", image], wherry_env)
    tools = {"wherry": ((program,), wherry_env)}
    rootfs = f"{directory}/rootfs"
    bench.make_rootfs(rootfs)
    docker = bench.docker(directory, rootfs)
    if docker is not None:
        bench.quiet((*docker.argv, "load", "-i", f"{directory}/image.tar"), docker.env)
        tools["docker"] = (docker.argv, docker.env)
    podman = bench.podman(directory, rootfs)
    if podman is not None:
        bench.quiet((*podman.argv, "load", "-i", f"{directory}/image.tar"), podman.env)
        tools["podman"] = (podman.argv, podman.env)
    if shutil.which("skopeo"):
        tools["skopeo"] = (("skopeo",), dict(os.environ))
    return tools


def row(title, values, tools, target):
    cells = [f"{values[name]:.1f}" if name in values else "-" for name in tools]
    peers = {name: value for name, value in values.items() if name != "wherry"}
    best = min(peers, key=peers.get) if peers else ""
    ratio = f"{values['wherry'] / peers[best]:.2f} ({best})" if best else "-"
    by_docker = f"{values['wherry'] / values['docker']:.2f}" if "docker" in values else "-"
    print(f"| {title} (s) | {' | '.join(cells)} | {ratio} | {by_docker} | {target} |", flush=True)


def run(directory, runs):
    registry = Registry(directory)
    image = f"{registry.address}/bench/large:1"
    try:
        os.makedirs(f"{directory}/context")
        size = write_context(f"{directory}/context")
        registry.empty()
        tools = prepare(directory, image)
        print(f"\nImage of {size / 1e9:.2f} GB in {LAYERS} layers; medians of {runs}, {time.strftime('%Y-%m-%d')}.\n")
        print(f"| what | {' | '.join(tools)} | to the best peer | to docker | wanted |")
        print(f"|---|{'---|' * (len(tools) + 3)}")
        pushed = push_case(tools, runs, registry, image)
        row("push to an empty docker-registry", pushed, tools, "0.3 of docker")
        ours = Registry(directory, tools["wherry"][0])
        try:
            name = f"{ours.address}/bench/large:1"
            bench.quiet((*tools["wherry"][0], "tag", image, name), tools["wherry"][1])
            to_ours = push_case({"wherry": tools["wherry"]}, runs, ours, name)
        finally:
            ours.stop()
        row(
            "push to an empty registry of Wherry's; docker to docker-registry",
            {**pushed, **to_ours},
            tools,
            "0.3 of docker",
        )
        pusher = "docker" if "docker" in tools else "wherry"
        registry.empty()
        seconds((*tools[pusher][0], "push", image), tools[pusher][1])
        row("pull into an empty store", pull_case(tools, runs, directory, image), tools, "0.5 of the best")
    finally:
        registry.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    if not shutil.which("docker-registry"):
        print("docker-registry is not installed: transfers are not measured")
        return
    with bench.place() as directory:
        run(directory, arguments.runs)


if __name__ == "__main__":
    main()
