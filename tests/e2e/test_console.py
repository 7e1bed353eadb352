"""The console in a real browser: logging in, acting, what is live, and how it looks at any size."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from console_process import ConsoleProcess
from deploying import service
from example import BIZZA, free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

HERE = Path(__file__).parent
PROGRAM = HERE.parent / "console_process.py"
PYTHON = f"{BIZZA}/e2e/.venv/bin/python"


def walk(name, **settings):
    """Run what is in walk/ by Playwright's own Python. The words that it said."""
    if not os.path.exists(PYTHON):
        pytest.skip("Playwright is not there: `script/bootstrap --dev` installs it")
    if not os.path.exists("/usr/bin/chromium"):
        pytest.skip("Debian's Chromium is not there: `script/bootstrap --dev` installs it")
    options = ("-c", os.devnull, "-p", "no:cacheprovider", "--noconftest", "-p", "browsing", "--tb=short")
    done = subprocess.run(
        [PYTHON, "-m", "pytest", *options, f"{HERE}/walk/{name}"],
        env={**os.environ, "PYTHONPATH": f"{HERE.parent}:{HERE}/walk", **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "skipped" not in done.stdout, done.stdout


@pytest.fixture
def console(tmp_path):
    environment = {**os.environ, "WHERRY_ROOT": f"{tmp_path}/root", "WHERRY_RUN": f"{tmp_path}/run"}
    with ConsoleProcess([sys.executable, str(PROGRAM)], environment, tmp_path) as running:
        yield running


def test_a_browser_walks_through_the_console(console):
    walk("walk_console.py", CONSOLE_URL=console.url)


@pytest.mark.root
def test_a_browser_looks_after_an_environment(commands, tmp_path):
    for says in ("one", "two"):
        commands.write("shop", {"web": service(says)}, file=f"{says}.yaml")
    commands.write("shop", {"web": service("never", command=["sleep", "1000"])}, file="never.yaml")
    settings = ("min=2", "drain=15", "health.interval=0.5", "health.healthy=1")
    commands("env", "create", "shop", "-f", "one.yaml", *(word for one in settings for word in ("--set", one)))
    for role in ("admin", "viewer"):
        password = f"{role}-password\n".encode()
        commands("serve", "user", "add", role, "--role", role, "--password-stdin", stdin=password)
    (tmp_path / "shots").mkdir()
    walk(
        "walk_environment.py",
        **commands.environment,
        WHERRY=json.dumps([sys.executable, "-I", "-m", "wherry"]),
        PROJECT=str(tmp_path),
        SHOP_PORT=str(commands.port),
        CONSOLE_LISTEN=f"127.0.0.1:{free_port()}",
        CONSOLE_SHOTS=f"{tmp_path}/shots",
    )
