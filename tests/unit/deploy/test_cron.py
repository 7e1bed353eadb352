import datetime
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from wherry.base.errors import InvalidInput
from wherry.deploy.cron import Job, decode_jobs, next_time, parse_cron, parse_expression, zone_named

UTC = datetime.UTC
BERLIN, LORD_HOWE, HAVANA = map(zone_named, ("Europe/Berlin", "Australia/Lord_Howe", "America/Havana"))


def seconds(text, zone=UTC):
    return int(datetime.datetime.fromisoformat(text).replace(tzinfo=zone).timestamp())


def times(expression, zone, after, before):
    """All times between two, in UTC."""
    found, moment = [], after
    while (moment := next_time(parse_expression(expression), zone, moment)) is not None and moment < before:
        found.append(datetime.datetime.fromtimestamp(moment, UTC).strftime("%d %H:%M"))
    return found


# --- expressions


@pytest.mark.parametrize(
    ("text", "after", "then"),
    [
        ("* * * * *", "2026-11-25T10:00", "2026-11-25T10:01"),
        ("0 */12 * * *", "2026-11-25T10:00", "2026-11-25T12:00"),
        ("30 6 * * mon-fri", "2026-11-27T06:30", "2026-11-30T06:30"),
        ("0 0 29 feb *", "2026-01-01T00:00", "2028-02-29T00:00"),
        ("0 0 29 2 *", "2096-03-01T00:00", "2104-02-29T00:00"),
        ("0 0 29 2 */7", "2088-03-01T00:00", "2128-02-29T00:00"),
        ("5-10/5,50 3 1 JAN *", "2026-01-01T03:05", "2026-01-01T03:10"),
        ("0 0 13 * fri", "2026-11-25T00:00", "2026-11-27T00:00"),
        ("0 0 */2 * fri", "2026-11-25T00:00", "2026-11-27T00:00"),
        ("0 0 * * 7", "2026-11-25T00:00", "2026-11-29T00:00"),
        ("0 0 * * sat-7", "2026-11-25T00:00", "2026-11-28T00:00"),
        ("15/20 * * * *", "2026-11-25T10:15", "2026-11-25T10:35"),
        ("@daily", "2026-11-25T10:00", "2026-11-26T00:00"),
        ("@Weekly", "2026-11-25T10:00", "2026-11-29T00:00"),
        ("@monthly", "2026-11-25T10:00", "2026-12-01T00:00"),
        ("@annually", "2026-11-25T10:00", "2027-01-01T00:00"),
        ("@hourly", "2026-11-25T10:00", "2026-11-25T11:00"),
    ],
)
def test_the_next_time(text, after, then):
    assert next_time(parse_expression(text), UTC, seconds(after)) == seconds(then)
    assert next_time(parse_expression(text), UTC, seconds(then) - 0.5) == seconds(then)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("* * * *", "is no cron expression"),
        ("@often", "is no cron expression"),
        ("60 * * * *", "minute '60' is not a number from 0 to 59"),
        ("* 24 * * *", "hour '24'"),
        ("* * 0 * *", "day '0' is not a number from 1 to 31"),
        ("* * * foo *", "month 'foo' is not a number from 1 to 12 or one of jan"),
        ("* * * * 8", "weekday '8'"),
        ("5-1 * * * *", "minute 5-1: 1 comes before 5"),
        ("*/0 * * * *", "a step is a number from 1 on"),
        ("*/x * * * *", "a step is a number from 1 on"),
        (", * * * *", "minute ''"),
        ("٣ * * * *", "minute '٣'"),
        ("0 0 30 2 *", "never comes"),
        ("0 0 31 4,6,9,11 *", "never comes"),
    ],
)
def test_what_is_wrong_is_said(text, words):
    with pytest.raises(InvalidInput, match=words):
        parse_expression(text)


FIELDS = st.tuples(
    *(
        st.one_of(
            st.just("*"),
            st.integers(1, 20).map(lambda step: f"*/{step}"),
            st.lists(st.integers(low, high), min_size=1, max_size=3).map(lambda found: ",".join(map(str, found))),
        )
        for low, high in ((0, 59), (0, 23), (1, 28), (1, 12), (0, 7))
    )
).map(" ".join)
MOMENTS = st.integers(seconds("2024-01-01T00:00"), seconds("2028-01-01T00:00"))


@given(FIELDS, MOMENTS)
def test_in_utc_it_is_the_first_minute_that_every_field_allows(text, after):
    minute, hour, day, month, weekday = text.split()
    found = next_time(parse_expression(text), UTC, after)

    def allows(field, value, low):
        return any(
            part == "*" or (part[:2] == "*/" and (value - low) % int(part[2:]) == 0) or part == str(value)
            for part in field.split(",")
        )

    def matches(moment):
        at = datetime.datetime.fromtimestamp(moment, UTC)
        of_week = allows(weekday, at.isoweekday() % 7, 0) or (at.isoweekday() == 7 and "7" in weekday.split(","))
        of_month = allows(day, at.day, 1)
        both_said = day[0] != "*" and weekday[0] != "*"
        return (
            allows(minute, at.minute, 0)
            and allows(hour, at.hour, 0)
            and allows(month, at.month, 1)
            and (of_month or of_week if both_said else of_month and of_week)
        )

    assert found > after
    assert found % 60 == 0
    assert matches(found)
    first = after - after % 60 + 60
    assert not any(matches(moment) for moment in range(first, min(found, first + 60 * 3000), 60))


@given(FIELDS, MOMENTS, st.sampled_from([BERLIN, LORD_HOWE, HAVANA]))
def test_times_grow_in_every_zone(text, after, zone):
    expression = parse_expression(text)
    first = next_time(expression, zone, after)
    second = next_time(expression, zone, first)
    assert after < first < second
    assert next_time(expression, zone, second - 1) == second


