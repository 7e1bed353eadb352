"""The console in a real browser: logging in, acting, what is live, and how it looks at any size."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from console_process import ConsoleProcess
from example import BIZZA

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

HERE = Path(__file__).parent
PROGRAM = HERE.parent / "console_process.py"


@pytest.fixture
def console(tmp_path):
    environment = {**os.environ, "WHERRY_ROOT": f"{tmp_path}/root", "WHERRY_RUN": f"{tmp_path}/run"}
    running = ConsoleProcess([sys.executable, str(PROGRAM)], environment, tmp_path)
    try:
        yield running.start()
    finally:
        running.end()


def test_a_browser_walks_through_the_console(console):
    python = f"{BIZZA}/e2e/.venv/bin/python"
    if not os.path.exists(python):
        pytest.skip("Playwright is not there: `script/bootstrap --dev` installs it")
    if not os.path.exists("/usr/bin/chromium"):
        pytest.skip("Debian's Chromium is not there: `script/bootstrap --dev` installs it")
    done = subprocess.run(
        [
            python,
            "-m",
            "pytest",
            "-c",
            os.devnull,
            "-p",
            "no:cacheprovider",
            "--noconftest",
            "--tb=short",
            f"{HERE}/walk/walk_console.py",
        ],
        env={**os.environ, "CONSOLE_URL": console.url},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:] + console.errors()[-2000:]
    assert "skipped" not in done.stdout, done.stdout
