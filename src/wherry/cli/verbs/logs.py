"""`logs`."""

from __future__ import annotations

from wherry.base.errors import InvalidInput, Unsupported
from wherry.base.files import write_all
from wherry.cli.context import engine
from wherry.cli.flags import Command, Flag

__all__ = ["parse_moment", "run"]

_FLAGS = (
    Flag("details", "bool", "Leave room for extra attributes, of which there are none"),
    Flag("follow", "bool", "Go on until the container ends", short="f"),
    Flag("since", "str", "Only what is younger (time, or duration such as 10m)"),
    Flag("tail", "str", "Only the last lines (a number, or all)", short="n", default="all"),
    Flag("timestamps", "bool", "Show times", short="t"),
    Flag("until", "str", "Only what is older"),
)


def run(argv: list[str]) -> int:
    """Write the container's output to ours, each stream to its own."""
    parsed = Command(
        "wherry logs", "[OPTIONS] CONTAINER", "Show what a container wrote", _FLAGS, least=1, most=1
    ).parse(argv[1:])
    opened = engine()
    container = opened.containers.resolve(parsed.args[0])
    records = opened.containers.logs(
        container.id,
        follow=parsed["follow"],
        tail=_lines(parsed["tail"]),
        since=parse_moment(parsed["since"]),
        until=parse_moment(parsed["until"]),
    )
    if container.request.log_driver == "none":
        raise Unsupported("configured logging driver does not support reading", hint="--log-driver none keeps no log")
    at_start, details = {1: True, 2: True}, b" " if parsed["details"] else b""
    for record in records:
        prefix = b""
        if at_start[record.stream]:
            prefix = (f"{_utc(record.time)} ".encode() if parsed["timestamps"] else b"") + details
        at_start[record.stream] = record.data.endswith(b"\n")
        write_all(record.stream if not container.request.tty else 1, prefix + record.data)
    return 0


def _utc(text: str) -> str:
    from wherry.base.clock import parse_rfc3339

    seconds, fraction = divmod(parse_rfc3339(text), 1_000_000_000)
    import time

    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{fraction:09d}Z"


def _lines(text: str) -> int:
    if text in ("", "all") or text.startswith("-"):
        return -1
    if not text.isdigit():
        raise InvalidInput(f'invalid value for "tail": "{text}"', hint="a number of lines, or all")
    return int(text)


def parse_moment(text: str) -> int:
    """A time (RFC 3339, a date, seconds since the epoch) or a duration before now, in nanoseconds; 0 for empty."""
    if not text:
        return 0
    from wherry.base.clock import parse_rfc3339, system_clock
    from wherry.cli.parsing import parse_duration

    if text.replace(".", "", 1).isdigit():
        return int(float(text) * 1_000_000_000)
    for suffix in ("", "Z", ":00Z", "T00:00:00Z"):
        try:
            return parse_rfc3339(text + suffix)
        except ValueError:
            continue
    try:
        return system_clock() - parse_duration(text)
    except InvalidInput:
        raise InvalidInput(
            f'invalid value for "since" or "until": "{text}"', hint="a time as 2026-01-02T15:04:05Z, or 10m"
        ) from None
