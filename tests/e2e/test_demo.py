"""`script/demo` from nothing, as a new user runs it, and again: the second time must be safe and find everything."""

import os
import signal
import socket
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture
def demo(wherry, tmp_path_factory):
    """Runs the demo in an installation of its own, and takes away what it leaves running."""
    there = type(wherry)(tmp_path_factory.mktemp("demo"))
    ports = {"WHERRY_DEMO_PORT": free_port(), "WHERRY_DEMO_REGISTRY_PORT": free_port()}
    environment = {**there.environment, **ports}

    def run():
        done = subprocess.run(
            ["bash", "script/demo"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=1400,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    yield run
    try:
        with open(f"{there.root}/demo-registry/pid") as file:
            pid = int(file.read())
        waiting = os.pidfd_open(pid)
        signal.pidfd_send_signal(waiting, signal.SIGTERM)
        os.close(waiting)
    except (FileNotFoundError, ProcessLookupError):
        pass
    there("rm", "-f", "wherry-demo", check=False)
    there.destroy()


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(2900)
def test_the_demo_does_the_whole_job_twice(demo):
    for _ in range(2):
        shown = demo()
        assert shown.count("Bizza Web App Dockerization!") == 2
        assert "It runs, from the registry." in shown
