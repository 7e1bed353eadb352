"""The settings of an environment: names a person would guess, with types, defaults, bounds and units.

A setting is kept as the text that was given and read when it is used, so what a saved configuration holds is what
somebody wrote. Times are in seconds.
"""

from __future__ import annotations

from wherry.base.errors import InvalidInput, NotFound
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "POLICIES",
    "SETTINGS",
    "Batch",
    "Setting",
    "Settings",
    "check_settings",
    "parse_assignments",
    "parse_policy",
    "setting_named",
]

POLICIES = ("all-at-once", "rolling", "rolling-additional", "immutable", "traffic-splitting")
MEASURES = ("cpu", "memory", "requests", "latency")
_POLICY_NAMES = {
    "allatonce": "all-at-once",
    "rolling": "rolling",
    "rollingadditional": "rolling-additional",
    "rollingwithadditionalbatch": "rolling-additional",
    "additional": "rolling-additional",
    "immutable": "immutable",
    "trafficsplitting": "traffic-splitting",
    "canary": "traffic-splitting",
}
_TRUE, _FALSE = ("on", "true", "yes", "1"), ("off", "false", "no", "0")


class Setting(NamedTuple):
    """One setting. `kind` is int, number, seconds, on-off, batch, policy, codes, path, cron or one of `choices`."""

    name: str
    kind: str
    default: str
    summary: str
    least: float = 0
    most: float = 0
    unit: str = ""
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def bounds(self) -> str:
        """What values there are, in words."""
        if self.choices:
            return ", ".join(self.choices)
        if self.most:
            unit = f" {self.unit}" if self.unit else ""
            return f"{self.least:g} to {self.most:g}{unit}"
        return {
            "on-off": "on, off",
            "batch": "a count (2) or a percentage (30%)",
            "cron": "minute, hour, day, month and weekday, or @daily …",
        }.get(self.kind, "")


