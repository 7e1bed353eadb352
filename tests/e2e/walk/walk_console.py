"""A walk through a running console in a real browser, run by Playwright's own Python. CONSOLE_URL says where it is.

CONSOLE_SHOTS names a directory for pictures of every page at every size.
"""

import os
import re

import pytest
from playwright.sync_api import expect, sync_playwright

URL = os.environ["CONSOLE_URL"]
SHOTS = os.environ.get("CONSOLE_SHOTS")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync".split()
)
PAGES = (
    "/",
    "/environments/shop",
    "/environments/shop/events",
    "/environments/shop/logs",
    "/environments/shop/settings",
)


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    """Makes pages for a role; the test fails where a script of ours fails or the content policy refuses something."""
    contexts, wrong = [], []

    def make(role="", **how):
        context = chromium.new_context(base_url=URL, **how)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if "Content Security" in said.text else None)
        if role:
            log_in(page, role, f"{role}-password")
            expect(page.get_by_role("heading", name="Environments", level=1)).to_be_visible()
        return page

    yield make
    for context in contexts:
        context.close()
    assert wrong == []


def log_in(page, name, password):
    page.goto("/log-in")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def sure(page):
    page.get_by_role("dialog").get_by_role("button", name="Yes").click()


def version(page):
    return page.locator("#summary .facts dd").first


def test_nobody_comes_in_without_the_right_password(visit):
    page = visit()
    page.goto("/environments/shop")
    expect(page).to_have_url(re.compile("/log-in$"))
    log_in(page, "admin", "a wrong password")
    expect(page.get_by_role("alert")).to_have_text("Wrong name or password.")
    page.goto("/environments/shop")
    expect(page).to_have_url(re.compile("/log-in$"))


def test_a_viewer_looks_and_may_not_act(visit):
    page = visit("viewer")
    page.get_by_role("link", name="shop", exact=True).first.click()
    expect(version(page)).to_have_text("v2")
    expect(page.get_by_role("table").first).to_contain_text("Ok")
    for name in ("Deploy", "Restart", "Scale"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    answered = page.request.post("/environments/shop/restart", headers={"Origin": URL}, form={"sure": "yes"})
    assert answered.status == 403
    page.goto("/audit")
    expect(page.locator("h1")).to_have_text("Not allowed")


def test_a_roll_back_is_asked_about_and_seen_as_it_happens(visit):
    page, other = visit("operator"), visit("viewer")
    for one in (page, other):
        one.goto("/environments/shop")
        expect(one.locator("#live")).to_have_text("Live")
    page.get_by_role("button", name="Roll back to v1").click()
    expect(page.get_by_role("dialog")).to_contain_text("Bring version v1 back?")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(version(page)).to_have_text("v2")
    page.get_by_role("button", name="Roll back to v1").click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Roll back to v1").focus()
    page.keyboard.press("Enter")
    sure(page)
    expect(page.locator(".said")).to_have_text("The rollback has begun.")
    expect(version(page)).to_have_text("v1")
    expect(version(other)).to_have_text("v1")  # nobody touched that page
    expect(other.locator("#deployments")).to_contain_text("rollback: v2 → v1")


def test_scaling_is_shown_without_losing_what_somebody_writes(visit):
    page, writer = visit("operator"), visit("operator")
    writer.goto("/environments/shop")
    expect(writer.locator("#live")).to_have_text("Live")
    writer.get_by_role("spinbutton", name="Instances").fill("4")
    page.goto("/environments/shop")
    page.get_by_role("spinbutton", name="Instances").fill("3")
    page.get_by_role("button", name="Scale").click()
    expect(writer.locator("#instances tbody tr")).to_have_count(3)
    expect(writer.get_by_role("spinbutton", name="Instances")).to_be_focused()
    expect(writer.get_by_role("spinbutton", name="Instances")).to_have_value("4")
    page.get_by_role("spinbutton", name="Instances").fill("2")
    page.get_by_role("button", name="Scale").click()
    expect(writer.locator("#instances tbody tr")).to_have_count(2)


def test_a_deployment_is_watched_and_aborted(visit):
    page = visit("operator")
    page.goto("/environments/shop")
    running = version(page).text_content()
    page.get_by_role("combobox", name="Version").select_option("slow")
    page.get_by_role("button", name="Deploy", exact=True).click()
    sure(page)
    operation = page.locator("#operation")
    expect(operation).to_contain_text("of version slow")
    expect(operation.get_by_role("progressbar")).to_be_visible()
    expect(operation.locator("li.running")).to_contain_text("is healthy")
    operation.get_by_role("button", name="Abort").click()
    sure(page)
    expect(page.locator("#deployments tbody tr").first).to_contain_text("aborted")
    expect(version(page)).to_have_text(running)
    expect(operation).to_be_empty()


def test_a_setting_is_changed_by_an_admin(visit):
    page = visit("admin")
    page.goto("/environments/shop/settings")
    page.get_by_role("textbox", name="drain").fill("7")
    page.get_by_role("button", name="Set drain").click()
    expect(page.locator(".said")).to_have_text("The change of drain to 7 is done.")
    expect(page.get_by_role("textbox", name="drain")).to_have_value("7")
    page.get_by_role("textbox", name="drain").fill("soon")
    page.get_by_role("button", name="Set drain").click()
    expect(page.get_by_role("alert")).to_contain_text("drain=soon")
    page.goto("/audit")
    expect(page.locator("tbody tr").nth(1)).to_contain_text("set drain 7")


def test_charts_have_scales_and_say_what_they_show(visit):
    page = visit("viewer")
    page.goto("/environments/shop")
    chart = page.get_by_role("img", name=re.compile("^Requests, .* UTC: requests .* now"))
    expect(chart).to_be_visible()
    assert chart.locator("text").count() >= 6
    page.get_by_role("link", name="1d").click()
    expect(page.get_by_role("link", name="1d")).to_have_attribute("aria-current", "true")


def test_it_works_without_scripts(visit):
    page = visit("operator", java_script_enabled=False)
    page.goto("/environments/shop")
    page.get_by_role("button", name="Restart").click()
    expect(page.locator("h1")).to_have_text("Restart every instance of shop, a batch after the other?")
    page.get_by_role("button", name="Yes").click()
    expect(page.locator(".said")).to_have_text("The restart has begun.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen(visit, scheme, width):
    page = visit("admin", color_scheme=scheme, viewport={"width": width, "height": 844})
    grounds = set()
    for path in (*PAGES, "/audit"):
        page.goto(path)
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert over <= 0, f"{path} is {over} px too wide"
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        if SHOTS:
            name = path.strip("/").replace("/", "-") or "all"
            page.screenshot(path=f"{SHOTS}/{name}-{scheme}-{width}.png", full_page=True)
    [ground] = grounds
    brightness = sum(map(int, re.findall(r"\d+", ground)[:3]))
    assert (brightness > 600) if scheme == "light" else (brightness < 120)
