"""What the console shows, over the environments of an installation: fulfils `views.Views`."""

from __future__ import annotations

import time

from wherry.deploy.series import Series
from wherry.deploy.settings import Settings
from wherry.serve.acting import Acting
from wherry.serve.exposition import exposition
from wherry.serve.looking import Looking
from wherry.serve.measuring import families
from wherry.serve.picturing import (
    can_abort,
    deployment_views,
    event_view,
    instance_views,
    log_view,
    operation_words,
    setting_views,
    step_views,
    summary_view,
    variable_views,
    version_before,
)
from wherry.serve.sharing import Moment, shared_parts
from wherry.serve.tracing import charts
from wherry.serve.views import EnvironmentView, VersionView

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wherry.deploy.model import Environment
    from wherry.deploy.parts import Parts
    from wherry.serve.looking import Look
    from wherry.serve.views import Chart, EventView, LogView, SettingView, SummaryView, VariableView

__all__ = ["Showing"]

_MOMENT = 1.5  # seconds that a look is kept: less than a page waits before it looks again
_DEPLOYMENTS = 30
_VERSIONS = 50


class Showing:
    """Any thread may call. `clock` gives seconds that only grow."""

    def __init__(self, parts: Parts, clock: Callable[[], float] = time.monotonic) -> None:
        self._target = parts.target
        self._records = parts.records
        self._moment = Moment(_MOMENT, clock)
        self._now = parts.clock
        self._series = Series(parts.records.database, parts.clock)
        self._looking = Looking(shared_parts(parts, self._moment))
        self._acting = Acting(parts, self._moment.forget)

    def wait(self, seconds: float) -> bool:
        """Wait for what people have begun; whether all of it has ended."""
        return self._acting.wait(seconds)

    # --- what there is

    def summaries(self) -> Sequence[SummaryView]:
        """See Views."""
        return [summary_view(self._look(one.name)) for one in self._records.environments()]

    def environment(self, name: str, seconds: float) -> EnvironmentView:
        """See Views."""
        return self._moment.get(("environment", name, seconds), lambda: self._environment(name, seconds))

    def _look(self, name: str) -> Look:
        return self._moment.get(("look", name), lambda: self._looking.look(name))

    def _environment(self, name: str, seconds: float) -> EnvironmentView:
        look = self._look(name)
        found, status = look.found.environment, look.found
        settings, versions = Settings(found.settings), self._records.versions(found.application)
        labels = {one.label for one in versions}
        deployments = self._records.history.deployments(name)
        return EnvironmentView(
            summary=summary_view(look),
            operation=operation_words(status),
            progress=step_views(status),
            instances=instance_views(look),
            charts=self._charts(name, seconds) if seconds else (),
            deployments=deployment_views(found, deployments[:_DEPLOYMENTS], labels),
            least=settings.count("min"),
            most=settings.count("max"),
            versions=[VersionView(one.label, one.created / 1e9, one.message) for one in versions[:_VERSIONS]],
            back=version_before(found, deployments, labels),
            can_abort=can_abort(status),
            others=self._others(found),
        )

    def _charts(self, name: str, seconds: float) -> Sequence[Chart]:
        now = self._now() / 1e9
        return charts(lambda of: self._series.read(name, of, since=now - seconds), now, seconds)

    def _others(self, environment: Environment) -> list[str]:
        if not environment.revision:
            return []
        every = self._records.environments(environment.application)
        return [one.name for one in every if one.name != environment.name and one.revision]

    def events(self, name: str, limit: int) -> Sequence[EventView]:
        """See Views."""
        found = self._moment.get(("events", name, limit), lambda: self._records.history.events(name, limit=limit))
        return [event_view(one) for one in reversed(found)]

    def logs(self, name: str, limit: int, instance: str = "", service: str = "") -> Sequence[LogView]:
        """See Views."""
        self._records.environment(name)
        instances, services = (instance,) if instance else (), (service,) if service else ()
        question = ("logs", name, limit, instance, service)
        lines = self._moment.get(
            question, lambda: [*self._target.logs(name, tail=limit, instances=instances, services=services)]
        )
        return [log_view(one) for one in lines]

    def settings(self, name: str) -> Sequence[SettingView]:
        """See Views."""
        return setting_views(self._records.environment(name).settings)

    def variables(self, name: str) -> Sequence[VariableView]:
        """See Views."""
        return variable_views(self._records.environment(name))

    # --- what is done, and what is measured

    def act(self, action: str, name: str, values: Mapping[str, str], who: str) -> str:
        """See Views."""
        return self._acting.act(action, name, values, who)

    def metrics(self) -> str:
        """See Views."""
        looks = [self._look(one.name) for one in self._records.environments()]
        deployments = {one.name: self._records.history.deployments(one.name) for one in looks}
        return exposition(families(looks, deployments))
