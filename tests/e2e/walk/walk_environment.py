"""A walk through the console of a real environment, of which `wherry serve` is started here; one test after the other.

WHERRY is the command (JSON), PROJECT the project's directory, SHOP_PORT the balancer's port, CONSOLE_LISTEN a free
address for the console. The environment `shop` has two instances of version v1, which answer with "one".
"""

import http.client
import json
import os
import re
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from browsing import fits, looks_well, sure, version
from playwright.sync_api import expect

from console_process import ConsoleProcess

WHERRY, PROJECT = json.loads(os.environ["WHERRY"]), os.environ["PROJECT"]
LISTEN = os.environ["CONSOLE_LISTEN"]
SHOP = "/environments/shop"
PAGES = ("/", SHOP, f"{SHOP}/events", f"{SHOP}/logs", f"{SHOP}/settings", "/audit")
HISTORY = ("env", "history", "shop", "--format", "{{.Number}} {{.Kind}} {{.To}} {{.Result}}")
SIZES = [(scheme, width) for scheme in ("light", "dark") for width in (390, 1280)]


def wherry(*words):
    done = subprocess.run([*WHERRY, *words], cwd=PROJECT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def answer(path="/"):
    """Status and body of the environment's answer."""
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["SHOP_PORT"]), timeout=20)
    try:
        connection.request("GET", path, headers={"Host": "shop.localhost"})
        found = connection.getresponse()
        return found.status, found.read().decode()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def console():
    """`wherry serve`; `start` and `end` may be called."""
    running = ConsoleProcess([*WHERRY, "serve", "--listen", LISTEN, "--period", "1"], os.environ, PROJECT)
    with running:
        yield running


@pytest.fixture(scope="module")
def url(console):
    return console.url


@pytest.fixture(scope="module", autouse=True)
def visitors():
    """Somebody asks the environment all the time; whatever is done to it, each gets an answer."""
    ended, failed = threading.Event(), []

    def ask():
        while not ended.wait(0.05):
            try:
                status, said = answer()
            except (OSError, http.client.HTTPException) as error:
                status, said = 0, repr(error)
            if status != 200:
                failed.append((status, said))

    thread = threading.Thread(target=ask)
    thread.start()
    yield
    ended.set()
    thread.join()
    assert failed == []


def rows(page, part):
    return page.locator(f"#{part} tbody tr")


def test_two_instances_their_health_and_their_requests_are_seen(visit):
    page = visit("admin")
    card = page.locator(".card")
    expect(card).to_contain_text("2 of 2")
    card.get_by_role("link", name="shop", exact=True).click()
    expect(page.locator("#live")).to_have_text("Live")
    expect(version(page)).to_have_text("v1")
    expect(rows(page, "instances")).to_have_count(2)
    for row, name in enumerate(("i-1", "i-2")):
        expect(rows(page, "instances").nth(row)).to_contain_text(name)
        expect(rows(page, "instances").nth(row).locator(".health")).to_contain_text("Ok")
    some = re.compile("^Requests, .* UTC: requests [1-9].* now")
    expect(page.get_by_role("img", name=some)).to_be_visible(timeout=30_000)  # a point is of ten seconds


def test_what_ails_an_instance_is_said_as_it_happens(visit):
    page = visit("viewer")
    page.goto(SHOP)
    container = wherry("ps", "-q", "--filter", "name=i-2")
    os.kill(int(wherry("inspect", "--format", "{{.State.Pid}}", container)), signal.SIGKILL)
    row = rows(page, "instances").nth(1)
    expect(row.locator(".health")).to_contain_text("Warning")
    expect(row.locator(".causes")).to_contain_text("web was restarted once")
    expect(rows(page, "instances").nth(0).locator(".health")).to_contain_text("Ok")
    assert {answer("/bad")[0] for _ in range(20)} == {500}
    expect(page.locator("#summary .causes")).to_contain_text("of the requests are failing with HTTP 5xx")


def test_a_deployment_from_elsewhere_appears_and_is_rolled_back(visit):
    page, small = visit("admin"), visit("viewer", viewport={"width": 390, "height": 844}, color_scheme="dark")
    for one in (page, small):
        one.goto(SHOP)
        expect(one.locator("#live")).to_have_text("Live")
    said = wherry("deploy", "shop", "-f", "two.yaml", "-m", "better")
    assert "Version v2 runs on 2 instances." in said
    for one in (page, small):
        expect(version(one)).to_have_text("v2")
        expect(rows(one, "deployments").first).to_contain_text("deploy: v1 → v2")
    assert answer() == (200, "two")
    with ThreadPoolExecutor() as pool:
        patient = pool.submit(answer, "/slow/6")  # which the instance that leaves is given the time for
        page.get_by_role("button", name="Roll back to v1").click()
        sure(page)
        expect(small.locator("#operation")).to_contain_text("Rollback (deployment 3) of version v1")
        fits(small, "rollback")
    assert patient.result() == (200, "two")
    expect(rows(page, "deployments").first).to_contain_text("rollback: v2 → v1")
    expect(rows(page, "deployments").first.locator(".result")).to_have_text("succeeded")
    expect(version(page)).to_have_text("v1")
    expect(page.locator("#operation")).to_be_empty()
    assert {answer() for _ in range(6)} == {(200, "one")}


