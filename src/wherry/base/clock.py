"""Time as a value that tests can set.

Timestamps are nanoseconds since the Unix epoch (int) inside Wherry and RFC 3339 with nanoseconds in UTC
where people and other tools read them (image-spec v1.1 config.md, Docker's `inspect`).
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Clock = Callable[[], int]

__all__ = ["duration_text", "format_duration", "parse_rfc3339", "rfc3339", "system_clock"]

_NANOSECONDS = 1_000_000_000
_EPOCH_DAY = 719_163  # 1970-01-01 counted from 0001-01-01
_ZERO_DAY = 1 - _EPOCH_DAY


def system_clock() -> int:
    """Now, in nanoseconds since the epoch."""
    return time.time_ns()


def rfc3339(timestamp: int) -> str:
    """`2026-01-02T03:04:05.000000006Z`; the zero time of Go (`0001-01-01T00:00:00Z`) for 0, as Docker prints it."""
    if not timestamp:
        return "0001-01-01T00:00:00Z"
    seconds, fraction = divmod(timestamp, _NANOSECONDS)
    return (
        time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        + (f".{fraction:09d}".rstrip("0") if fraction else "")
        + "Z"
    )


def parse_rfc3339(text: str) -> int:
    """Nanoseconds since the epoch, 0 for Go's zero time. Raises ValueError for what is not RFC 3339."""
    fields = (text[:4], text[5:7], text[8:10], text[11:13], text[14:16], text[17:19])
    separators = text[4:5] + text[7:8] + text[10:11].upper().replace(" ", "T") + text[13:14] + text[16:17]
    fraction, zone = _split_zone(text[19:])
    if separators != "--T::" or not all(map(_is_number, fields)) or not _is_number(fraction or "0") or zone is None:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    year, month, day, hour, minute, second = map(int, fields)
    days = _day_number(year, month, day) - _EPOCH_DAY
    if not _is_date(year, month, day) or hour > 23 or minute > 59 or second > 60:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    if days <= _ZERO_DAY:
        return 0
    seconds = days * 86_400 + hour * 3600 + minute * 60 + second - zone
    return seconds * _NANOSECONDS + int(fraction[:9].ljust(9, "0"))


# By hand, because every `run` reads a time, and would wait for `re` and `datetime` to load.


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _split_zone(text: str) -> tuple[str, int | None]:
    """`.5+02:00` as the digits of the fraction and the seconds east of Greenwich; None where it is no zone."""
    if text[-1:] in ("Z", "z"):
        rest, zone = text[:-1], 0
    else:
        rest, offset = text[:-6], text[-6:]
        if offset[:1] not in ("+", "-") or offset[3:4] != ":" or not _is_number(offset[1:3] + offset[4:]):
            return "", None
        zone = (int(offset[1:3]) * 3600 + int(offset[4:]) * 60) * (-1 if offset[0] == "-" else 1)
    if rest and (rest[0] != "." or len(rest) == 1):
        return "", None
    return rest[1:], zone


def _is_date(year: int, month: int, day: int) -> bool:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return (
        year > 0 and 0 < month < 13 and 0 < day <= (30 if month in (4, 6, 9, 11) else 28 + leap if month == 2 else 31)
    )


def _day_number(year: int, month: int, day: int) -> int:
    """The day of the Gregorian calendar, counted from 0001-01-01 as 1; years are taken to begin in March."""
    year, month = (year, month - 3) if month > 2 else (year - 1, month + 9)
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day - 306


def duration_text(nanoseconds: int) -> str:
    """As Go's `time.Duration` prints itself: `1m30s`, `1h0m0s`, `1.5s`, `200ms`, `0s`."""
    if nanoseconds < 0:
        return "-" + duration_text(-nanoseconds)
    for unit, size in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
        if 0 < nanoseconds < size * 1000:
            return _fraction(nanoseconds, size) + unit
    minutes, rest = divmod(nanoseconds, 60 * _NANOSECONDS)
    hours, minutes = divmod(minutes, 60)
    text = _fraction(rest, _NANOSECONDS) + "s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{hours}h{text}" if hours else text


def _fraction(value: int, size: int) -> str:
    whole, rest = divmod(value, size)
    digits = str(rest).rjust(len(str(size)) - 1, "0").rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)


def format_duration(seconds: float) -> str:
    """As Docker words a duration: `Less than a second`, `About a minute`, `3 hours`."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    if whole < 120:
        return "About a minute"
    if whole < 3600:
        return f"{whole // 60} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{hours // 24 // 365} years"
