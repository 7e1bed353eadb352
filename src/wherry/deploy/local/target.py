"""The target that is this machine, over the machinery of Compose."""

from __future__ import annotations

import threading
from heapq import merge
from math import ceil

from wherry.base.clock import parse_rfc3339, system_clock
from wherry.base.errors import Unavailable
from wherry.base.progress import nobody
from wherry.compose.adapter import WherryEngine, docker_status
from wherry.compose.apply import ApplyOptions
from wherry.compose.converging import carry_out, observe
from wherry.compose.labels import SERVICE
from wherry.compose.plan import UpOptions, plan_up
from wherry.compose.teardown import DownOptions, plan_down
from wherry.deploy.local.archive import LogArchive
from wherry.deploy.local.projects import (
    INSTANCE,
    accessory_project,
    instance_project,
    is_run,
    project_name,
    release_project,
    whose,
)
from wherry.deploy.target import ACCESSORIES, RELEASE, LogLine, ObservedInstance, ObservedService
from wherry.kernel.cgroups import Usage, cgroup_path, usage
from wherry.runtime.logs import read_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wherry.base.paths import Layout
    from wherry.base.progress import Sink
    from wherry.compose.actions import Plan
    from wherry.compose.model import Project
    from wherry.compose.state import ObservedContainer
    from wherry.deploy.target import AccessoryWish, InstanceWish, Release
    from wherry.engine.records import Container
    from wherry.runtime.logs import LogRecord

__all__ = ["LocalTarget"]

_SECOND = 1e9
_NEVER_AGAIN = ("exited", "dead")


