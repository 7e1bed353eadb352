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
    "LogView",
    "SettingView",
    "SummaryView",
    "Views",
]


class SummaryView(NamedTuple):
    """One line of the list. `color` is green, yellow, red or grey; `health` is Ok, Warning, Degraded and so on."""

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
    requests: float  # per second


class InstanceView(NamedTuple):
    """One instance; `memory` is in bytes, `cpu` in percent of one core, the latencies in milliseconds."""

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


class Chart(NamedTuple):
    """A line over time: `points` are pairs of seconds since 1970 and a value, oldest first."""

    title: str
    unit: str
    points: Sequence[tuple[float, float]]


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


class EventView(NamedTuple):
    """One event; `time` is seconds since 1970."""

    time: float
    severity: str
    message: str
    instance: str = ""


class LogView(NamedTuple):
    """A line of a log."""

    time: float
    instance: str
    service: str
    stream: int
    text: str


class SettingView(NamedTuple):
    """One setting with what it means; `is_default` where it was not set."""

    name: str
    value: str
    is_default: bool
    help: str


class EnvironmentView(NamedTuple):
    """All of one environment's page. `operation` says what is under way, empty for nothing."""

    summary: SummaryView
    operation: str
    progress: Sequence[tuple[str, str]]  # state, sentence
    instances: Sequence[InstanceView]
    charts: Sequence[Chart]
    deployments: Sequence[DeploymentView]
    wanted: int
    least: int
    most: int


class Views(Protocol):
    """Every method may be called from any thread. Raises NotFound for an environment that is not there."""

    def summaries(self) -> Sequence[SummaryView]:
        """All environments."""

    def environment(self, name: str) -> EnvironmentView:
        """One of them."""

    def events(self, name: str, limit: int) -> Sequence[EventView]:
        """The last events, the newest first; of all environments for an empty name."""

    def logs(self, name: str, limit: int, instance: str = "", service: str = "") -> Sequence[LogView]:
        """The last lines, the oldest first."""

    def settings(self, name: str) -> Sequence[SettingView]:
        """All settings."""

    def act(self, action: str, name: str, values: Mapping[str, str], who: str) -> str:
        """Begin `rollback`, `abort`, `scale`, `restart` or `set`; a sentence that says what was begun.

        What takes its time goes on after the call has returned.
        """

    def metrics(self) -> str:
        """All figures in Prometheus's text format."""
