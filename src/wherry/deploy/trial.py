"""A version on trial: some of the requests go to it, and it is watched how it does."""

from __future__ import annotations

from wherry.base.errors import OperationFailed
from wherry.deploy.admission import hopelessness
from wherry.deploy.ailments import FEWEST
from wherry.deploy.settings import Settings
from wherry.deploy.traffic import summarize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.deploy.parts import Parts
    from wherry.deploy.steps import Evaluate
    from wherry.deploy.traffic import RequestStats

__all__ = ["verdict", "watch"]

_LOOK_SECONDS = 1.0
_JUDGE_SECONDS = 5.0  # between two readings of the log


def watch(parts: Parts, environment: str, step: Evaluate, look: Callable[[], None]) -> None:
    """Return when the time of the trial is over. Raises OperationFailed as soon as the version does badly.

    `look` is called every second, and may raise.
    """
    settings = Settings(parts.records.environment(environment).settings)
    began = parts.clock() / 1e9
    judged = began
    while (now := parts.clock() / 1e9) < began + step.seconds:
        look()
        if now >= judged + _JUDGE_SECONDS:
            judged = now
            _judge(parts, environment, step, settings, began)
        parts.pause(min(_LOOK_SECONDS, began + step.seconds - now))
    _judge(parts, environment, step, settings, began)


def _judge(parts: Parts, environment: str, step: Evaluate, settings: Settings, since: float) -> None:
    names = [one.name for one in parts.records.instances(environment) if one.revision == step.revision]
    observed = {one.name: one for one in parts.target.observe(environment)}
    for name in names:
        if why := hopelessness(observed.get(name)):
            raise OperationFailed(f"version {step.version} failed its trial: {name}: {why}")
    for state in parts.balancer.states(environment):
        if state.instance in names and state.status == "down":
            why = f"the load balancer calls it down{': ' if state.reason else ''}{state.reason}"
            raise OperationFailed(f"version {step.version} failed its trial: {state.instance}: {why}")
    mine = (one for one in parts.balancer.access(environment, since) if one.instance in names)
    if why := verdict(summarize(mine).get(""), settings):
        raise OperationFailed(f"version {step.version} failed its trial: {why}")


def verdict(stats: RequestStats | None, settings: Settings) -> str:
    """What is wrong with how requests were answered; empty for nothing, and where there were too few to say."""
    if stats is None or stats.requests < FEWEST:
        return ""
    failed = 100 * stats.status[4] / stats.requests
    if failed > settings.number("split.errors"):
        return f"{failed:.3g}% of its {stats.requests} answers were 5xx, more than {settings.text('split.errors')}%"
    limit, timed = settings.optional("split.latency"), stats.requests - stats.status[0]
    if limit is not None and timed >= FEWEST and stats.p95 > limit * 1000:
        return f"p95 of its {timed} answers was {stats.p95:.0f} ms, more than {limit * 1000:g} ms"
    return ""