class LocalTarget:
    """Fulfils `deploy.target.Target`. Everything it makes is a container, network or volume of the engine.

    That is the installation's own where none is given.
    """

    def __init__(self, layout: Layout, engine: WherryEngine | None = None) -> None:
        self._layout = layout
        self._engine = engine or WherryEngine(layout)

    # --- what there is

    def observe(self, environment: str) -> list[ObservedInstance]:
        """See Target."""
        return self._observed(environment).get(environment, [])

    def observe_all(self) -> dict[str, list[ObservedInstance]]:
        """See Target."""
        return self._observed("")

    def _observed(self, environment: str) -> dict[str, list[ObservedInstance]]:
        """Of one environment, or of all where none is named: one query, and control groups of what runs."""
        found: dict[str, dict[str, list[ObservedService]]] = {}
        versions: dict[tuple[str, str], str] = {}
        for one in self._engine.opened().containers.all():
            owner = whose(one.request.labels)
            if owner is None or environment not in ("", owner.environment) or is_run(owner.name):
                continue
            found.setdefault(owner.environment, {}).setdefault(owner.name, []).append(self._service(one))
            versions[owner.environment, owner.name] = owner.version
        return {
            place: [
                ObservedInstance(
                    place,
                    "" if name == ACCESSORIES else name,
                    versions[place, name],
                    tuple(sorted(services, key=lambda one: one.service)),
                )
                for name, services in sorted(named.items(), key=lambda item: _order(item[0]))
            ]
            for place, named in found.items()
        }

    def _containers(self, environment: str) -> list[ObservedContainer]:
        every = self._engine.containers()
        return [one for one in every if (owner := whose(one.labels)) and owner.environment == environment]

    def _service(self, one: Container) -> ObservedService:
        state, request = one.state, one.request
        used = usage(cgroup_path(self._layout.tag, one.id)) if state.is_up else Usage()
        return ObservedService(
            service=request.labels.get(SERVICE, ""),
            container=one.id,
            status=docker_status(state.status),
            health=state.health,
            exit_code=state.exit_code,
            restarts=state.restart_count,
            started=state.started / _SECOND,
            address=one.network.address if state.is_up else "",
            cpu_seconds=used.cpu_seconds,
            memory=used.memory,
            oom_killed=state.oom_killed,
            cpus=request.limits.nano_cpus / _SECOND,
            memory_limit=request.limits.memory,
        )

    # --- instances

    def start(self, wish: InstanceWish, progress: Sink, look: Callable[[], None] = lambda: None) -> ObservedInstance:
        """See Target."""
        project = instance_project(wish, _others(wish))
        self._up(project, UpOptions(recreate="never"), progress, look)
        found = [one for one in self.observe(wish.environment) if one.name == wish.name]
        if not found:
            raise Unavailable(f"the instance {wish.name} of {wish.environment} was removed while it started")
        return found[0]

    def _up(
        self, project: Project, options: UpOptions, progress: Sink, look: Callable[[], None] = lambda: None
    ) -> None:
        state = observe(self._engine, project.name, project)
        plan = plan_up(project, state, options)
        carry_out(self._engine, project, state, plan, progress, ApplyOptions(look=look))

    def stop(self, environment: str, name: str, grace: float | None, progress: Sink) -> None:
        """See Target."""
        self._down(environment, name, progress, None if grace is None else ceil(grace))

    def _down(
        self, environment: str, name: str, progress: Sink, grace: int | None = None, *, volumes: bool = False
    ) -> None:
        archive = self._archive(environment)
        project = project_name(environment, name)
        state = observe(self._engine, project)
        for one in state.containers:
            log = f"{self._layout.container(one.id)}/log"
            archive.keep(one.labels.get(INSTANCE, name), one.service, one.id, log)
        # An instance's volumes are anonymous or its own: they are nobody's when it is gone.
        options = DownOptions(volumes=volumes or name != ACCESSORIES)
        plan = plan_down(project, None, state, options)
        carry_out(self._engine, None, state, plan, progress, ApplyOptions(timeout=grace))
        archive.trim()

    def restart(self, environment: str, name: str) -> None:
        """See Target."""
        for one in self._engine.containers(project_name(environment, name)):
            self._engine.restart(one.id, None)

    # --- accessories, releases, all of it

    def ensure_accessories(
        self,
        wish: AccessoryWish,
        progress: Sink,
        *,
        replace: bool = False,
        anew: bool = False,
        look: Callable[[], None] = lambda: None,
    ) -> list[str]:
        """See Target."""
        from wherry.compose.waiting import wait_until_ready

        project = accessory_project(wish)
        state = observe(self._engine, project.name, project)
        changed = _recreated(plan_up(project, state, UpOptions()))
        options = UpOptions(recreate="force" if anew else "diverged" if replace else "never")
        self._up(project, options, progress, look)
        wait_until_ready(self._engine, project, None, look)
        return [] if replace or anew else changed

    def release(self, release: Release, output: Callable[[bytes], None]) -> int:
        """See Target."""
        environment = release.instance.environment
        self._down(environment, release.name, nobody)
        project = release_project(release, _others(release.instance))
        try:
            self._up(project, UpOptions(), nobody)
            return self._follow_to_end(project.name, release, output)
        finally:
            self._down(environment, release.name, nobody)

    def _follow_to_end(self, project: str, release: Release, output: Callable[[bytes], None]) -> int:
        [one] = self._engine.containers(project)
        writer = threading.Thread(target=self._copy_output, args=(one.id, output), daemon=True)
        writer.start()

        def code() -> int | None:
            now = self._engine.container(one.id)
            return now.exit_code if now is not None and now.status in _NEVER_AGAIN else None

        ended = self._engine.wait_until(code, release.timeout)
        if ended is None:
            what = "release command" if release.name == RELEASE else f"command of {release.name}"
            raise Unavailable(f"the {what} has not ended within {release.timeout:g} seconds", hint="see its `timeout:`")
        writer.join()
        return ended

    def _copy_output(self, container_id: str, output: Callable[[bytes], None]) -> None:
        for record in self._engine.logs(container_id, follow=True):
            output(record.data)

    def terminate(self, environment: str, progress: Sink, *, volumes: bool) -> None:
        """See Target."""
        owners = [whose(one.labels) for one in self._containers(environment)]
        names = {owner.name for owner in owners if owner is not None} - {ACCESSORIES}
        for name in sorted(names):
            self._down(environment, name, progress)
        self._down(environment, ACCESSORIES, progress, volumes=volumes)

    # --- logs

    def _archive(self, environment: str) -> LogArchive:
        return LogArchive(f"{self._layout.root}/environments/{environment}/logs")

    def logs(
        self,
        environment: str,
        *,
        follow: bool = False,
        tail: int = -1,
        instances: Sequence[str] = (),
        services: Sequence[str] = (),
    ) -> Iterator[LogLine]:
        """See Target."""
        now = system_clock()

        def is_wanted(instance: str, service: str) -> bool:
            return (not instances or instance in instances) and (not services or service in services)

        def lines(instance: str, service: str, records: Iterator[LogRecord]) -> Iterator[LogLine]:
            for record in records:
                yield LogLine(instance, service, parse_rfc3339(record.time), record.stream, record.data)

        present = self._containers(environment)
        here = {one.id[:12] for one in present}
        sources = [
            lines(one.instance, one.service, read_log(one.path, tail=tail))
            for one in self._archive(environment).logs()
            if is_wanted(one.instance, one.service) and one.container not in here
        ]
        sources += [
            lines(name, one.service, self._engine.logs(one.id, tail=tail, until=now))
            for one in present
            if is_wanted(name := one.labels[INSTANCE], one.service)
        ]
        history = list(merge(*sources, key=lambda line: line.time))
        yield from history[-tail:] if tail > 0 else history if tail else []
        if follow:
            yield from self._following(environment, now, is_wanted)

    def _following(self, environment: str, since: int, is_wanted: Callable[[str, str], bool]) -> Iterator[LogLine]:
        """What is written from now on, by containers that come later too."""
        from queue import SimpleQueue

        from wherry.compose.following import Follower, LogOptions

        queue: SimpleQueue[LogLine] = SimpleQueue()

        def write(one: ObservedContainer, record: LogRecord) -> None:
            moment = parse_rfc3339(record.time)
            queue.put(LogLine(one.labels[INSTANCE], one.service, moment, record.stream, record.data))

        follower = Follower(self._engine, write, LogOptions(follow=True, since=since))
        seen: set[str] = set()

        def unseen() -> list[ObservedContainer] | None:
            """Those that have begun: one that is only made would be taken for one that has ended."""
            every = self._containers(environment)
            return [one for one in every if one.id not in seen and one.status != "created"] or None

        def find() -> None:
            while True:
                found = self._engine.wait_until(unseen) or []
                seen.update(one.id for one in found)
                follower.add(one for one in found if is_wanted(one.labels[INSTANCE], one.service))

        threading.Thread(target=find, daemon=True).start()
        try:
            while True:
                yield queue.get()
        finally:
            follower.stop()


def _order(name: str) -> tuple[bool, int, str]:
    """Instances by number, accessories last."""
    return name == ACCESSORIES, len(name), name


def _others(wish: InstanceWish) -> set[str]:
    """The services of the model that are no part of an instance: its accessories."""
    return set(wish.model["services"]) - set(wish.services)


def _recreated(plan: Plan) -> list[str]:
    """The services of which a plan makes a container anew."""
    return sorted({step.service for step in plan.steps if step.verb == "create" and step.inherits})
