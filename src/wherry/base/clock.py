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

__all__ = ["format_duration", "parse_rfc3339", "rfc3339", "system_clock"]

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
    import re
    from datetime import date

    match = re.fullmatch(
        r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)", text, re.ASCII
    )
    if not match:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    *numbers, fraction, zone = match.groups()
    year, month, day, hour, minute, second = map(int, numbers)
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    days = date(year, month, day).toordinal() - _EPOCH_DAY
    seconds = days * 86_400 + hour * 3600 + minute * 60 + second
    if days <= _ZERO_DAY:
        return 0
    if zone not in "Zz":
        offset = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
        seconds += offset if zone[0] == "-" else -offset
    return seconds * _NANOSECONDS + int((fraction or "").ljust(9, "0"))


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
