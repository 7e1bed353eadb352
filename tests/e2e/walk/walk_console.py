"""A walk through a running console in a real browser. CONSOLE_URL says where it is; see `browsing` for pictures."""

import os
import re

import pytest
from browsing import log_in, looks_well, sure, version
from playwright.sync_api import expect

PAGES = (
    "/",
    "/environments/shop",
    "/environments/shop/events",
    "/environments/shop/logs",
    "/environments/shop/settings",
    "/audit",
)


@pytest.fixture(scope="module")
def url():
    return os.environ["CONSOLE_URL"]


def test_nobody_comes_in_without_the_right_password(visit):
    page = visit()
    page.goto("/environments/shop")
    expect(page).to_have_url(re.compile("/log-in$"))
    log_in(page, "admin", "a wrong password")
    expect(page.get_by_role("alert")).to_have_text("Wrong name or password.")
    page.goto("/environments/shop")
    expect(page).to_have_url(re.compile("/log-in$"))


def test_a_viewer_looks_and_may_not_act(visit, url):
    page = visit("viewer")
    page.get_by_role("link", name="shop", exact=True).first.click()
    expect(version(page)).to_have_text("v2")
    expect(page.get_by_role("table").first).to_contain_text("Ok")
    for name in ("Deploy", "Restart", "Scale"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    answered = page.request.post("/environments/shop/restart", headers={"Origin": url}, form={"sure": "yes"})
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


def test_the_step_that_runs_is_in_sight_among_many(visit):
    page = visit("admin", viewport={"width": 390, "height": 844})
    page.goto("/environments/shop/settings")
    for name, value in (("policy", "immutable"), ("max", "9"), ("min", "9")):
        field = page.get_by_label(name, exact=True)
        field.select_option(value) if name == "policy" else field.fill(value)
        page.get_by_role("button", name=f"Set {name}", exact=True).click()
        expect(page.locator(".said")).to_contain_text(f"The change of {name} to {value}")
    page.goto("/environments/shop")
    expect(page.locator("#operation")).to_be_empty()
    page.get_by_role("combobox", name="Version").select_option("slow")
    page.get_by_role("button", name="Deploy", exact=True).click()
    sure(page)
    running = page.locator("#operation li.running")
    expect(running.first).to_contain_text("is healthy")
    page.locator("#operation .steps").scroll_into_view_if_needed()
    expect(running.first).to_be_in_viewport(ratio=0.9)
    page.get_by_role("button", name="Abort").click()
    sure(page)
    expect(page.locator("#operation")).to_be_empty()


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
    looks_well(visit("admin", color_scheme=scheme, viewport={"width": width, "height": 844}), PAGES)
