"""The console's pages and forms, called as a browser would, over views that are made up."""

import asyncio
import json
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest

from wherry.base.errors import Conflict, NotFound
from wherry.registry.throttle import Throttle
from wherry.serve.console import Console
from wherry.serve.people import People
from wherry.serve.views import (
    Chart,
    DeploymentView,
    EnvironmentView,
    EventView,
    InstanceView,
    LogView,
    SettingView,
    SummaryView,
)
from wherry.store.database import Database

EVIL = "<script>alert(1)</script>"
SUMMARY = SummaryView(
    "shop", "bizza", "shop.localhost", "http://shop.localhost", "Ready", "yellow", "Warning", [EVIL], "v2", 2, 12.5
)
INSTANCE = InstanceView("i-1", "v2", "green", "Ok", [], 100, False, 1.8e9, 6.1, 0.0, 12.0, 3.2, 52_000_000)
DEPLOYMENT = DeploymentView(2, "deploy", 1.8e9, "ana", "v1", "v2", "rolling", "succeeded", "", 12.0, EVIL)


class FakeViews:
    def __init__(self):
        self.acted = []

    def summaries(self):
        return [SUMMARY]

    def environment(self, name):
        if name != "shop":
            raise NotFound(f"there is no environment {name}")
        chart = Chart("Requests", "/s", [(1.0, 2.0), (2.0, 4.0)])
        return EnvironmentView(SUMMARY, "", [], [INSTANCE], [chart], [DEPLOYMENT], 2, 1, 4)

    def events(self, name, limit):
        return [EventView(1.8e9, "WARN", EVIL)][:limit]

    def logs(self, name, limit, instance="", service=""):
        return [LogView(1.8e9, "i-1", "web", 2, EVIL)]

    def settings(self, name):
        return [SettingView("drain", "20", True, "seconds")]

    def act(self, action, name, values, who):
        if action == "abort":
            raise Conflict("nothing is under way")
        self.acted.append((action, name, dict(values), who))
        return f"{action} begun"

    def metrics(self):
        return "wherry_up 1\n"


class Browser:
    """Keeps a cookie, and says where its forms come from as browsers do."""

    def __init__(self, console):
        self._console = console
        self.cookie = ""

    def __call__(self, method, path, form=None, **headers):
        body = urlencode(form or {}).encode()
        path, _, query = path.partition("?")
        sent = {"host": "console:7000", "cookie": self.cookie, **headers}
        if method == "POST":
            sent = {"content-type": "application/x-www-form-urlencoded", "origin": "http://console:7000", **sent}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
            "scheme": "http",
            "client": ("127.0.0.1", 1),
            "server": ("console", 7000),
            "http_version": "1.1",
            "root_path": "",
        }
        messages = []

        given = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive():
            return next(given, None) or await asyncio.Event().wait()

        async def send(message):
            messages.append(message)

        asyncio.run(self._console(scope, receive, send))
        headers = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
        if "set-cookie" in headers:
            self.cookie = headers["set-cookie"].partition(";")[0]
        text = b"".join(message.get("body", b"") for message in messages[1:]).decode()
        return messages[0]["status"], headers, text


@pytest.fixture
def views():
    return FakeViews()


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    made = People(Database(f"{tmp_path_factory.mktemp('people')}/db"), lambda: 1_800_000_000_000_000_000)
    for role in ("viewer", "operator", "admin"):
        made.add(role, f"{role} password", role)
    return made


@pytest.fixture
def browser(views, people):
    made = Browser(Console(views, people, Throttle(lambda: 0.0), is_open=False))
    made.people = people
    return made


def log_in(browser, role):
    status, headers, _ = browser("POST", "/log-in", {"name": role, "password": f"{role} password"})
    assert (status, headers["location"]) == (303, "/")
    return browser.people.session(browser.cookie.partition("=")[2]).csrf


PAGES = (
    "/",
    "/environments/shop",
    "/environments/shop/events",
    "/environments/shop/logs",
    "/environments/shop/settings",
)


