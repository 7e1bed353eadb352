"""The contract between the console's pages and what they show: plain values, and sentences for what was done."""

from __future__ import annotations

from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Protocol
else:
    Protocol = object

__all__ = [
    "Chart",
    "DeploymentView",
    "EnvironmentView",
    "EventView",
    "InstanceView",
    "Line",
    "LogView",
    "SettingView",
    "SummaryView",
    "VariableView",
    "VersionView",
    "Views",
]


class SummaryView(NamedTuple):
    """One environment at a glance. `color` is green, yellow, red or grey; `health` is Ok, Warning, Degraded and so on.

    `instances` are those that get requests, of the `wanted`; `failing` is what percentage of answers were 5xx, `p95`
    milliseconds.
    """

    name: str
    application: str
    host: str
    url: str
    status: str
    color: str
    health: str
    causes: Sequence[str]
    version: str
    instances: int
    wanted: int
    requests: float = 0.0  # per second
    failing: float = 0.0
    p95: float = 0.0


class InstanceView(NamedTuple):
    """One instance; `memory` is in bytes, `cpu` in percent of one core, the latencies in milliseconds.

    `started` is seconds since 1970, 0 where that is not known.
    """

    name: str
    version: str
    color: str
    health: str
    causes: Sequence[str]
    weight: int
    draining: bool
    started: float
    requests: float
    failing: float  # percent of answers that were 5xx
    p95: float
    cpu: float
    memory: int


class Line(NamedTuple):
    """`points` are pairs of seconds since 1970 and a value, oldest first."""

    name: str
    points: Sequence[tuple[float, float]]


class Chart(NamedTuple):
    """Lines over the time from `since` to `until` (seconds since 1970). `width` is how far apart points are.

    Where they are further apart than a few widths, nothing was measured. `top` is what the scale reaches at least.
    """

    title: str
    unit: str
    lines: Sequence[Line]
    since: float
    until: float
    width: float = 60.0
    top: float = 0.0


class DeploymentView(NamedTuple):
    """One deployment; `started` is seconds since 1970, `result` empty while it is under way."""

    number: int
    kind: str
    started: float
    who: str
    before: str
    after: str
    policy: str
    result: str
    cause: str
    seconds: float
    message: str
    is_current: bool = False  # whether it is what runs
    can_return: bool = False  # whether it is something to roll back to


class VersionView(NamedTuple):
    """A version that could be deployed; `created` is seconds since 1970."""

    label: str
    created: float
    message: str


class EventView(NamedTuple):
    """One event; `time` is seconds since 1970."""

    time: float
    severity: str
    message: str
    instance: str = ""
    environment: str = ""


class LogView(NamedTuple):
    """A line of a log."""

    time: float
    instance: str
    service: str
    stream: int
    text: str


class SettingView(NamedTuple):
    """One setting with what it means; `value` is empty where it was not set, and then `default` holds.

    With `choices` it is one of them. `bounds` says in words what values there are.
    """

    name: str
    value: str
    default: str
    help: str
    bounds: str = ""
    choices: Sequence[str] = ()

    @property
    def group(self) -> str:
        """What it belongs to: `health` of `health.path`, empty for the rest."""
        return self.name.partition(".")[0] if "." in self.name else ""


class VariableView(NamedTuple):
    """A variable of the environment, or a secret (`kind` is variable, secret or file), whose value nobody sees."""

    name: str
    kind: str
    value: str = ""


class EnvironmentView(NamedTuple):
    """All of one environment's page. `operation` says what is under way, empty for nothing.

    `back` is the version that a rollback brings back, empty where there is none; `others` are environments to
    swap with.
    """

    summary: SummaryView
    operation: str
    progress: Sequence[tuple[str, str]]  # state (waiting, running, done, failed, dropped), sentence
    instances: Sequence[InstanceView]
    charts: Sequence[Chart]
    deployments: Sequence[DeploymentView]
    least: int
    most: int
    versions: Sequence[VersionView] = ()
    back: str = ""
    can_abort: bool = False
    others: Sequence[str] = ()


class Views(Protocol):
    """Every method may be called from any thread. Raises NotFound for an environment that is not there."""

    def summaries(self) -> Sequence[SummaryView]:
        """All environments."""

    def environment(self, name: str, seconds: float) -> EnvironmentView:
        """One of them, with charts of the last `seconds`."""

    def events(self, name: str, limit: int) -> Sequence[EventView]:
        """The last events, the newest first; of all environments for an empty name."""

    def logs(self, name: str, limit: int, instance: str = "", service: str = "") -> Sequence[LogView]:
        """The last lines, the oldest first."""

    def settings(self, name: str) -> Sequence[SettingView]:
        """All settings."""

    def variables(self, name: str) -> Sequence[VariableView]:
        """All variables and secrets, by name."""

    def act(self, action: str, name: str, values: Mapping[str, str], who: str) -> str:
        """Begin `deploy`, `rollback`, `abort`, `scale`, `restart`, `swap`, `set` or `variable`; a sentence about it.

        What takes its time goes on after the call has returned; where it fails then, an event says so. Raises what
        keeps it from beginning.
        """

    def metrics(self) -> str:
        """All figures in Prometheus's text format."""
