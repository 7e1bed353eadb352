"""Jobs by the clock: cron expressions, the times they mean, and the `cron.yaml` that Elastic Beanstalk reads. Pure.

    version: 1
    cron:
      - name: report                # unique
        schedule: "30 6 * * mon-fri"
        url: /tasks/report          # POSTed to one instance, and 2xx means that it is done
        timezone: Europe/Berlin     # UTC if not given
        timeout: 600                # seconds
      - name: tidy
        schedule: "@daily"
        service: web                # a container of it runs the command once and goes
        command: ./manage tidy      # text for the shell, or a list of words

Where a day has no such time, since clocks go forward, the job comes when they do; where it has the time twice, a job at
a fixed hour comes at the first, and one whose hour begins with `*` at both.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from wherry.base.errors import InvalidInput
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import tzinfo
    from typing import Any

__all__ = [
    "KEY",
    "Expression",
    "Job",
    "decode_jobs",
    "next_time",
    "parse_cron",
    "parse_expression",
    "run_name",
    "zone_named",
]

KEY = "x-wherry-cron"
_DAYS = 366 * 41  # one weekday's 29ths of February are 28 years apart, and 40 around a year such as 2100
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_SHORT = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_KEYS = ("command", "name", "port", "schedule", "service", "timeout", "timezone", "url")
_LONGEST_NAME = 60


class Expression(NamedTuple):
    """What a cron expression allows. Of days and weekdays either will do where both are given, else both have to.

    Weekdays count from Sunday, which is 0. `every_hour` is whether the hour began with `*`.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool
    every_hour: bool

    def has_day(self, day: date) -> bool:
        """Whether anything comes on that day."""
        if day.month not in self.months:
            return False
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return of_month or of_week if self.either else of_month and of_week


class Job(NamedTuple):
    """One job. Either `url` is asked, or `command` runs in a container of `service`; `timeout` in seconds.

    With a `url`, `service` and `port` name who is asked; where they are empty, the routes decide.
    """

    name: str
    schedule: str
    timezone: str = "UTC"
    url: str = ""
    service: str = ""
    port: int = 0
    command: tuple[str, ...] = ()
    timeout: float = 600.0


# --- expressions


def parse_expression(text: str) -> Expression:
    """Five fields or a short form (`@daily`). Raises InvalidInput, also for one that never comes."""
    fields = _SHORT.get(text.strip().lower(), text).split()
    if len(fields) != 5:
        raise InvalidInput(
            f"{text!r} is no cron expression",
            hint="write minute, hour, day, month and weekday, as in `30 6 * * mon-fri`, or @daily, @hourly …",
        )
    minute, hour, day, month, weekday = fields
    found = Expression(
        _field("minute", minute, 0, 59),
        _field("hour", hour, 0, 23),
        _field("day", day, 1, 31),
        _field("month", month, 1, 12, _MONTHS),
        frozenset(one % 7 for one in _field("weekday", weekday, 0, 7, _WEEKDAYS)),
        either=not day.startswith("*") and not weekday.startswith("*"),
        every_hour=hour.startswith("*"),
    )
    if next_time(found, UTC, 0.0) is None:
        raise InvalidInput(f"{text!r} never comes: no such month has that day")
    return found


def _field(name: str, text: str, least: int, most: int, words: tuple[str, ...] = ()) -> frozenset[int]:
    found: set[int] = set()
    for part in text.lower().split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            begin, end = least, most if name != "weekday" else 6
        else:
            begin = _number(name, first, least, most, words)
            end = _number(name, last, least, most, words) if dash else most if slash else begin
        if end < begin:
            raise InvalidInput(f"{name} {part}: {last} comes before {first}")
        if slash and not (step.isascii() and step.isdigit() and int(step)):
            raise InvalidInput(f"{name} {part}: a step is a number from 1 on")
        found.update(range(begin, end + 1, int(step) if slash else 1))
    return frozenset(found)


def _number(name: str, text: str, least: int, most: int, words: tuple[str, ...]) -> int:
    if text in words:
        return words.index(text) + least
    if text.isascii() and text.isdigit() and least <= int(text) <= most:
        return int(text)
    also = f" or one of {', '.join(words)}" if words else ""
    raise InvalidInput(f"{name} {text!r} is not a number from {least} to {most}{also}")


# --- times


def zone_named(name: str) -> tzinfo:
    """The time zone. Raises InvalidInput."""
    from zoneinfo import ZoneInfo

    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise InvalidInput(f"there is no time zone {name!r}", hint="as in Europe/Berlin") from None


def next_time(expression: Expression, zone: tzinfo, after: float) -> int | None:
    """The first time later than `after`, both in seconds since 1970; None where there is none."""
    day = datetime.fromtimestamp(after, zone).date() - timedelta(days=1)
    for _ in range(_DAYS):
        if expression.has_day(day):
            for moment in _times_of(expression, zone, day):
                if moment > after:
                    return moment
        day += timedelta(days=1)
    return None


def _times_of(expression: Expression, zone: tzinfo, day: date) -> Iterator[int]:
    """The times of one day, in order."""
    if expression.every_hour:
        begin, end = _moment(zone, day, 0, 0), _moment(zone, day + timedelta(days=1), 0, 0)
        for moment in range(begin, end, 60):
            local = datetime.fromtimestamp(moment, zone)
            if local.minute in expression.minutes and local.hour in expression.hours:
                yield moment
    else:
        for hour in sorted(expression.hours):
            for minute in sorted(expression.minutes):
                yield _moment(zone, day, hour, minute)