def test_nobody_sees_anything_without_logging_in(browser):
    for path in (*PAGES, "/audit"):
        assert browser("GET", path)[:2][0] == 303
    assert browser("GET", "/environments/shop/live")[0] == 401
    assert browser("GET", "/metrics")[0] == 401
    assert browser("POST", "/environments/shop/rollback")[0] == 303
    assert browser("GET", "/health")[2] == "ok\n"
    assert "console.css" in browser("GET", "/log-in")[2]
    assert browser("GET", "/static/console.css")[0] == 200


def test_pages_show_what_there_is_and_escape_it(browser):
    log_in(browser, "viewer")
    for path in PAGES:
        status, headers, text = browser("GET", path)
        assert status == 200, text
        assert EVIL not in text
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
    page = browser("GET", "/environments/shop")[2]
    assert "i-1" in page
    assert "polyline" in page
    assert "Roll back" not in page  # a viewer has no buttons
    assert browser("GET", "/metrics")[2] == "wherry_up 1\n"
    assert browser("GET", "/environments/nowhere")[0] == 404


def test_forms_do_what_the_role_allows_and_are_written_down(browser, views):
    csrf = log_in(browser, "operator")
    status, headers, _ = browser("POST", "/environments/shop/scale", {"csrf": csrf, "count": "3"})
    assert (status, headers["location"]) == (303, "/environments/shop?said=scale+begun")
    assert views.acted == [("scale", "shop", {"count": "3"}, "operator")]
    status, _, text = browser("POST", "/environments/shop/set", {"csrf": csrf, "setting": "drain", "value": "5"})
    assert (status, "takes the role admin" in text) == (403, True)
    status, _, text = browser("POST", "/environments/shop/abort", {"csrf": csrf})
    assert (status, "nothing is under way" in text) == (409, True)
    assert browser("POST", "/environments/shop/explode", {"csrf": csrf})[0] == 404
    assert len(views.acted) == 1
    noted = [(one.action, one.result) for one in browser.people.entries(3)]
    assert ("abort", "nothing is under way") in noted
    assert ("scale", "done") in noted
    assert browser("GET", "/audit")[0] == 403


@pytest.mark.parametrize(
    ("form", "headers"),
    [
        ({}, {}),
        ({"csrf": "guessed"}, {}),
        ({"csrf": None}, {"origin": "http://evil:7000"}),
        ({"csrf": None}, {"origin": "null"}),
        ({"csrf": None}, {"sec-fetch-site": "cross-site"}),
    ],
)
def test_a_form_of_another_page_does_nothing(browser, views, form, headers):
    csrf = log_in(browser, "admin")
    values = {name: csrf if value is None else value for name, value in form.items()}
    assert browser("POST", "/environments/shop/rollback", values, **headers)[0] == 403
    assert views.acted == []


def test_wrong_passwords_are_slowed_down_and_then_refused(people, views, monkeypatch):
    waited = []

    async def sleep(seconds):
        waited.append(seconds)

    monkeypatch.setattr("asyncio.sleep", sleep)
    browser = Browser(Console(views, people, Throttle(lambda: 0.0), is_open=False))
    statuses = [browser("POST", "/log-in", {"name": "x", "password": "y"})[0] for _ in range(11)]
    assert statuses == [401] * 10 + [429]
    assert waited[0] == 0.0
    assert max(waited) > 1.0
    assert people.entries(1)[0].result == "wrong name or password"


def test_logging_out_ends_the_session(browser):
    csrf = log_in(browser, "viewer")
    kept = browser.cookie
    assert browser("POST", "/log-out", {"csrf": csrf})[0] == 303
    browser.cookie = kept
    assert browser("GET", "/")[0] == 303


def test_an_open_page_is_told_what_changed_and_only_that(people, views):
    console = Console(views, people, Throttle(lambda: 0.0), is_open=False)
    browser = Browser(console)
    browser.people = people
    log_in(browser, "viewer")
    session = people.session(browser.cookie.partition("=")[2])

    async def look():
        asking = SimpleNamespace(cookies=dict([browser.cookie.split("=", 1)]))
        parts = console._parts("shop", asking, session)
        first = json.loads((await anext(parts)).decode().removeprefix("data: "))
        console.stopping.set()
        assert [part async for part in parts] == []
        return first

    first = asyncio.run(look())
    assert set(first) == {"summary", "operation", "instances", "charts", "deployments", "events"}
    assert "&lt;script&gt;" in first["events"]
