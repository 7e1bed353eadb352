"""Building the three images of examples/bizza from nothing, and again unchanged, beside Docker's BuildKit; Markdown.

Both tools have the same base images. What pip and npm would download lies in these already, so that the network
does not decide; with --downloads it is fetched in every build from nothing, as the Dockerfiles say. "From nothing" is
--no-cache with present base images. Wherry is asked by `compose build`, Docker by three `docker build` at once.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from typing import NamedTuple

import bench

BIZZA = os.path.join(os.path.dirname(bench.HERE), "examples", "bizza")
PARTS = ("db", "backend", "frontend")
CA = "/etc/ssl/certs/ca-certificates.crt"
BASES = {"python:3.11": "backend", "node:20": "frontend", "nginx:latest": "", "postgres:15": ""}

# What lies in the bases: the packages, or only the certificates by which this machine reaches them.
_PACKAGES = {
    "python:3.11": "COPY backend/requirements.txt /wheels/\n"
    "RUN pip download -q --require-hashes -d /wheels -r /wheels/requirements.txt\n"
    "ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels\n",
    "node:20": "COPY frontend/package.json frontend/package-lock.json frontend/.npmrc /prime/\n"
    "RUN cd /prime && npm ci --no-audit --no-fund && rm -rf node_modules\n"
    "ENV npm_config_offline=true\n",
}
_CERTIFICATES = (
    "COPY ca.crt /etc/ssl/certs/ca-certificates.crt\n"
    f"ENV PIP_CERT={CA} SSL_CERT_FILE={CA} NODE_EXTRA_CA_CERTS={CA} npm_config_cafile={CA}\n"
)


class Builder(NamedTuple):
    """A tool, and its command for all three images; what else is given to the build comes last."""

    name: str
    argv: tuple[str, ...]
    env: dict[str, str]


def piped(source, source_env, target, target_env):
    reading = subprocess.Popen(source, env=source_env, stdout=subprocess.PIPE)
    bench.quiet(target, target_env, stdin=reading.stdout)
    if reading.wait():
        raise RuntimeError(f"{source} failed")


def prepare_bases(tool, directory, downloads):
    """The base images in the bench's own store: from the default installation, with what the builds need in them."""
    program = tool.argv[0]
    bench.quiet([program, "base", "build", "--if-missing", "debian", "python", "node", "nginx", "postgres"])
    piped([program, "save", *BASES], None, [program, "load"], tool.env)
    context = f"{directory}/bases"
    shutil.copytree(BIZZA, context, ignore=shutil.ignore_patterns("node_modules", ".venv", "secrets"))
    shutil.copy(CA, f"{context}/ca.crt")
    for base, part in BASES.items():
        if part:
            with open(f"{context}/Dockerfile", "w") as file:
                file.write(f"FROM {base}\n{_CERTIFICATES if downloads else _PACKAGES[base]}")
            bench.quiet([program, "build", "-t", base, context], tool.env)


def builders(wherry, docker):
    found = [Builder("wherry", (*wherry.argv, "compose", "--progress", "quiet", "build"), wherry.env)]
    if docker is not None:
        script = "".join(
            f'/usr/bin/docker build -q -t bizza-{part} "$@" {BIZZA}/{part} & p{number}=$!\n'
            for number, part in enumerate(PARTS)
        )
        waits = "".join(f"wait $p{number} || exit 1\n" for number in range(len(PARTS)))
        found.append(Builder("docker", ("sh", "-c", script + waits, "sh"), docker.env))
    return found


def measure(directory, runs, downloads):
    rootfs = f"{directory}/rootfs"
    bench.make_rootfs(rootfs)
    docker = bench.docker(directory, rootfs)
    wherry = bench.wherry(directory)
    prepare_bases(wherry, directory, downloads)
    if docker is not None:
        piped([wherry.argv[0], "save", *BASES], wherry.env, [*docker.argv, "load"], docker.env)
    tools = builders(wherry, docker)
    os.chdir(BIZZA)
    names = [tool.name for tool in tools]
    where = "downloads included" if downloads else "packages in the base images"
    print(f"| what | {' | '.join(names)} | to the best peer | wanted |\n|---|{'---|' * len(names)}---|---|")
    for title, more, wanted in (("from nothing", ("--no-cache",), "1"), ("unchanged", (), "0.3")):
        values = bench.medians(tools, runs, lambda tool, _, more=more: bench.timed((*tool.argv, *more), tool.env))
        print(bench.row(f"Bizza's three images {title}, {where}", "s", values, names, wanted), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--downloads", action="store_true", help="fetch packages in every build from nothing")
    arguments = parser.parse_args()
    with bench.place() as directory:
        measure(directory, arguments.runs, arguments.downloads)


if __name__ == "__main__":
    main()
