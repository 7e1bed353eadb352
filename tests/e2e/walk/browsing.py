"""What walks through the console share: people in a real browser, and how pages are to look.

CONSOLE_SHOTS names a directory for pictures. A walk says by a fixture `url` where the console is.
"""

import os
import re

import pytest
from playwright.sync_api import expect, sync_playwright

SHOTS = os.environ.get("CONSOLE_SHOTS")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync".split()
)


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, url):
    """Makes pages for a role; the test fails where a script of ours fails or the content policy refuses something."""
    contexts, wrong = [], []

    def make(role="", **how):
        context = chromium.new_context(base_url=url, **how)
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
    """The one that runs, on an environment's page."""
    return page.locator("#summary .facts dd").first


def looks_well(page, paths):
    """Nothing is wider than the screen, and the ground is as light or dark as was asked for."""
    for path in paths:
        page.goto(path)
        fits(page, path.strip("/").replace("/", "-") or "all")


def fits(page, name):
    """The page as it is; its picture gets the name, the colour scheme and the width."""
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert over <= 0, f"{name} is {over} px too wide"
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", ground)[:3]))
    assert (brightness < 120) if dark else (brightness > 600)
    if SHOTS:
        scheme, width = "dark" if dark else "light", page.viewport_size["width"]
        page.screenshot(path=f"{SHOTS}/{name}-{scheme}-{width}.png", full_page=True)
