"""`script/demo` from nothing, as a new user runs it, and again: the second time must be safe and find everything."""

import json
import os
import re
import signal
import subprocess
import urllib.request

import pytest

from example import ROOT, Project, free_port


@pytest.fixture
def demo(kept):
    """Runs the demo, and takes away what it leaves running."""
    ports = {f"WHERRY_DEMO_{name}PORT": free_port() for name in ("", "REGISTRY_", "SITE_", "BALANCER_")}
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
    try:
        with open(f"{kept.root}/demo-registry/pid") as file:
            pid = int(file.read())
        waiting = os.pidfd_open(pid)
        signal.pidfd_send_signal(waiting, signal.SIGTERM)
        os.close(waiting)
    except (FileNotFoundError, ProcessLookupError):
        pass
    kept("rm", "-f", "wherry-demo", check=False)
    kept("env", "terminate", "bizza", "-y", "--purge", "--volumes", check=False)
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
