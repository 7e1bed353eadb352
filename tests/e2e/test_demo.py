"""`script/demo` from nothing, as a new user runs it, and again: the second time must be safe and find everything."""

import json
import os
import re
import select
import signal
import subprocess
import urllib.request

import pytest

from example import ROOT, Project, free_port


def end(path):
    """End the process whose number a file holds, and wait until it has ended; harmless where there is none."""
    try:
        with open(path) as file:
            waiting = os.pidfd_open(int(file.read()))
    except (FileNotFoundError, ProcessLookupError):
        return
    signal.pidfd_send_signal(waiting, signal.SIGTERM)
    select.select([waiting], [], [], 30)
    os.close(waiting)


@pytest.fixture
def demo(kept):
    """Runs the demo, and takes away what it leaves running."""
    ports = {f"WHERRY_DEMO_{name}PORT": free_port() for name in ("", "REGISTRY_", "SITE_", "BALANCER_", "CONSOLE_")}
    environment = {**kept.environment, **ports}

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
    for name in ("demo-registry", "demo-deploy"):
        end(f"{kept.root}/{name}/pid")
    kept("rm", "-f", "wherry-demo", check=False)
    kept("env", "terminate", "bizza", "-y", "--purge", "--volumes", check=False)
    kept("rm", "-f", "wherry-balancer", check=False)
    Project(kept, "bizza").end()


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(2900)
def test_the_demo_does_the_whole_job_twice(demo):
    for _ in range(2):
        shown = demo()
        assert shown.count("Bizza Web App Dockerization!") == 2
        assert "wherry compose up -d --build --wait" in shown
        address = re.search(r"The conference site: +(http://\S+)", shown)[1]
        with urllib.request.urlopen(f"{address}/api/health", timeout=10) as answer:
            assert json.load(answer)["status"] == "ok"
        counts = re.findall(r"Requests meanwhile: (\d+), failed: (\d+)", shown)
        assert [failed for _, failed in counts] == ["0", "0", "0"]  # a new version, one that fails, the way back
        assert all(int(sent) > 100 for sent, _ in counts)
        assert "| grep edition\nThe second edition\n" in shown
        assert "It was taken back by itself." in shown
        console = re.search(r"The console: +(http://[^,\s]+)", shown)[1]
        with urllib.request.urlopen(f"{console}/log-in", timeout=10) as answer:
            assert answer.status == 200