# --- clocks that are changed


def test_a_time_that_a_day_does_not_have_comes_when_the_clocks_go_forward():
    day = seconds("2026-03-29T00:00"), seconds("2026-03-29T06:00")
    assert times("30 2 * * *", BERLIN, *day) == ["29 01:00"]
    assert times("30 2,3 * * *", BERLIN, *day) == ["29 01:00", "29 01:30"]
    assert times("*/30 * * * *", BERLIN, *day)[:4] == ["29 00:30", "29 01:00", "29 01:30", "29 02:00"]
    havana = seconds("2026-03-08T03:00"), seconds("2026-03-09T03:00")
    assert times("0 0 * * *", HAVANA, *havana) == ["08 05:00"]


def test_a_time_that_a_day_has_twice_comes_once_and_intervals_go_on():
    day = seconds("2026-10-25T00:00"), seconds("2026-10-25T03:00")
    assert times("30 2 * * *", BERLIN, *day) == ["25 00:30"]
    assert times("30 * * * *", BERLIN, *day) == ["25 00:30", "25 01:30", "25 02:30"]
    half = seconds("2026-04-04T14:00"), seconds("2026-04-04T16:30")
    assert times("45 1 * * *", LORD_HOWE, *half) == ["04 14:45"]


def test_every_day_of_a_year_has_its_time_once():
    for zone in (BERLIN, LORD_HOWE, HAVANA):
        for text in ("30 2 * * *", "0 0 * * *", "30 1 * * *"):
            assert (
                len(times(text, zone, seconds("2026-01-01T00:00", zone) - 1, seconds("2027-01-01T00:00", zone))) == 365
            )


def test_zones_that_are_none():
    for name in ("Nowhere", "../etc/passwd", ""):
        with pytest.raises(InvalidInput, match="there is no time zone"):
            zone_named(name)


# --- cron.yaml


def parse(text, services=("web", "worker")):
    return parse_cron(yaml.safe_load(text), services)


def test_jobs_are_read_and_go_through_json():
    jobs = parse(
        """
version: 1
cron:
  - {name: backup-job, url: /backup, schedule: "0 */12 * * *"}
  - {name: tidy, schedule: "@daily", service: worker, command: ./tidy, timezone: Europe/Berlin, timeout: 5}
  - {name: ask, schedule: "@hourly", url: /x, service: worker, port: 8000}
  - {name: words, schedule: "@hourly", service: web, command: [a, 1]}
"""
    )
    assert jobs == [
        Job("backup-job", "0 */12 * * *", url="/backup"),
        Job("tidy", "@daily", "Europe/Berlin", "", "worker", 0, ("/bin/sh", "-c", "./tidy"), 5.0),
        Job("ask", "@hourly", url="/x", service="worker", port=8000),
        Job("words", "@hourly", service="web", command=("a", "1")),
    ]
    assert decode_jobs(json.loads(json.dumps([one._asdict() for one in jobs]))) == jobs
    assert parse("version: 1\ncron: [{name: a, schedule: '@daily', command: b}]", ("web",))[0].service == "web"
    assert parse("") == decode_jobs(None) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "must be a mapping with"),
        ("cron: []", "version None is not known"),
        ("{version: 1, cron: [], jobs: []}", "cron.yaml: jobs is not known"),
        ("{version: 1, cron: [x]}", r"cron\[0\] must be a mapping"),
        ("{version: 1, cron: [{schedule: '@daily', url: /}]}", r"cron\[0\].name is missing"),
        ("{version: 1, cron: [{name: a, url: /}]}", r"cron\[0\].schedule is missing"),
        ("{version: 1, cron: [{name: a b, schedule: '@daily', url: /}]}", r"cron\[0\].name: 'a b' may have"),
        ("{version: 1, cron: [{name: a, schedule: nope, url: /}]}", r"cron\[0\].schedule: 'nope' is no cron"),
        ("{version: 1, cron: [{name: a, schedule: '@daily', url: /, timezone: X}]}", r"cron\[0\].timezone: there"),
        ("{version: 1, cron: [{name: a, schedule: '@daily'}]}", r"cron\[0\] needs either a url or a command"),
        ("{version: 1, cron: [{name: a, schedule: '@daily', url: /, command: x}]}", "needs either"),
        ("{version: 1, cron: [{name: a, schedule: '@daily', url: x}]}", r"cron\[0\].url must be a path"),
        ("{version: 1, cron: [{name: a, schedule: '@daily', url: /, port: 1}]}", r"whose port is 1\?"),
        ("{version: 1, cron: [{name: a, schedule: '@daily', command: x}]}", r"service is missing: there are web, wor"),
        ("{version: 1, cron: [{name: a, schedule: '@daily', command: [], service: web}]}", r"cron\[0\].command must"),
        ("{version: 1, cron: [{name: a, schedule: '@daily', command: x, service: db}]}", "there is no service db"),
        ("{version: 1, cron: [{name: a, schedule: '@daily', url: /, timeout: 0}]}", r"cron\[0\].timeout must be"),
        ("{version: 1, cron: [{name: a, schedule: '@daily', url: /, when: 1}]}", r"cron\[0\].when is not known"),
        (
            "{version: 1, cron: [{name: a, schedule: '@daily', url: /}, {name: A, schedule: '@daily', url: /}]}",
            r"cron\[1\].name: there are two jobs A",
        ),
    ],
)
def test_mistakes_name_their_key(text, words):
    with pytest.raises(InvalidInput, match=words):
        parse(text)
