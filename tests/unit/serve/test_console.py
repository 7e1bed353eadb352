"""The console's pages and forms, called as a browser would, over views that are made up."""

import asyncio
import base64
import json
from urllib.parse import urlencode

import pytest
from starlette.requests import Request

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
    Line,
    LogView,
    SettingView,
    SummaryView,
    VariableView,
    VersionView,
)
from wherry.store.database import Database

EVIL = "<script>alert(1)</script>"
SUMMARY = SummaryView(
    "shop", "bizza", "shop.localhost", "http://shop.localhost", "Ready", "yellow", "Warning", [EVIL], "v2", 2, 2, 12.5
)
INSTANCE = InstanceView("i-1", "v2", "green", "Ok", [], 100, False, 1.8e9, 6.1, 0.0, 12.0, 3.2, 52_000_000)
DEPLOYMENT = DeploymentView(1, "deploy", 1.8e9, "ana", "", "v1", "rolling", "succeeded", EVIL, 12.0, EVIL, False, True)
SECRET = VariableView("TOKEN", "secret")


class FakeViews:
    def __init__(self):
        self.acted = []
        self.operation = EVIL

    def summaries(self):
        return [SUMMARY]

    def environment(self, name, seconds):
        if name != "shop":
            raise NotFound(f"there is no environment {name}")
        chart = Chart(EVIL, "/s", [Line(EVIL, [(1.0, 2.0), (2.0, 4.0)])], 0.0, seconds or 1.0)
        versions = [VersionView("v2", 1.8e9, EVIL), VersionView("v1", 1.8e9, "")]
        steps = [("done", EVIL), ("running", "Start i-2")]
        parts = (self.operation, steps, [INSTANCE], [chart], [DEPLOYMENT], 1, 4, versions, "v1", True, ["blue"])
        return EnvironmentView(SUMMARY, *parts)

    def events(self, name, limit):
        return [EventView(1.8e9, "WARN", EVIL)][:limit]

    def logs(self, name, limit, instance="", service=""):
        return [LogView(1.8e9, "i-1", "web", 2, EVIL)]

    def settings(self, name):
        return [SettingView("drain", "", "20", EVIL), SettingView("tls", "off", "off", "help", EVIL, ("off", "local"))]

    def variables(self, name):
        return [VariableView("A", "variable", "debug-level" + EVIL), SECRET]

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
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items()],
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
    made = Browser(Console(views, people, Throttle(lambda: 0.0)))
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
    assert "<button" not in page.partition("</header>")[2].partition("<dialog")[0]  # a viewer has none
    assert browser("GET", "/metrics")[2] == "wherry_up 1\n"
    assert browser("GET", "/environments/nowhere")[0] == 404


def test_forms_do_what_the_role_allows_and_are_written_down(browser, views):
    csrf = log_in(browser, "operator")
    status, headers, _ = browser("POST", "/environments/shop/scale", {"csrf": csrf, "count": "3"})
    assert (status, headers["location"]) == (303, "/environments/shop")
    assert "scale begun" in browser("GET", "/environments/shop")[2]
    assert "scale begun" not in browser("GET", "/environments/shop")[2]  # it is said once
    assert views.acted == [("scale", "shop", {"count": "3"}, "operator")]
    status, _, text = browser("POST", "/environments/shop/set", {"csrf": csrf, "setting": "drain", "value": "5"})
    assert (status, "takes the role admin" in text) == (403, True)
    status, _, text = browser("POST", "/environments/shop/abort", {"csrf": csrf, "sure": "yes"})
    assert (status, "nothing is under way" in text) == (409, True)
    assert browser("POST", "/environments/shop/explode", {"csrf": csrf})[0] == 404
    assert len(views.acted) == 1
    noted = [(one.action, one.result) for one in browser.people.entries(3)]
    assert ("abort", "nothing is under way") in noted
    assert ("scale 3", "done") in noted
    assert ("set drain 5", "takes the role admin") in noted
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
    browser = Browser(Console(views, people, Throttle(lambda: 0.0)))
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


def test_what_changes_what_runs_is_asked_about_first(browser, views):
    csrf = log_in(browser, "operator")
    form = {"csrf": csrf, "version": "v1" + EVIL}
    status, _, text = browser("POST", "/environments/shop/deploy", form)
    assert (status, views.acted) == (200, [])
    assert "Deploy version v1&lt;script&gt;" in text
    assert 'name="sure" value="yes"' in text
    assert browser("POST", "/environments/shop/deploy", {**form, "sure": "yes"})[0] == 303
    assert views.acted == [("deploy", "shop", {"version": "v1" + EVIL}, "operator")]


def test_what_a_variable_holds_is_for_admins_and_is_not_written_down(browser, views):
    log_in(browser, "operator")
    assert "debug-level" not in browser("GET", "/environments/shop/settings")[2]
    csrf = log_in(browser, "admin")
    assert "debug-level" in browser("GET", "/environments/shop/settings")[2]
    form = {"csrf": csrf, "sure": "yes", "name": "TOKEN", "kind": "secret", "value": "hush"}
    assert browser("POST", "/environments/shop/variable", form)[0] == 303
    assert views.acted[0][2]["value"] == "hush"
    assert browser.people.entries(1)[0].action == "variable secret TOKEN"


def test_figures_are_for_programs_that_give_name_and_password(browser):
    def basic(text):
        return browser("GET", "/metrics", authorization="Basic " + base64.b64encode(text.encode()).decode())

    assert basic("viewer:viewer password")[0] == 200
    for wrong in ("viewer:wrong", "nobody:viewer password", "viewer", ""):
        status, headers, _ = basic(wrong)
        assert (status, "Basic" in headers["www-authenticate"]) == (401, True)
    assert browser("GET", "/metrics", authorization="Basic §§")[0] == 401


def look(console, browser, render, session, path="/"):
    """What an open page is told first, and whether it is left alone when the console stops."""
    request = Request(
        {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": b"",
            "headers": [(b"cookie", browser.cookie.encode())],
            "path_params": {"name": "shop"},
        }
    )

    async def both():
        parts = console._changes(request, render, render(request, console._parts_for(session)))
        first = json.loads((await anext(parts)).decode().removeprefix("data: "))
        console.stopping.set()
        return first, [part async for part in parts]

    return asyncio.run(both())


def test_an_open_page_is_told_what_changed(people, views):
    console = Console(views, people, Throttle(lambda: 0.0))
    browser = Browser(console)
    browser.people = people
    log_in(browser, "viewer")
    session = people.session(browser.cookie.partition("=")[2])
    first, rest = look(console, browser, console._one_parts, session)
    names = {"summary", "operation", "actions", "charts", "instances", "deployments", "events"}
    assert (set(first), rest) == (names, [])
    assert "&lt;script&gt;" in first["events"]
    assert all(EVIL not in html for html in first.values())
    assert first["actions"].strip() == ""
    assert browser("GET", "/environments/nowhere/live")[0] == 404
