"""Bizza, the example application, in an installation that is kept from run to run.

The first run builds base images and Bizza from nothing; the next finds them, as a developer's second build does.
"""

import os
import socket
import subprocess
import sys

import pytest

from installation import Installation

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BIZZA = f"{ROOT}/examples/bizza"
KEPT = f"{ROOT}/.cache/e2e"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


class Project:
    """`wherry compose` for Bizza in an installation, under a name of its own; `settings` are variables of its files."""

    def __init__(self, installation, name, *files, **settings):
        self.installation = installation
        self.environment = {**installation.environment, **settings}
        self._words = ("-p", name, *(word for file in files for word in ("-f", file)))

    def __call__(self, *arguments, check=True, timeout=900):
        argv = [sys.executable, "-I", "-m", "wherry", "compose", *self._words, *arguments]
        done = subprocess.run(
            argv, env=self.environment, cwd=BIZZA, capture_output=True, text=True, check=False, timeout=timeout
        )
        assert done.returncode == 0 or not check, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def end(self):
        self("down", "-v", "--remove-orphans", "-t", "2")


def sweep(installation):
    for identifier in installation("ps", "-aq").out.split():
        installation("rm", "-f", "-v", identifier)
    installation("network", "prune", "-f")
    for name in installation("volume", "ls", "-q").out.split():
        installation("volume", "rm", name)


@pytest.fixture(scope="session")
def kept(tmp_path_factory):
    """The kept installation. Containers go at the end, and those of a run that was killed before; images stay."""
    if os.geteuid():
        pytest.skip("containers need root")
    installation = Installation(KEPT)
    installation.run = installation.environment["WHERRY_RUN"] = f"{tmp_path_factory.mktemp('e2e')}/run"
    sweep(installation)
    yield installation
    sweep(installation)
    installation.destroy()


@pytest.fixture(scope="session")
def bizza(kept):
    """The kept installation with Bizza's three images in it, built from compose.yaml."""
    kept("base", "build", "--if-missing", "debian", "python", "node", "nginx", "postgres", timeout=1500)
    Project(kept, "bizza")("build", timeout=1500)
    return kept
