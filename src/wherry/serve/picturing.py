"""From what was found to what a page shows. Pure."""

from __future__ import annotations

from wherry.deploy.retreat import cannot_be_aborted
from wherry.deploy.settings import SETTINGS
from wherry.deploy.telling import began
from wherry.serve.views import (
    DeploymentView,
    EventView,
    InstanceView,
    LogView,
    SettingView,
    SummaryView,
    VariableView,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wherry.deploy.model import Deployment, Environment, Event
    from wherry.deploy.settings import Setting
    from wherry.deploy.status import Status
    from wherry.deploy.target import LogLine
    from wherry.serve.looking import Look

__all__ = [
    "can_abort",
    "deployment_views",
    "event_view",
    "instance_views",
    "log_view",
    "operation_words",
    "setting_views",
    "step_views",
    "summary_view",
    "variable_views",
    "version_before",
]

_SECOND = 1e9
_UNLIMITED = 1e12


def summary_view(look: Look) -> SummaryView:
    """The environment at a glance."""
    found, health = look.found.environment, look.health
    stats = health.stats
    return SummaryView(
        name=found.name,
        application=found.application,
        host=found.host,
        url=look.found.url,
        status=found.status,
        color=health.color,
        health=health.status,
        causes=health.causes,
        version=found.version,
        instances=look.serving,
        wanted=found.size,
        requests=stats.requests / health.seconds,
        failing=stats.share(5),
        p95=stats.p95,
    )


def instance_views(look: Look) -> list[InstanceView]:
    """Its instances, by number."""
    return [
        InstanceView(
            name=health.name,
            version=status.instance.version,
            color=health.color,
            health=health.status,
            causes=health.causes,
            weight=status.instance.weight,
            draining=status.instance.draining,
            started=status.instance.created / _SECOND,
            requests=health.stats.requests / look.health.seconds,
            failing=health.stats.share(5),
            p95=health.stats.p95,
            cpu=health.cpu or 0.0,
            memory=health.memory,
        )
        for status, health in look.pairs
    ]


# --- what is under way


def operation_words(status: Status) -> str:
    """What is under way, empty for nothing."""
    if status.operation is None:
        return ""
    words = began(status.operation)[1]
    if status.operation.state == "undoing":
        words += " It is being taken back."
    return words if status.working else f"{words} It was cut off, and is taken up again soon."


def step_views(status: Status) -> list[tuple[str, str]]:
    """Its steps, each a state and a sentence."""
    return [(one.state, one.step.describe() + (f": {one.error}" if one.error else "")) for one in status.steps]


def can_abort(status: Status) -> bool:
    """Whether there is something that can be aborted, and nobody has asked for it yet."""
    operation = status.operation
    return (
        operation is not None
        and operation.state == "running"
        and not operation.abort_by
        and not cannot_be_aborted(operation)
    )


# --- what was


def deployment_views(
    environment: Environment, deployments: Sequence[Deployment], labels: set[str]
) -> list[DeploymentView]:
    """Deployments, the newest first; `labels` are the versions that there still are."""
    return [
        DeploymentView(
            number=one.number,
            kind=one.kind,
            started=one.started / _SECOND,
            who=one.who,
            before=one.before_version,
            after=one.after_version,
            policy=one.policy,
            result=one.result,
            cause=one.cause,
            seconds=one.seconds,
            message=one.message,
            is_current=one.after == environment.revision,
            can_return=one.result == "succeeded"
            and one.after != environment.revision
            and one.after_version in labels
            and not environment.terminated,
        )
        for one in deployments
    ]


def version_before(environment: Environment, deployments: Sequence[Deployment], labels: set[str]) -> str:
    """The version that a rollback brings back, empty where there is none."""
    current = next((one for one in deployments if one.after == environment.revision), None)
    return current.before_version if current and current.before and current.before_version in labels else ""


def event_view(event: Event) -> EventView:
    """An event."""
    return EventView(event.time / _SECOND, event.severity, event.message, event.instance, event.environment)


def log_view(line: LogLine) -> LogView:
    """A line; what is no text in it is shown as such."""
    text = line.data.decode(errors="backslashreplace").rstrip("\r\n")
    return LogView(line.time / _SECOND, line.instance, line.service, line.stream, text)


# --- how it is set


def setting_views(given: Mapping[str, str]) -> list[SettingView]:
    """All settings, over those that were set."""
    return [_setting_view(one, given.get(one.name, "")) for one in SETTINGS.values()]


def _setting_view(setting: Setting, value: str) -> SettingView:
    choices = ("on", "off") if setting.kind == "on-off" else setting.choices
    bounds = "" if setting.most >= _UNLIMITED else setting.bounds
    return SettingView(setting.name, value, setting.default, setting.summary, bounds, choices)


def variable_views(environment: Environment) -> list[VariableView]:
    """Variables with their values, secrets without."""
    variables = [VariableView(name, "variable", value) for name, value in environment.variables.items()]
    secrets = [VariableView(name, "file" if file else "secret") for name, file in environment.secrets.items()]
    return sorted((*variables, *secrets), key=lambda one: one.name)