def test_a_deployment_that_comes_to_nothing_is_aborted(visit):
    page = visit("admin")
    page.goto(SHOP)
    argv = [*WHERRY, "deploy", "shop", "-f", "never.yaml"]
    with subprocess.Popen(argv, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        operation = page.locator("#operation")
        expect(operation.locator("li.running")).to_contain_text("is healthy")
        expect(rows(page, "instances").last).to_contain_text("v3")
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 844})
            fits(page, "deployment")
        operation.get_by_role("button", name="Abort").click()
        sure(page)
        said, _ = process.communicate(timeout=60)
    assert (process.returncode, "admin aborted it" in said) == (1, True), said
    expect(rows(page, "deployments").first.locator(".result")).to_have_text("aborted")
    expect(version(page)).to_have_text("v1")
    expect(operation).to_be_empty()
    expect(rows(page, "instances")).to_have_count(2)
    assert {answer() for _ in range(6)} == {(200, "one")}


def test_a_setting_holds_and_events_and_logs_are_read(visit):
    page = visit("admin")
    page.goto(f"{SHOP}/settings")
    page.get_by_role("textbox", name="health.unhealthy").fill("7")
    page.get_by_role("button", name="Set health.unhealthy").click()
    expect(page.locator(".said")).to_have_text("The change of health.unhealthy to 7 is done.")
    assert "health.unhealthy: 7" in wherry("env", "config", "get", "shop")
    page.get_by_role("link", name="Events").click()
    events = page.locator("#events")
    for said in ("health.unhealthy=7", "was aborted and was taken back: admin aborted it", "Rollback (deployment 3)"):
        expect(events).to_contain_text(said)
    page.get_by_role("link", name="Logs").click()
    log = page.locator("pre.log")
    expect(log).to_contain_text("one is up")
    expect(log).to_contain_text("two is up")
    answer("/hello-from-a-test")
    expect(log).to_contain_text("asked for /hello-from-a-test")
    page.get_by_label("Instance").fill("i-2")
    page.get_by_role("button", name="Show").click()
    expect(log).to_contain_text("i-2 web")
    expect(log).not_to_contain_text("i-1 web")


def test_a_viewer_sees_no_buttons_and_a_forged_form_is_refused(visit, url):
    page = visit("viewer")
    page.goto(SHOP)
    before = wherry(*HISTORY)
    for name in ("Deploy", "Restart", "Scale", "Back to this", "Abort", re.compile("^Roll back")):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    token = page.locator(".who input[name=csrf]").input_value()
    forms = {
        "deploy": {"version": "v2"},
        "rollback": {},
        "scale": {"count": "3"},
        "set": {"setting": "max", "value": "9"},
    }
    for action, values in forms.items():
        sent = {"csrf": token, "sure": "yes", **values}
        refused = page.request.post(f"{SHOP}/{action}", headers={"Origin": url}, form=sent)
        assert (refused.status, "this takes the role" in refused.text()) == (403, True)
    admin = visit("admin")
    other = admin.request.post(f"{SHOP}/restart", headers={"Origin": url}, form={"csrf": token, "sure": "yes"})
    assert (other.status, "did not come from a page" in other.text()) == (403, True)
    assert wherry(*HISTORY) == before
    admin.goto("/audit")
    expect(admin.locator("tbody tr", has_text="deploy v2 shop")).to_contain_text("takes the role operator")


@pytest.mark.parametrize(("scheme", "width"), SIZES)
def test_every_page_fits_the_screen(visit, scheme, width):
    looks_well(visit("admin", color_scheme=scheme, viewport={"width": width, "height": 844}), PAGES)


def test_open_pages_outlive_the_server(visit, console):
    page, other = visit("admin"), visit("viewer")
    for one in (page, other):
        one.goto(SHOP)
        expect(one.locator("#live")).to_have_text("Live")
    assert console.end() == 0
    for one in (page, other):
        expect(one.locator("#live")).to_have_text("Not connected")
    console.start()
    for one in (page, other):
        expect(one.locator("#live")).to_have_text("Live")
    page.get_by_role("spinbutton", name="Instances").fill("3")
    page.get_by_role("button", name="Scale").click()
    expect(rows(other, "instances")).to_have_count(3)
