"""Bizza, whole: from its source through a registry to another machine's store, in a browser, and by its own tests."""

import http.cookiejar
import json
import os
import subprocess
import urllib.error
import urllib.request

import pytest

from example import BIZZA, Project, free_port
from installation import Installation

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(2400)]

PARTS = ("db", "backend", "frontend")
ADA = {"name": "Ada Lovelace", "email": "ada@example.org", "password": "a long password"}


class Visitor:
    """Somebody with a browser's cookies and no browser."""

    def __init__(self, url):
        self.url, self._csrf = url, None
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(jar)

    def __call__(self, method, path, body=None):
        """The status and what was answered: text, or what JSON says."""
        headers = {"Content-Type": "application/json", **({"X-CSRF-Token": self._csrf} if self._csrf else {})}
        data = None if body is None else json.dumps(body).encode()
        try:
            answer = self._opener.open(
                urllib.request.Request(self.url + path, data, headers, method=method), timeout=30
            )
        except urllib.error.HTTPError as refused:
            answer = refused
        with answer:
            text = answer.read().decode()
        if "json" not in answer.headers.get("Content-Type", ""):
            return answer.status, text
        said = json.loads(text)
        self._csrf = said.get("csrf", self._csrf)
        return answer.status, said

    def health(self):
        """What the back end says of itself, asked through nginx; nothing where it cannot be reached."""
        try:
            status, said = self("GET", "/api/health")
        except OSError:
            return None
        return said if status == 200 else None

    def log_in(self):
        return self("POST", "/api/session", {name: ADA[name] for name in ("email", "password")})[0]


# --- the registry


@pytest.fixture
def registry(registry_server):
    """A registry that wants a log-in: `builder` may push and pull Bizza, `shop` may only pull it."""
    for name, grant in (("builder", "bizza-*=push,pull"), ("shop", "bizza-*=pull")):
        registry_server.verb("user", "add", name, "--password-stdin", "--grant", grant, stdin=f"{name}-secret")
    return registry_server.start()


def log_in(installation, registry, name):
    installation("login", "-u", name, "--password-stdin", registry.address, stdin=f"{name}-secret".encode())


@pytest.fixture
def elsewhere(tmp_path):
    """Another machine's store, empty."""
    there = Installation(tmp_path / "elsewhere")
    yield there
    there.destroy()


@pytest.fixture
def short_form(elsewhere, registry, tmp_path):
    """compose.classic.yaml there, on ports that are free; the back end's and the database's are not asked for."""
    ports = tmp_path / "ports.yaml"
    ports.write_text(
        "services:\n"
        f"  frontend: {{ports: !override ['127.0.0.1:{free_port()}:80']}}\n"
        "  backend: {ports: !override []}\n"
        "  db: {ports: !override []}\n"
    )
    project = Project(elsewhere, "short", "compose.classic.yaml", str(ports), REGISTRY=registry.address)
    yield project
    project.end()


def test_images_go_by_a_registry_into_a_fresh_store_and_run_from_the_short_form(
    bizza, registry, elsewhere, short_form, eventually
):
    log_in(bizza, registry, "builder")
    for part in PARTS:
        bizza("tag", f"bizza-{part}", f"{registry.address}/bizza-{part}")
        bizza("push", "-q", f"{registry.address}/bizza-{part}")
        bizza("rmi", f"{registry.address}/bizza-{part}")

    assert short_form("up", "-d", check=False).returncode == 1  # nobody has logged in there
    assert elsewhere("images", "-q").out == ""
    log_in(elsewhere, registry, "shop")
    short_form("up", "-d")
    for part in PARTS:
        there = elsewhere.inspect(f"{registry.address}/bizza-{part}")
        assert there["Id"] == bizza.inspect(f"bizza-{part}")["Id"]
    elsewhere("tag", f"{registry.address}/bizza-db", f"{registry.address}/bizza-db:mine")
    assert elsewhere("push", f"{registry.address}/bizza-db:mine", check=False).returncode == 1  # `shop` only pulls

    def visitor():
        port = short_form("port", "frontend", "80").stdout.strip()
        somebody = Visitor(f"http://{port}")
        eventually(somebody.health, 90)
        return somebody

    first = visitor()
    assert first.health() == {"database": "ok", "schema": "0001", "status": "ok"}
    status, page = first("GET", "/")
    assert status == 200
    assert "<title>Bizza</title>" in page
    assert first("POST", "/api/users", ADA)[0] == 201
    assert first.log_in() == 200
    event = first("GET", "/api/events")[1]["items"][0]["id"]
    status, ticket = first("POST", f"/api/events/{event}/tickets", {"badge_name": "Ada"})
    assert status == 201

    short_form("down")
    short_form("up", "-d")
    again = visitor()
    assert again.log_in() == 200
    assert [one["code"] for one in again("GET", "/api/tickets")[1]["items"]] == [ticket["code"]]

    short_form("down", "-v")
    short_form("up", "-d")
    assert visitor().log_in() == 401
    short_form("down", "-v")
    eventually(lambda: not elsewhere.leftovers())


# --- the browser


@pytest.fixture
def site(bizza):
    """Bizza as compose.yaml says, up and healthy; where it is."""
    subprocess.run([f"{BIZZA}/secrets/generate"], check=True)
    port = free_port()
    project = Project(bizza, "walk", BIZZA_PORT=port)
    try:
        project("up", "-d", "--build", "--wait")
        yield f"http://127.0.0.1:{port}"
    finally:
        project.end()


def test_a_browser_walks_through_the_site(site):
    python = f"{BIZZA}/e2e/.venv/bin/python"
    if not os.path.exists(python):
        pytest.skip("Playwright is not there: `script/bootstrap --dev` installs it")
    if not os.path.exists("/usr/bin/chromium"):
        pytest.skip("Debian's Chromium is not there: `script/bootstrap --dev` installs it")
    settings = {"BIZZA_URL": site, "BIZZA_ORGANISER_PASSWORD_FILE": f"{BIZZA}/secrets/organiser_password.txt"}
    done = subprocess.run(
        [python, "-m", "pytest", "-p", "no:cacheprovider", "--tb=short", f"{BIZZA}/e2e"],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "skipped" not in done.stdout, done.stdout


# --- its own tests, in containers


@pytest.fixture
def own_tests(bizza):
    project = Project(bizza, "bizza-tests", "compose.test.yaml")
    yield project
    project.end()


def test_the_back_end_passes_its_own_tests(own_tests):
    own_tests("build", "backend", timeout=1200)
    ran = own_tests("run", "--rm", "-T", "backend", timeout=900)
    assert " passed" in ran.stdout
    assert "skipped" not in ran.stdout, ran.stdout


def test_the_front_end_passes_lint_types_and_its_own_tests(own_tests):
    own_tests("build", "frontend", timeout=1200)
