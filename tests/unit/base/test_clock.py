import re
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.base.clock import format_duration, parse_rfc3339, rfc3339

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PATTERN = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def _is_possible(match):
    try:
        date(*map(int, match.groups()[:3]))
    except ValueError:
        return False
    return int(match[4]) < 24 and int(match[5]) < 60 and int(match[6]) < 61


@given(st.integers(1, 4_000_000_000 * 10**9))
def test_times_round_trip_to_the_nanosecond(timestamp):
    assert parse_rfc3339(rfc3339(timestamp)) == timestamp


def test_zero_is_gos_zero_time():
    assert rfc3339(0) == "0001-01-01T00:00:00Z"
    assert parse_rfc3339("0001-01-01T00:00:00Z") == 0


def test_offsets_are_applied():
    assert parse_rfc3339("2026-01-01T02:00:00+02:00") == parse_rfc3339("2026-01-01T00:00:00Z")
    assert parse_rfc3339("2025-12-31T19:00:00-05:00") == parse_rfc3339("2026-01-01T00:00:00Z")


@given(st.datetimes(timezones=st.timezones(), min_value=datetime(2, 1, 1)))
def test_it_reads_what_others_write(moment):
    offset = moment.utcoffset()
    if offset.total_seconds() % 60 == 0:
        assert parse_rfc3339(moment.isoformat()) == (moment - _EPOCH) // timedelta(microseconds=1) * 1000


@given(st.from_regex(_PATTERN, fullmatch=True) | st.from_regex(_PATTERN))
def test_it_reads_exactly_what_has_the_form(text):
    try:
        parse_rfc3339(text)
    except ValueError:
        numbers = re.fullmatch(_PATTERN, text)
        assert not numbers or not _is_possible(numbers)
    else:
        assert _is_possible(re.fullmatch(_PATTERN, text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-02-29T00:00:00Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00+2:00",
        "2026-01-01T00:00:00+02-00",
        "2026-01-01T24:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-01-01T00:00:00.\u0661Z",
        "-026-01-01T00:00:00Z",
        "2026-01-01T00:00:00 Z",
    ],
)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match="not an RFC 3339 time"):
        parse_rfc3339(text)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (61, "About a minute"),
        (120, "2 minutes"),
        (3600, "About an hour"),
        (7200, "2 hours"),
        (48 * 3600, "2 days"),
        (14 * 86400, "2 weeks"),
        (61 * 86400, "2 months"),
        (800 * 86400, "2 years"),
    ],
)
def test_durations_are_worded_as_dockers(seconds, words):
    assert format_duration(seconds) == words
