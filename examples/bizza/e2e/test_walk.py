"""A walk through a running Bizza in a real browser: signing up, registering for an event, editing a speaker.

BIZZA_URL says where it runs; BIZZA_ORGANISER_EMAIL and BIZZA_ORGANISER_PASSWORD (or _FILE) who may edit.
"""

import os
import re
import uuid
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (e2e/requirements.txt)")
expect = playwright.expect

URL = os.environ.get("BIZZA_URL", "").rstrip("/")
CHROMIUM = os.environ.get("BIZZA_CHROMIUM", "/usr/bin/chromium")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync".split()
)
SHOTS = os.environ.get("BIZZA_SHOTS")

pytestmark = [
    pytest.mark.skipif(not URL, reason="BIZZA_URL does not say where Bizza runs"),
    pytest.mark.skipif(
        not os.path.exists(CHROMIUM), reason=f"there is no {CHROMIUM} (Debian: apt-get install chromium)"
    ),
]


def organiser():
    """The organiser's address and password, or a skip."""
    path, password = os.environ.get("BIZZA_ORGANISER_PASSWORD_FILE"), os.environ.get("BIZZA_ORGANISER_PASSWORD")
    if path:
        password = Path(path).read_text(encoding="utf-8").strip()
    if not password:
        pytest.skip("neither BIZZA_ORGANISER_PASSWORD nor BIZZA_ORGANISER_PASSWORD_FILE is set")
    return os.environ.get("BIZZA_ORGANISER_EMAIL", "organiser@bizza.example"), password


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium):
    """A fresh browser; the test fails if a script of ours fails or a request is refused by the content policy."""
    context = chromium.new_context(base_url=URL)
    opened = context.new_page()
    wrong = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
    opened.set_default_timeout(20_000)
    yield opened
    if SHOTS:
        opened.screenshot(path=f"{SHOTS}/{uuid.uuid4().hex[:6]}.png", full_page=True)
    context.close()
    assert wrong == []


def sign_up(page, name="Ada Lovelace"):
    page.get_by_label("Your name").fill(name)
    page.get_by_label("E-mail").fill(f"ada-{uuid.uuid4().hex[:10]}@example.org")
    page.get_by_label("Password").fill("a long password")
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("button", name=f"Log out {name}")).to_be_visible()


def log_in(page):
    email, password = organiser()
    page.goto("/log-in?next=/admin")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1, name="Admin")).to_be_visible()


def test_somebody_signs_up_registers_and_gives_the_ticket_back(page):
    page.goto("/")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Events").click()
    page.get_by_role("link", name="Bizza Summit").click()
    expect(page.get_by_role("heading", level=1, name="Bizza Summit")).to_be_visible()
    page.get_by_role("main").get_by_role("link", name="Sign up").click()
    sign_up(page)
    expect(page.get_by_role("heading", level=1, name="Bizza Summit")).to_be_visible()
    page.get_by_label("Organisation").fill("Analytical Engines")
    page.get_by_role("button", name="Register").click()
    code = page.locator(".code")
    expect(code).to_have_text(re.compile(r"^[2-9A-HJ-NP-Z]{10}$"))
    text = code.inner_text()
    page.get_by_role("main").get_by_role("link", name="My tickets").click()
    expect(page.locator(".ticket")).to_contain_text(text)
    page.reload()
    expect(page.locator(".ticket")).to_contain_text(text)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Give back").click()
    expect(page.get_by_text("You have no tickets yet.")).to_be_visible()


def test_an_organiser_edits_a_speaker_and_everybody_sees_it(page):
    log_in(page)
    page.get_by_role("link", name="Grace Whitcombe").click()
    changed = f"Plain Sight {uuid.uuid4().hex[:6]}"
    page.get_by_label("Organisation").fill(changed)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").filter(has_text="Speaker saved: Grace Whitcombe")).to_be_visible()
    page.get_by_role("button", name=re.compile("^Log out")).click()
    page.goto("/speakers")
    page.get_by_label("Search by name, organisation or talk").fill(changed)
    expect(page.get_by_text("1 speaker", exact=True)).to_be_visible()
    page.get_by_role("link", name="Grace Whitcombe").click()
    expect(page.get_by_text(changed)).to_be_visible()
    # Put back what was there, so that the walk leaves nothing behind.
    log_in(page)
    page.get_by_role("link", name="Grace Whitcombe").click()
    page.get_by_label("Organisation").fill("Plain Sight")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").filter(has_text="Speaker saved")).to_be_visible()


def test_a_phone_is_enough_to_sign_up_and_register(page):
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto("/")
    events = page.get_by_role("navigation", name="Main").get_by_role("link", name="Events")
    expect(events).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    events.click()
    page.get_by_role("link", name="Hands on PostgreSQL").click()
    registration = page.get_by_role("complementary", name="When, where and registration")
    programme = page.get_by_role("heading", name="Programme")
    expect(programme).to_be_visible()
    assert registration.bounding_box()["y"] < programme.bounding_box()["y"]
    registration.get_by_role("link", name="Sign up").click()
    page.get_by_label("Your name").fill("Mary Somerville")
    page.get_by_label("E-mail").fill(f"mary-{uuid.uuid4().hex[:10]}@example.org")
    page.get_by_label("Password").fill("a long password")
    page.get_by_role("button", name="Sign up").click()
    registration.get_by_role("button", name="Register").click()
    expect(page.locator(".code")).to_have_text(re.compile(r"^[2-9A-HJ-NP-Z]{10}$"))
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


# The smallest contrast of a text with what is behind it (WCAG 2.2, "contrast ratio"), unless that is a gradient.
CONTRAST = """
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const luminance = (colour) => {
    const linear = (n) => (n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = [...rgba(colour)].map((n) => linear(n / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const style = getComputedStyle(one);
      if (style.backgroundImage !== "none") return null;
      if (rgba(style.backgroundColor)[3] === 255) return style.backgroundColor;
    }
    return null;
  };
  let worst = [99, "nothing"];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data.trim()).join("");
    const paper = text && element.checkVisibility() && behind(element);
    if (!paper) continue;
    const [low, high] = [luminance(getComputedStyle(element).color), luminance(paper)].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < worst[0]) worst = [ratio, text];
  }
  return worst;
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_in_dark(page, scheme):
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    papers = set()
    for path in ("/", "/events/1", "/schedule", "/speakers", "/sponsors", "/log-in"):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_text("Loading…")).to_have_count(0)
        ratio, text = page.evaluate(CONTRAST)
        assert 4.5 <= ratio < 99, f"{path}: {text!r} has a contrast of {ratio:.1f}"
        papers.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert papers == {"rgb(251, 250, 247)" if scheme == "light" else "rgb(18, 23, 26)"}


def test_a_wrong_log_in_is_told_and_read_out(page):
    page.goto("/log-in")
    page.get_by_label("E-mail").fill("nobody@example.org")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Log in").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The e-mail address or the password is not right.")
    expect(alert).to_be_focused()


@pytest.mark.parametrize(
    "path", ["/", "/speakers", "/events", "/schedule", "/venues", "/sponsors", "/about", "/contact"]
)
def test_every_page_opens_by_its_address_and_fits_a_phone(page, path):
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_text("Loading…")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    expect(page.get_by_role("alert")).to_have_count(0)


def test_the_keyboard_alone_is_enough(page):
    page.goto("/about")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Venues").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Venues")).to_be_visible()
    expect(page.get_by_role("main")).to_be_focused()
