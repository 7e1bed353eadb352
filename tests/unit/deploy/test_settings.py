import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.base.errors import InvalidInput, NotFound, WherryError
from wherry.deploy.settings import SETTINGS, Batch, Settings, parse_assignments, setting_named


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("policy=RollingWithAdditionalBatch", {"policy": "rolling-additional"}),
        ("policy=canary", {"policy": "traffic-splitting"}),
        ("batch=50%", {"batch": "50%"}),
        ("batch=2", {"batch": "2"}),
        ("Drain=1m", {"drain": "60"}),
        ("health.interval=500ms", {"health.interval": "0.5"}),
        ("rollback=NO", {"rollback": "off"}),
        ("health.codes=200-299, 401", {"health.codes": "200-299,401"}),
        ("split.percent=25%", {"split.percent": "25"}),
        ("MinSize=2", {"min": "2"}),
        ("health_path=/", None),
        ("drain=", {"drain": ""}),
    ],
)
def test_what_people_write_is_understood(written, kept):
    if kept is None:
        with pytest.raises(NotFound) as caught:
            parse_assignments([written])
        assert caught.value.hint == "did you mean health.path?"
    else:
        assert parse_assignments([written]) == kept


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("min", "a setting is written NAME=VALUE"),
        ("min=0", "min=0: 1 to 100"),
        ("min=nan", "min=nan: 1 to 100"),
        ("health.interval=nan", "0.1 to 300 seconds"),
        ("batch=0%", "between 1 and 100"),
        ("batch=some", "a count (2) or a percentage (30%)"),
        ("policy=blue", "there is no policy blue"),
        ("health.path=x", "a path begins with /"),
        ("health.codes=20-9999", "as in 200-299,401; from 200 to 499"),
        ("health.codes=300-200", "from 200 to 499"),
        ("health.codes=200-599", "from 200 to 499"),
        ("tls=maybe", "one of off, local, acme, own"),
        ("rollback=perhaps", "on or off"),
    ],
)
def test_what_makes_no_sense_is_told(written, why):
    with pytest.raises(InvalidInput, match=r".") as caught:
        parse_assignments([written])
    assert why in caught.value.message


def test_an_unknown_setting_leads_to_the_nearest():
    with pytest.raises(NotFound) as caught:
        setting_named("polcy")
    assert caught.value.hint == "did you mean policy?"


def test_every_default_is_a_value_that_could_be_given():
    for setting in SETTINGS.values():
        if setting.default:
            assert parse_assignments([f"{setting.name}={setting.default}"]) == {setting.name: setting.default}


def test_settings_that_clash_are_refused():
    with pytest.raises(InvalidInput, match="min=5 is more than max=4"):
        Settings({}).with_changes({"min": "5"})
    with pytest.raises(InvalidInput, match=r"scale\.lower=3 is not below"):
        Settings({}).with_changes({"scale.lower": "3", "scale.upper": "3"})
    changed = Settings({"min": "2"}).with_changes({"min": "", "drain": "5"})
    assert (changed.given, changed.count("min"), changed.number("drain")) == ({"drain": "5"}, 1, 5.0)


@given(st.integers(1, 100), st.integers(1, 100), st.booleans())
def test_a_batch_is_at_least_one_and_at_most_all(amount, count, percent):
    size = Batch(amount, percent).of(count)
    assert 1 <= size <= count
    if percent:
        assert (size - 1) * 100 < count * amount or size == 1


@given(st.text(), st.text())
def test_no_text_is_taken_and_not_readable(name, value):
    try:
        kept = parse_assignments([f"{name}={value}"])
    except WherryError:
        return
    for setting, text in kept.items():
        assert parse_assignments([f"{setting}={text}"]) == {setting: text}


def test_a_backup_schedule_is_a_cron_expression():
    assert parse_assignments(["backup.schedule=0 3 * * *"]) == {"backup.schedule": "0 3 * * *"}
    assert parse_assignments(["backup.schedule=@daily", "backup.keep=3"])["backup.keep"] == "3"
    with pytest.raises(InvalidInput, match=r"backup.schedule=often: 'often' is no cron expression"):
        parse_assignments(["backup.schedule=often"])
