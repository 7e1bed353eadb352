"""The stages of `up`: images, what there is, the plan, and doing it."""

from __future__ import annotations

from wherry.base.errors import InvalidInput, NotFound
from wherry.base.progress import Finished, Started, Warned
from wherry.compose.apply import ApplyOptions, apply_plan, renew_files
from wherry.compose.building import BuildOptions, build_order, build_request
from wherry.compose.requests import check_supported
from wherry.compose.state import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wherry.base.progress import Sink
    from wherry.compose.actions import Plan
    from wherry.compose.building import ImagePlan
    from wherry.compose.engine import ComposeEngine
    from wherry.compose.model import Project

__all__ = ["build_images", "carry_out", "ensure_images", "observe", "pull_images", "push_images", "scaled"]


def observe(engine: ComposeEngine, name: str, project: Project | None = None) -> State:
    """What there is of the project `name`; image names are those of `project`."""
    images = [] if project is None else [one.image_name(project.name) for one in project.services.values()]
    return State(
        containers=tuple(engine.containers(name)),
        networks=engine.networks(),
        volumes=engine.volumes(),
        images=engine.image_ids(images),
    )


def scaled(project: Project, scales: Mapping[str, int]) -> Project:
    """The project with other numbers of containers (`--scale`). Raises NotFound for an unknown service."""
    services = dict(project.services)
    for name, number in scales.items():
        if name not in services:
            raise NotFound(f"no such service: {name}")
        if number < 0:
            raise InvalidInput(f"invalid scale {number} for {name}: it cannot be negative")
        services[name] = services[name]._replace(config={**services[name].config, "scale": number})
    return project._replace(services=services)


def ensure_images(
    engine: ComposeEngine,
    project: Project,
    wanted: ImagePlan,
    progress: Sink,
    *,
    quiet_pull: bool = False,
    options: BuildOptions = BuildOptions(),  # noqa: B008 (a value)
) -> None:
    """Build and fetch what the plan names."""
    pull_images(engine, project, wanted.pull, progress, quiet=quiet_pull)
    build_images(engine, project, wanted.build, options, progress)


def build_images(
    engine: ComposeEngine, project: Project, services: Iterable[str], options: BuildOptions, progress: Sink
) -> dict[str, str]:
    """Build, each image after those that it is made from, others at once; image identifiers by service."""
    built: dict[str, str] = {}
    for group in build_order(project, services):
        requests = {name: build_request(project, project.services[name], options) for name in group}
        built |= engine.build(requests, progress)
    return built


def pull_images(
    engine: ComposeEngine, project: Project, services: Iterable[str], progress: Sink, *, quiet: bool = False
) -> None:
    """Fetch the images of the services. An image that a service can build is built later where it cannot be fetched."""
    from wherry.base.progress import nobody

    for name in services:
        service = project.services[name]
        image = service.image_name(project.name)
        task = f"pull {image}"
        progress(Started(task, f"Image {image}  Pulling"))
        engine.pull(image, service.get("platform", ""), nobody if quiet else progress)
        progress(Finished(task))


def push_images(
    engine: ComposeEngine, project: Project, services: Iterable[str], progress: Sink, *, quiet: bool = False
) -> None:
    """Send the images of the services to their registries."""
    from wherry.base.progress import nobody

    for name in services:
        image = project.services[name].image_name(project.name)
        task = f"push {image}"
        progress(Started(task, f"Image {image}  Pushing"))
        engine.push(image, nobody if quiet else progress)
        progress(Finished(task))


def carry_out(
    engine: ComposeEngine,
    project: Project | None,
    state: State,
    plan: Plan,
    progress: Sink,
    options: ApplyOptions,
) -> dict[str, str]:
    """Say what the plan warns of and what stays as it is, then do it; the containers started, by name."""
    for warning in plan.warnings:
        progress(Warned(warning))
    for service in project.services.values() if project is not None else ():
        if any(step.verb == "create" and step.service == service.name for step in plan.steps):
            for warning in check_supported(service):
                progress(Warned(warning))
    for name in plan.unchanged:
        progress(Started(f"unchanged {name}", f"Container {name}  Running"))
    if project is not None and plan.unchanged:
        renew_files(engine, project, state)
    return apply_plan(plan, engine, project, state, progress, options)
