"""Configurations as YAML, and what applying one changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.base.errors import InvalidInput, NotFound
from wherry.deploy.configurations import (
    Configuration,
    changes,
    check_title,
    configuration_of,
    parse,
    render,
    render_all,
)
from wherry.deploy.model import Environment
from wherry.deploy.settings import SETTINGS

SHOP = Environment(
    "shop",
    "shop",
    "shop.localhost",
    1,
    settings={"min": "2", "backup.schedule": "*/5 * * * *", "rollback": "off", "batch": "30%"},
    variables={"GREETING": "hello", "NUMBER": "1.10", "TEXT": "a\nb: {c}", "SWITCH": "on"},
    secrets={"TOKEN": False, "license": True},
)


def test_what_an_environment_is_given_is_text_and_back():
    text = render(configuration_of(SHOP))
    assert "  min: 2\n" in text
    assert "secrets:\n  TOKEN: variable\n  license: file\n" in text
    assert parse(text) == Configuration(SHOP.settings, SHOP.variables, SHOP.secrets)
    assert parse(render_all(configuration_of(SHOP))) == parse(text)


def test_all_settings_are_told_with_what_they_mean():
    text = render_all(Configuration())
    for one in SETTINGS.values():
        assert f"  # {one.name}: " in text
        assert one.summary in text
    assert parse(text) == Configuration({})


names = st.text(
    st.characters(blacklist_characters="=\0", blacklist_categories=("Cs", "Cc", "Zl", "Zp", "Zs")),
    min_size=1,
    max_size=40,
)
texts = st.text(st.characters(blacklist_categories=("Cs",)))


@given(st.dictionaries(names, texts), st.dictionaries(names, st.booleans()))
def test_whatever_variables_hold_is_read_back(variables, secrets):
    assert parse(render(Configuration(None, variables, secrets))) == Configuration(None, variables, secrets)


def test_values_are_the_text_that_was_written():
    found = parse("variables: {A: 1.10, B: yes, C: 0755, D: ~, E: 'null', F: 2026-01-01}\nsettings: {Min: 02}")
    assert found.variables == {"A": "1.10", "B": "yes", "C": "0755", "D": "", "E": "null", "F": "2026-01-01"}
    assert found.settings == {"min": "2"}


def test_settings_may_be_nested_and_have_other_names():
    found = parse("settings:\n  health: {path: /up, codes: '200'}\n  rollback: no\n  policy: AllAtOnce\n  max:\n")
    assert found.settings == {
        "health.path": "/up",
        "health.codes": "200",
        "rollback": "off",
        "policy": "all-at-once",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("settings:\n  min: 2\n  polcy: rolling\n", "line 3: settings.polcy: there is no setting polcy"),
        ("settings:\n  min: many\n", "line 2: settings.min: min=many: 1 to 100"),
        ("settings:\n  min: 2\n  min: 3\n", "line 3: settings.min is there twice"),
        ("settings:\n  min: 2\n  MinSize: 3\n", "line 3: settings.MinSize is there twice, as min"),
        ("settings: {min: 9}\n", "min=9 is more than max=4"),
        ("settings: {health: {path: [a]}}\n", "settings.health.path must be text, not a sequence"),
        ("settings: [min]\n", "settings must be a mapping"),
        ("varables: {}\n", "line 1: varables is not known"),
        ("variables: {A: {B: C}}\n", "variables.A must be text, not a mapping"),
        ("variables: {'A=B': C}\n", "is no name for a variable"),
        ("secrets: {TOKEN: s3cret}\n", "secrets.TOKEN must be `variable` or `file`"),
        ("settings: {min: 2\n", "not YAML"),
        ("- 1\n", "must be a mapping"),
        ("", "is empty"),
        ("{" * 5000, "file.yaml"),
    ],
)
def test_mistakes_say_where_they_are(text, words):
    with pytest.raises(InvalidInput) as found:
        parse(text, "file.yaml")
    assert words in found.value.message
    assert found.value.message.startswith("file.yaml")
    assert "s3cret" not in found.value.message + found.value.hint


def test_a_part_that_is_there_holds_as_a_whole_and_others_change_nothing():
    found = changes(SHOP, Configuration({"min": "3"}, {"GREETING": "hello", "NEW": "1"}))
    assert found.settings == {"min": "3", "backup.schedule": "", "rollback": "", "batch": ""}
    assert found.variables == {"NEW": "1"}
    assert sorted(found.removed) == ["NUMBER", "SWITCH", "TEXT"]
    assert changes(SHOP, Configuration()) == ({}, {}, ())
    assert changes(SHOP, configuration_of(SHOP)) == ({}, {}, ())
    assert changes(SHOP, Configuration(secrets={})) == ({}, {}, ())


def test_secrets_have_to_be_there_already():
    with pytest.raises(NotFound) as found:
        changes(SHOP, Configuration(secrets={"TOKEN": True}))
    assert "--secret-file TOKEN=FILE" in found.value.hint


@pytest.mark.parametrize("title", ["", "a b", "../a", "-x", "x" * 101])
def test_titles(title):
    assert check_title("Small-2.1_x") == "Small-2.1_x"
    with pytest.raises(InvalidInput):
        check_title(title)
