"""What to do so that a project, or a part of it, stops or is gone. Pure. Dependents go before what they depend on."""

from __future__ import annotations

from wherry.base.values import NamedTuple
from wherry.compose import labels as label
from wherry.compose.actions import Draft, Plan, Step
from wherry.compose.graph import dependents, find_cycle, in_order

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from wherry.compose.model import Project
    from wherry.compose.state import ObservedContainer, ObservedResource, State

__all__ = ["DownOptions", "plan_down", "plan_restart", "plan_stop", "service_edges"]


class DownOptions(NamedTuple):
    """`services` are those named (all); `images` is empty, local (built without a name of their own) or all."""

    services: tuple[str, ...] = ()
    volumes: bool = False
    images: str = ""
    remove_orphans: bool = False


def service_edges(project: Project | None, containers: Iterable[ObservedContainer]) -> dict[str, list[str]]:
    """Which service depends on which: as the files say, or, for services that no file has, as labels do."""
    edges: dict[str, list[str]] = {}
    for container in containers:
        edges[container.service] = label.parse_dependencies(container.labels)
    edges.update(project.edges() if project is not None else {})
    return edges if not find_cycle(edges) else {service: [] for service in edges}


def plan_down(name: str, project: Project | None, state: State, options: DownOptions) -> Plan:
    """The plan of `down`; without files (`project` None) everything that carries the project's label goes."""
    draft = Draft()
    known = None if project is None else {*project.services}
    ours = [one for one in state.containers if known is None or one.service in known]
    if options.services:
        ours = [one for one in ours if one.service in options.services]
    if options.remove_orphans and project is not None:
        ours += [one for one in state.containers if one.service not in {*project.services, *project.disabled}]
    edges = service_edges(project, state.containers)
    removals = _stop_in_order(draft, ours, edges, remove=True, volumes=options.volumes)
    everything = [number for numbers in removals.values() for number in numbers]
    if not options.services or (project is not None and set(options.services) >= set(project.services)):
        _remove_networks(draft, name, project, state, everything)
        if options.volumes:
            _remove_volumes(draft, name, project, state, everything)
        if options.images and project is not None:
            _remove_images(draft, project, state, options.images, everything)
    return draft.finish()


def plan_stop(containers: Iterable[ObservedContainer], edges: dict[str, list[str]]) -> Plan:
    """The plan of `stop` for these containers."""
    draft = Draft()
    _stop_in_order(draft, list(containers), edges, remove=False, volumes=False)
    return draft.finish()


def plan_restart(
    containers: Iterable[ObservedContainer], edges: dict[str, list[str]], *, dependencies: bool = True
) -> Plan:
    """The plan of `restart`: each service after those that it depends on."""
    draft = Draft()
    done: dict[str, list[int]] = {}
    every = list(containers)
    for service in in_order({one.service: edges.get(one.service, []) for one in every}):
        before = [number for parent in edges.get(service, ()) for number in done.get(parent, ())]
        for one in every:
            if one.service == service:
                step = Step(0, "restart", one.name, service=service, replica=one.number, container=one.id)
                done.setdefault(service, []).append(draft.add(step, before if dependencies else ()))
    return draft.finish()


def _stop_in_order(
    draft: Draft, containers: list[ObservedContainer], edges: dict[str, list[str]], *, remove: bool, volumes: bool
) -> dict[str, list[int]]:
    """Add the steps; the last ones of each service."""
    services = {one.service for one in containers}
    whole = {service: edges.get(service, []) for service in {*services, *edges}}
    after = dependents(whole)
    done: dict[str, list[int]] = {}
    for service in reversed(in_order(whole)):
        before = [number for other in after.get(service, ()) for number in done.get(other, ())]
        mine = [one for one in containers if one.service == service]
        done[service] = [_stop(draft, one, before, remove=remove, volumes=volumes) for one in mine] or before
    return done


def _stop(draft: Draft, container: ObservedContainer, before: list[int], *, remove: bool, volumes: bool) -> int:
    step = Step(0, "stop", container.name, service=container.service, replica=container.number, container=container.id)
    stopped = 0
    if container.is_running:
        stopped = draft.add(step, before)
    if not remove:
        return stopped
    return draft.add(step._replace(verb="remove", volumes=volumes), [stopped, *before])


def _remove_networks(draft: Draft, name: str, project: Project | None, state: State, after: list[int]) -> None:
    for network in _own(name, {} if project is None else project.networks, state.networks):
        draft.add(Step(0, "remove-network", network), after)


def _remove_volumes(draft: Draft, name: str, project: Project | None, state: State, after: list[int]) -> None:
    for volume in _own(name, {} if project is None else project.volumes, state.volumes):
        draft.add(Step(0, "remove-volume", volume), after)


def _own(name: str, wanted: dict[str, dict[str, Any]], there: dict[str, ObservedResource]) -> list[str]:
    """What is there and is the project's: by its label or by its files, and never what those call external."""
    ours = {one.name for one in there.values() if one.labels.get(label.PROJECT) == name}
    ours |= {one["name"] for one in wanted.values()}
    external = {one["name"] for one in wanted.values() if one.get("external")}
    return sorted((ours - external) & set(there))


def _remove_images(draft: Draft, project: Project, state: State, which: str, after: list[int]) -> None:
    chosen = [one for one in project.services.values() if which == "all" or not one.get("image")]
    for image in sorted({one.image_name(project.name) for one in chosen}):
        if image in state.images:
            draft.add(Step(0, "remove-image", image), after)