def _moment(zone: tzinfo, day: date, hour: int, minute: int) -> int:
    """When a clock on the wall first shows this, or goes past it."""
    local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
    moment = int(local.timestamp())
    shown = datetime.fromtimestamp(moment, zone)
    if (shown.hour, shown.minute) == (hour, minute):
        return moment
    offset = shown.utcoffset()
    moment = int(local.replace(fold=1).timestamp())
    while datetime.fromtimestamp(moment, zone).utcoffset() != offset:
        moment += 60
    return moment


# --- cron.yaml


def parse_cron(document: Any, services: Collection[str]) -> list[Job]:
    """The jobs of a `cron.yaml`, for a project with these services. Raises InvalidInput that names the key."""
    if document is None:
        return []
    if not isinstance(document, dict) or not isinstance(document.get("cron"), list):
        raise InvalidInput("cron.yaml must be a mapping with `version: 1` and a list `cron`")
    if document.get("version") != 1:
        raise InvalidInput(f"cron.yaml: version {document.get('version')} is not known", hint="write `version: 1`")
    unknown = sorted(set(map(str, document)) - {"version", "cron"})
    if unknown:
        raise InvalidInput(f"cron.yaml: {unknown[0]} is not known", hint="there are: cron, version")
    jobs = [_job(f"cron.yaml: cron[{index}]", one, services) for index, one in enumerate(document["cron"])]
    names = [run_name(one.name) for one in jobs]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise InvalidInput(f"cron.yaml: cron[{index}].name: there are two jobs {jobs[index].name}")
    return jobs


def run_name(name: str) -> str:
    """What the container of a job's command is called; no two jobs of a project have the same."""
    return f"job-{''.join(one if one.isalnum() else '-' for one in name.lower())}"


def decode_jobs(values: Any) -> list[Job]:
    """Jobs whose `_asdict` went through JSON."""
    return [Job(**{**one, "command": tuple(one["command"])}) for one in values or ()]


def _job(key: str, said: Any, services: Collection[str]) -> Job:
    if not isinstance(said, dict):
        raise InvalidInput(f"{key} must be a mapping")
    for name in said:
        if name not in _KEYS:
            raise InvalidInput(f"{key}.{name} is not known", hint=f"there are: {', '.join(_KEYS)}")
    name, schedule = _text(key, said, "name"), _text(key, said, "schedule")
    if len(name) > _LONGEST_NAME or not (name.isascii() and name[0].isalnum() and _is_plain(name)):
        raise InvalidInput(f"{key}.name: {name!r} may have up to {_LONGEST_NAME} letters, digits, `-`, `_` and `.`")
    timezone = str(said.get("timezone", "UTC"))
    for part, check, value in (("schedule", parse_expression, schedule), ("timezone", zone_named, timezone)):
        try:
            check(value)
        except InvalidInput as error:
            raise InvalidInput(f"{key}.{part}: {error.message}", hint=error.hint) from None
    if ("url" in said) == ("command" in said):
        raise InvalidInput(f"{key} needs either a url or a command")
    service = str(said.get("service") or "")
    if service and service not in services:
        raise InvalidInput(f"{key}.service: there is no service {service}")
    job = Job(name, schedule, timezone, service=service, timeout=_timeout(key, said))
    return _asked(key, said, job) if "url" in said else _run(key, said, job, services)


def _is_plain(name: str) -> bool:
    return all(one.isalnum() or one in "-_." for one in name)


def _text(key: str, said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InvalidInput(f"{key}.{name} {'is missing' if value is None else 'must be a text'}")
    return value.strip()


def _timeout(key: str, said: Mapping[str, Any]) -> float:
    value = said.get("timeout", 600)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 86400:
        raise InvalidInput(f"{key}.timeout must be a number of seconds, up to a day")
    return float(value)


def _asked(key: str, said: Mapping[str, Any], job: Job) -> Job:
    url = _text(key, said, "url")
    if not url.startswith("/") or not url.isprintable() or not url.isascii() or " " in url:
        raise InvalidInput(f"{key}.url must be a path that begins with /")
    port = said.get("port", 0)
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port < 65536:
        raise InvalidInput(f"{key}.port must be a number from 1 to 65535")
    if port and not job.service:
        raise InvalidInput(f"{key}.service is missing: whose port is {port}?")
    return job._replace(url=url, port=port)


def _run(key: str, said: Mapping[str, Any], job: Job, services: Collection[str]) -> Job:
    if "port" in said:
        raise InvalidInput(f"{key}.port: a command has none")
    if not job.service and len(services) > 1:
        raise InvalidInput(f"{key}.service is missing: there are {', '.join(sorted(services))}")
    command = said["command"]
    if isinstance(command, str) and command.strip():
        words: tuple[str, ...] = ("/bin/sh", "-c", command)
    elif isinstance(command, list) and command and all(isinstance(one, (str, int, float)) for one in command):
        words = tuple(map(str, command))
    else:
        raise InvalidInput(f"{key}.command must be a text for the shell, or a list of words")
    return job._replace(command=words, service=job.service or next(iter(services)))