class Batch(NamedTuple):
    """How many instances are replaced at once: a count, or a percentage of all."""

    amount: float
    percent: bool

    def of(self, count: int) -> int:
        """The size of a batch of `count` instances: at least one, at most all of them."""
        size = -int(-count * self.amount // 100) if self.percent else int(self.amount)
        return max(1, min(size, max(count, 1)))


def _seconds(name: str, default: str, most: float, summary: str, least: float = 0, *aliases: str) -> Setting:
    return Setting(name, "seconds", default, summary, least, most, "seconds", aliases=aliases)


SETTINGS = {
    one.name: one
    for one in (
        Setting("policy", "policy", "rolling-additional", "How a version replaces another", choices=POLICIES),
        Setting("batch", "batch", "30%", "How many instances a rolling deployment replaces at once"),
        Setting("min", "int", "1", "Fewest instances", 1, 100, aliases=("minsize",)),
        Setting("max", "int", "4", "Most instances", 1, 100, aliases=("maxsize",)),
        _seconds("timeout", "600", 86400, "How long a step may take before the deployment fails", 1),
        Setting("rollback", "on-off", "on", "Whether a rolling or all-at-once deployment that fails is taken back"),
        Setting("ignore-health", "on-off", "off", "Whether instances may enter that do not answer as configured"),
        Setting("health.path", "path", "/", "What the health check asks for", aliases=("healthcheckpath",)),
        Setting("health.codes", "codes", "200-399", "Which answers are healthy", aliases=("matcherhttpcode",)),
        _seconds("health.interval", "5", 300, "Between two health checks", 0.1),
        _seconds("health.timeout", "4", 300, "How long a health check waits for its answer", 0.1),
        Setting("health.healthy", "int", "2", "Good answers in a row that make an instance healthy", 1, 100),
        Setting("health.unhealthy", "int", "3", "Bad answers in a row that make it unhealthy", 1, 100),
        _seconds("health.grace", "60", 86400, "How long an instance may be unhealthy before it is replaced"),
        _seconds("drain", "20", 3600, "How long a leaving instance may take for requests under way"),
        _seconds("grace", "", 3600, "Between SIGTERM and SIGKILL; the services' own `stop_grace_period` if not set"),
        Setting("split.percent", "number", "10", "What part of the requests a version on trial gets", 1, 99, "percent"),
        _seconds("split.evaluation", "300", 86400, "How long a version is on trial", 1),
        Setting("split.errors", "number", "5", "Answers with 5xx that end a trial", 0, 100, "percent"),
        _seconds("split.latency", "", 600, "p95 of answers that ends a trial; not judged if not set", 0.001),
        Setting("scale.measure", "choice", "", "What instances are added and removed by", choices=MEASURES),
        Setting("scale.upper", "number", "", "Above it instances are added", 0, 1e12),
        Setting("scale.lower", "number", "", "Below it instances are removed", 0, 1e12),
        _seconds("scale.period", "60", 3600, "What a measurement is averaged over", 1),
        _seconds("scale.breach", "300", 86400, "How long a threshold must be passed", 1),
        Setting("scale.increment", "int", "1", "How many instances are added at a time", 1, 100),
        Setting("scale.decrement", "int", "1", "How many instances are removed at a time", 1, 100),
        _seconds("scale.cooldown", "360", 86400, "Between two changes of the count"),
        Setting("sticky", "on-off", "off", "Whether a client stays with its instance"),
        Setting("backup.schedule", "cron", "", "When accessories are backed up, as a cron expression in UTC"),
        Setting("backup.keep", "int", "7", "How many backups a scheduled one leaves, the newest", 1, 1000),
        Setting("tls", "choice", "off", "Where the certificate comes from", choices=("off", "local", "acme", "own")),
        Setting("redirect", "on-off", "off", "Whether plain requests are sent to https"),
        Setting("maintenance", "on-off", "off", "Whether a page that says so is shown instead"),
    )
}
_NAMES = {alias: name for name, one in SETTINGS.items() for alias in (name, *one.aliases)}


def setting_named(name: str) -> Setting:
    """The setting of that name, in small or capital letters. Raises NotFound with the name that was probably meant."""
    from difflib import get_close_matches

    found = _NAMES.get(name.strip().lower().replace("_", "-"))
    if found:
        return SETTINGS[found]
    near = get_close_matches(name.lower(), [*_NAMES], 1, 0.5)
    hint = f"did you mean {_NAMES[near[0]]}?" if near else "`wherry env config get --all` lists them"
    raise NotFound(f"there is no setting {name}", hint=hint)


def parse_policy(text: str) -> str:
    """The policy of that name; Beanstalk's names and `additional` are understood. Raises InvalidInput."""
    key = "".join(one for one in text.lower() if one.isalpha())
    if key not in _POLICY_NAMES:
        raise InvalidInput(f"there is no policy {text}", hint=f"there are: {', '.join(POLICIES)}")
    return _POLICY_NAMES[key]


def parse_assignments(texts: Iterable[str]) -> dict[str, str]:
    """`NAME=VALUE` settings, checked and in canonical spelling. An empty value takes a setting back to its default.

    Raises InvalidInput or NotFound.
    """
    given = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidInput(f"{text}: a setting is written NAME=VALUE")
        setting = setting_named(name)
        given[setting.name] = _canonical(setting, value.strip()) if value.strip() else ""
    return given


def check_settings(given: Mapping[str, str]) -> dict[str, str]:
    """Settings by name, checked and in canonical spelling; see `parse_assignments`."""
    return parse_assignments(f"{name}={value}" for name, value in given.items())


def _canonical(setting: Setting, text: str) -> str:
    """The text as it is kept. Raises InvalidInput with the setting's name and bounds."""
    readers = {
        "policy": parse_policy,
        "on-off": _on_off,
        "batch": _batch_text,
        "codes": _codes,
        "path": _path,
        "cron": _cron,
    }
    try:
        if setting.kind in readers:
            return readers[setting.kind](text)
        if setting.kind == "choice":
            return _choice(setting, text.lower())
        return _number(setting, text)
    except ValueError as error:
        why = str(error) or setting.bounds
        raise InvalidInput(f"{setting.name}={text}: {why}") from None


def _on_off(text: str) -> str:
    if text.lower() not in (*_TRUE, *_FALSE):
        raise ValueError("on or off")
    return "on" if text.lower() in _TRUE else "off"


def _choice(setting: Setting, text: str) -> str:
    if text not in setting.choices:
        raise ValueError(f"one of {', '.join(setting.choices)}")
    return text


def _path(text: str) -> str:
    if not text.startswith("/") or not text.isprintable() or " " in text:
        raise ValueError("a path begins with / and has no blanks")
    return text


def _codes(text: str) -> str:
    from wherry.deploy.codes import status_prefixes

    try:
        status_prefixes(text)
    except InvalidInput as error:
        raise ValueError(f"answers are written {error.hint}") from None
    return text.replace(" ", "")


def _cron(text: str) -> str:
    from wherry.deploy.cron import parse_expression

    try:
        parse_expression(text)
    except InvalidInput as error:
        raise ValueError(error.message) from None
    return text


def _batch_text(text: str) -> str:
    batch = _batch(text)
    return f"{batch.amount:g}%" if batch.percent else f"{batch.amount:g}"


def _batch(text: str) -> Batch:
    percent = text.endswith("%")
    try:
        amount = float(text.rstrip("%")) if percent else int(text)
    except ValueError:
        raise ValueError("a count (2) or a percentage (30%)") from None
    if not (0 < amount <= 100 if percent else 1 <= amount <= 100):
        raise ValueError("between 1 and 100")
    return Batch(amount, percent)


def _number(setting: Setting, text: str) -> str:
    if setting.kind == "seconds":
        text = _without_unit(text)
    elif setting.unit == "percent":
        text = text.removesuffix("%")
    try:
        value = float(int(text)) if setting.kind == "int" else float(text)
    except ValueError:
        raise ValueError(setting.bounds) from None
    if not setting.least <= value <= setting.most:  # also where it is not a number
        raise ValueError(setting.bounds)
    return str(int(value)) if value == int(value) else repr(value)


def _without_unit(text: str) -> str:
    """`2m` and `30s` and `500ms` as seconds."""
    for unit, factor in (("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600)):
        if text.endswith(unit) and text[: -len(unit)].replace(".", "", 1).isdigit():
            return repr(float(text[: -len(unit)]) * factor)
    return text


class Settings:
    """The settings of one environment: what was set, over the defaults. `given` holds canonical texts."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self.given = {name: text for name, text in given.items() if text != "" and name in SETTINGS}

    def text(self, name: str) -> str:
        """As it was set, or the default."""
        return self.given.get(name, SETTINGS[name].default)

    def number(self, name: str) -> float:
        """A number or seconds; 0 where it is not set and has no default."""
        return float(self.text(name) or 0)

    def count(self, name: str) -> int:
        """A whole number."""
        return int(self.text(name) or 0)

    def on(self, name: str) -> bool:
        """Whether a switch is on."""
        return self.text(name) == "on"

    def optional(self, name: str) -> float | None:
        """A number, or None where it is not set and has no default."""
        return float(self.text(name)) if self.text(name) else None

    @property
    def batch(self) -> Batch:
        """The size of batches."""
        return _batch(self.text("batch"))

    def clamped(self, size: int) -> int:
        """The number of instances nearest to `size` that `min` and `max` allow."""
        return max(self.count("min"), min(size, self.count("max")))

    def with_changes(self, changes: Mapping[str, str]) -> Settings:
        """These with `changes` over them; an empty text takes a setting back. Raises InvalidInput where they clash."""
        changed = Settings({**self.given, **changes})
        if changed.count("min") > changed.count("max"):
            raise InvalidInput(
                f"min={changed.text('min')} is more than max={changed.text('max')}", hint="set both at once"
            )
        upper, lower = changed.optional("scale.upper"), changed.optional("scale.lower")
        if upper is not None and lower is not None and lower >= upper:
            raise InvalidInput(f"scale.lower={lower:g} is not below scale.upper={upper:g}")
        return changed
