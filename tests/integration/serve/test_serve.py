"""`wherry serve` as a process: who comes in, what it answers, and how it ends."""

import base64
import http.client
import os
import re
import signal
import sqlite3
import subprocess
import sys
import urllib.error

import pytest

from console_process import Client, ConsoleProcess
from exposition import parse_exposition
from wherry.deploy.certificates import LocalAuthority

WHERRY = (sys.executable, "-I", "-m", "wherry")


class Installed:
    """An installation of its own; no containers."""

    def __init__(self, directory):
        self.directory = directory
        self.environment = {**os.environ, "WHERRY_ROOT": f"{directory}/root", "WHERRY_RUN": f"{directory}/run"}
        self.running = []

    def __call__(self, *arguments, stdin="", check=True):
        done = subprocess.run(
            [*WHERRY, "serve", *arguments],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def start(self, *options):
        argv = [*WHERRY, "serve", "--listen", "127.0.0.1:0", "--period", "0.2", *options]
        self.running.append(ConsoleProcess(argv, self.environment, self.directory))
        return self.running[-1].start()


@pytest.fixture
def installed(tmp_path):
    made = Installed(tmp_path)
    yield made
    for one in made.running:
        if one.process.poll() is None:
            one.end(signal.SIGKILL)


def add(installed, name, role):
    installed("user", "add", name, "--role", role, "--password-stdin", stdin=f"{name}-password\n")


def test_people_are_kept_by_the_command_line(installed):
    add(installed, "ana", "admin")
    add(installed, "ben", "viewer")
    assert installed("user", "ls", "--format", "{{.Name}} {{.Role}}").stdout == "ana admin\nben viewer\n"
    installed("user", "role", "ben", "operator")
    installed("user", "rm", "ana")
    assert installed("user", "ls", "--format", "{{.Name}} {{.Role}}").stdout == "ben operator\n"
    for arguments, said in (
        (("user", "add", "ben", "--password-stdin"), "is there already"),
        (("user", "add", "cy", "--role", "king", "--password-stdin"), "no role"),
        (("user", "add", "cy", "--password-stdin"), "fewer than 8"),
        (("user", "add", "cy"), "no terminal"),
        (("user", "passwd", "ben", "--password-stdin"), "fewer than 8"),
        (("user", "passwd", "cy", "--password-stdin"), "no user cy"),
        (("--period", "0"), "invalid --period"),
        (("--listen", "nonsense"), "nonsense"),
        (("--tls-cert", "x"), "go together"),
    ):
        done = installed(*arguments, stdin="short", check=False)
        assert done.returncode != 0
        assert said in done.stderr, arguments
        assert "bug" not in done.stderr


def test_nobody_comes_in_before_there_is_somebody_and_then_at_once(installed):
    console = installed.start()
    assert "Nobody can log in yet" in console.output()
    client = Client(console.url)
    assert client("/health") == (200, "ok\n")
    assert client("/")[0] == 303
    assert client("/metrics")[0] == 401
    assert "wherry serve user add" in client("/log-in")[1]
    assert client("/log-in", {"name": "ana", "password": "ana-password"})[0] == 401
    add(installed, "ana", "admin")
    assert client("/log-in", {"name": "ana", "password": "ana-password"})[0] == 303
    status, page = client("/")
    assert (status, "There is no environment yet" in page) == (200, True)
    assert client("/audit")[0] == 200
    csrf = re.search('name="csrf" value="([^"]+)"', page)[1]
    assert client("/log-out", {"csrf": csrf})[0] == 303
    assert client("/")[0] == 303
    told = installed("audit", "--format", "{{.Who}} {{.Action}} {{.Result}}").stdout
    assert told.splitlines() == ["ana log-out done", "ana log-in done", "ana log-in wrong name or password"]


def test_figures_are_answered_to_a_name_and_password(installed):
    add(installed, "ana", "viewer")
    client = Client(installed.start().url)
    credentials = base64.b64encode(b"ana:ana-password").decode()
    status, text = client("/metrics", Authorization=f"Basic {credentials}")
    assert (status, parse_exposition(text)) == (200, {})  # there is no environment
    assert client("/metrics", Authorization="Basic YW5hOndyb25n")[0] == 401


def test_with_a_certificate_it_is_https_alone(installed, tmp_path):
    add(installed, "ana", "viewer")
    authority = LocalAuthority(str(tmp_path / "authority"))
    pem = authority.issue("console", ["localhost"]).pem
    (tmp_path / "both.pem").write_text(pem)
    console = installed.start("--tls-cert", str(tmp_path / "both.pem"), "--tls-key", str(tmp_path / "both.pem"))
    assert console.url.startswith("https://127.0.0.1:")
    client = Client(console.url.replace("127.0.0.1", "localhost"), authority.certificate())
    assert client("/health") == (200, "ok\n")
    assert client("/log-in", {"name": "ana", "password": "ana-password"})[0] == 303
    assert client("/")[0] == 200
    [cookie] = client.cookies
    assert (cookie.secure, cookie.has_nonstandard_attr("HttpOnly")) == (True, True)
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        Client(client.url)("/health")
    with pytest.raises(http.client.BadStatusLine):  # an alert of TLS
        Client(console.url.replace("https:", "http:"))("/health")
    assert console.end() == 0, console.errors()

    (tmp_path / "other.pem").write_text(LocalAuthority(str(tmp_path / "other")).issue("console", ["localhost"]).pem)
    for certificate, key, said in (
        ("both.pem", "other.pem", "cannot use the certificate"),
        ("both.pem", "gone.pem", "cannot read"),
    ):
        done = installed("--tls-cert", str(tmp_path / certificate), "--tls-key", str(tmp_path / key), check=False)
        assert (done.returncode, said in done.stderr) == (1, True), done.stderr


def test_it_ends_at_sigterm_with_pages_open_and_there_is_one(installed):
    add(installed, "ana", "viewer")
    console = installed.start()
    second = installed("--listen", "127.0.0.1:0", check=False)
    assert (second.returncode, "another `wherry serve`" in second.stderr) == (1, True)
    client = Client(console.url)
    client("/log-in", {"name": "ana", "password": "ana-password"})
    live = client._opener.open(console.url + "/live", timeout=30)
    assert live.readline().startswith(b"data: {")
    assert console.end() == 0, console.errors()
    assert live.read().strip().count(b"data:") == 0  # the page was told nothing more, and let go
    assert '"event":"stopping"' in console.errors()


def test_after_a_kill_the_next_one_goes_on_with_the_same_sessions(installed):
    add(installed, "ana", "viewer")
    console = installed.start()
    client = Client(console.url)
    client("/log-in", {"name": "ana", "password": "ana-password"})
    assert console.end(signal.SIGKILL) == -signal.SIGKILL
    client.url = installed.start().url
    assert client("/")[0] == 200
    with sqlite3.connect(f"{installed.environment['WHERRY_ROOT']}/wherry.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        tokens = database.execute("SELECT token FROM sessions").fetchall()
    assert all(re.fullmatch("[0-9a-f]{64}", token) for (token,) in tokens)  # hashes: what a browser has is not kept
