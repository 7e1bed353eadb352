"""docs/deploy.md says what is true: of settings, of policies, of what a Compose file may say."""

import re
from pathlib import Path

import yaml

from wherry.deploy.extension import parse_extension
from wherry.deploy.hooks import PHASES
from wherry.deploy.settings import POLICIES, SETTINGS

PAGE = (Path(__file__).parents[3] / "docs" / "deploy.md").read_text(encoding="utf-8")


def rows(heading):
    """The cells of the table below a row of headings that begins with `heading`."""
    _, found, rest = PAGE.partition(f"\n| {heading} |")
    assert found, f"there is no table of a {heading}"
    lines = rest.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_setting_is_there_with_its_default_and_none_is_invented():
    told = {name.strip("`"): default.strip("`") for name, default, _ in rows("setting")}
    assert told == {name: one.default for name, one in SETTINGS.items()}


def test_every_setting_has_a_meaning():
    assert all(meaning for _, _, meaning in rows("setting"))


def test_every_policy_is_there_and_none_is_invented():
    told = [re.findall(r"`([a-z -]+)`", row[0])[0] for row in rows("policy")]
    assert told == [*POLICIES, "env swap"]
    assert all(all(row) for row in rows("policy"))


def test_every_phase_of_hooks_is_there():
    assert [row[0].strip("`") for row in rows("phase")] == [*PHASES]


def test_what_a_compose_file_may_say_can_be_read():
    (text,) = re.findall(r"```yaml\n(x-wherry:.*?)```", PAGE, re.DOTALL)
    model = {**yaml.safe_load(text), "services": {"web": {}, "db": {}}}
    found = parse_extension(model)
    assert (found.accessories, found.stateless) == (("db",), ("web",))
    assert found.release.command == ("/bin/sh", "-c", "./manage migrate")
    (route,) = found.routes
    assert (route.port, route.host, route.sticky) == (8080, "www.example.org", True)
    assert route.health == {
        "path": "/healthz",
        "codes": "200-299",
        "interval": 2,
        "timeout": 1,
        "healthy": 2,
        "unhealthy": 3,
    }
