"""From a source tree to what a version is made of: a resolved Compose model with every image pinned.

Nothing of it looks at the source tree again: images are built or fetched and named by their identifiers, configs are
part of the model, secrets are read now and handed over apart, to be kept encrypted. Images stay as long as the version.
Hooks (`.platform/hooks`) and jobs by the clock (`cron.yaml`) are part of the model too.
"""

from __future__ import annotations

import os
from contextlib import contextmanager

from wherry.base.errors import InvalidInput, NotFound, WherryError
from wherry.base.progress import Finished, Output, Started
from wherry.base.values import NamedTuple
from wherry.compose.adapter import WherryEngine
from wherry.compose.building import BuildOptions, plan_images
from wherry.compose.converging import ensure_images
from wherry.compose.location import ProjectOptions, project_name_of
from wherry.compose.model import Project, Service
from wherry.compose.project import load_project, project_name, without_unused
from wherry.compose.readers import DiskSource
from wherry.compose.requests import check_supported
from wherry.deploy.cron import KEY as CRON
from wherry.deploy.cron import parse_cron
from wherry.deploy.extension import parse_extension
from wherry.deploy.hooks import KEY as HOOKS
from wherry.deploy.hooks import read_hooks, run_hooks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from wherry.base.paths import Layout
    from wherry.base.progress import Sink

    Warn = Callable[[str], None]

__all__ = ["Content", "Versions", "application_name"]

_WEB = "web"
_PREBUILD_TIMEOUT = 3600.0


class Content(NamedTuple):
    """What a version is made of. `images` are identifiers by service; `secrets` are the model's own, in the clear.

    `revision` is the commit of the source tree, with `-dirty` where it had changes, empty outside a repository.
    """

    model: dict[str, Any]
    images: dict[str, str]
    secrets: dict[str, str] = {}  # noqa: RUF012 (a value)
    revision: str = ""


def application_name(options: ProjectOptions, warn: Warn = lambda _: None) -> str:
    """What the application of the project here is called: as the project, with hyphens for underscores.

    A directory with a Dockerfile and no Compose file gives its own name. Raises NotFound where there is neither.
    """
    try:
        name = project_name(options, DiskSource(), warn)
    except NotFound:
        directory = _dockerfile_directory(options)
        if not directory:
            raise
        name = project_name_of(os.path.realpath(directory))
    return name.replace("_", "-").strip("-")


class Versions:
    """Makes the contents of versions in one installation, and keeps their images."""

    def __init__(self, layout: Layout) -> None:
        self._engine = WherryEngine(layout)
        self._root = layout.root

    def build(self, options: ProjectOptions, owner: str, progress: Sink, warn: Warn = lambda _: None) -> Content:
        """The content of a version from the project that `options` find; its images are kept for `owner`.

        A directory with a Dockerfile and no Compose file is a project of the one service `web`. Images that can be
        built are built (what has not changed comes from the cache), others are fetched where they are not here. The
        owner's name begins with `store.leases.VERSION`.
        The project's `prebuild` hooks have run before its files are read.
        Raises NotFound where there is neither file, OperationFailed where a hook fails; nothing is built where
        the project says something that no environment could run.
        """
        hooks = self._prebuild(options, owner, progress, warn)
        project, model = _read_project(options, warn)
        parse_extension(model)
        secrets = _secrets(project)
        names = [one.image_name(project.name) for one in project.services.values()]
        wanted = plan_images(project, self._engine.image_ids(names), build=True)
        building = BuildOptions(base_fallback=options.base_fallback)
        ensure_images(self._engine, project, wanted, progress, options=building)
        images = self._pin(project, owner)
        model = self._pinned(_with_hooks(model, hooks), images)
        return Content(model, images, secrets, revision(project.directory, project.environment))

    def draft(self, options: ProjectOptions, warn: Warn = lambda _: None) -> Content:
        """What `build` would make of the project now, without images: nothing is built, fetched or run.

        Raises what the project's files make `build` raise.
        """
        project, model = _read_project(options, warn)
        model = _with_hooks(model, read_hooks(project.directory, warn))
        return Content(model, {}, {}, revision(project.directory, project.environment))

    def _prebuild(self, options: ProjectOptions, owner: str, progress: Sink, warn: Warn) -> dict[str, dict[str, str]]:
        """Run the hooks that come before images are built; all hooks of the project."""
        directory = _load(options, lambda _: None).directory
        hooks = read_hooks(directory, warn)
        if "prebuild" in hooks:
            seen = {"WHERRY_SOURCE": directory, "WHERRY_VERSION": owner.rpartition("/")[2]}
            variables = {**options.environment, **seen}
            place = f"{self._root}/deploy/prebuild/{owner}"
            with _told("hooks.prebuild", "Running prebuild hooks", progress) as output:
                run_hooks({HOOKS: hooks}, "prebuild", variables, output, _PREBUILD_TIMEOUT, place)
        return hooks

    def _pin(self, project: Project, owner: str) -> dict[str, str]:
        """Keep the images for the owner; their identifiers by service."""
        engine = self._engine.opened()
        found = {name: engine.images.resolve(one.image_name(project.name)) for name, one in project.services.items()}
        engine.store.leases.pin(owner, [("image", image.manifest_digest) for image in found.values()])
        return {name: image.id for name, image in found.items()}

    def missing(self, images: Iterable[str]) -> list[str]:
        """Those identifiers whose images are not here."""
        wanted = list(images)
        here = self._engine.image_ids(wanted)
        return [one for one in wanted if one not in here]

    def release(self, owner: str) -> None:
        """Let go of a version's images; they go with the next prune unless something else needs them."""
        self._engine.opened().store.leases.unpin(owner)

    def _pinned(self, model: dict[str, Any], images: dict[str, str]) -> dict[str, Any]:
        for name, config in model["services"].items():
            config["image"] = images[name]
            if "ports" not in config and config.get("x-from-dockerfile"):
                config["ports"] = self._exposed(images[name])
        return model

    def _exposed(self, image_id: str) -> list[dict[str, Any]]:
        engine = self._engine.opened()
        exposed = sorted(engine.images.config(engine.images.resolve(image_id)).config.exposed_ports or ())
        return [{"target": int(one.partition("/")[0])} for one in exposed if not one.endswith("/udp")][:1]


def _read_project(options: ProjectOptions, warn: Warn) -> tuple[Project, dict[str, Any]]:
    """The project, and its model with its jobs. Raises InvalidInput where nothing would run."""
    project = without_unused(_load(options, warn))
    if not project.services:
        raise InvalidInput("the project has no service", hint="is every one in a profile that is not active?")
    jobs = _jobs(project)
    for service in project.services.values():
        for warning in (*check_supported(service), *_bound(service)):
            warn(warning)
    return project, {**_model(project), **({CRON: jobs} if jobs else {})}


def _with_hooks(model: dict[str, Any], hooks: dict[str, dict[str, str]]) -> dict[str, Any]:
    return {**model, HOOKS: hooks} if hooks else model


def _model(project: Project) -> dict[str, Any]:
    """All that the project's files say, without how images are built."""
    services = {name: dict(one.config) for name, one in project.services.items()}
    for config in services.values():
        config.pop("build", None)
    return {
        "services": services,
        "networks": project.networks,
        "volumes": project.volumes,
        "secrets": {name: {} for name in project.secrets},
        "configs": {name: _content(name, one, project) for name, one in project.configs.items()},
        **{name: one for name, one in project.extensions.items() if name not in (HOOKS, CRON)},
    }


@contextmanager
def _told(task: str, title: str, progress: Sink) -> Iterator[Callable[[bytes], None]]:
    """A task in the progress of what runs within, with its output."""
    progress(Started(task, title))
    try:
        yield lambda data: progress(Output(task, 1, data))
    except WherryError as error:
        progress(Finished(task, error=error.message))
        raise
    progress(Finished(task))


def _load(options: ProjectOptions, warn: Warn) -> Project:
    try:
        return load_project(options, DiskSource(), warn)
    except NotFound:
        directory = _dockerfile_directory(options)
        if not directory:
            raise
    build = {"context": directory, "dockerfile": "Dockerfile"}
    service = Service(
        _WEB,
        {"build": build, "image": _image_name(directory), "networks": {"default": None}, "x-from-dockerfile": True},
    )
    network = {"default": {"name": "default"}}
    return Project("web", directory, (), {_WEB: service}, network, {}, {}, {}, dict(options.environment))


def _dockerfile_directory(options: ProjectOptions) -> str:
    """The directory whose Dockerfile is the whole project where there is no Compose file; empty where there is none."""
    directory = os.path.join(options.cwd, options.directory)
    return "" if options.files or not os.path.isfile(f"{directory}/Dockerfile") else directory


def _image_name(directory: str) -> str:
    name = os.path.basename(os.path.realpath(directory)).lower()
    return "".join(one if one.isascii() and one.isalnum() else "-" for one in name).strip("-") or _WEB


def _bound(service: Service) -> Iterable[str]:
    """Warnings about what a version cannot hold: directories of this machine."""
    for mount in service.get("volumes", ()):
        if mount["type"] == "bind":
            yield (
                f"services.{service.name}.volumes: {mount['source']} is no part of the version: it is mounted as it is"
                " at the time"
            )


def _jobs(project: Project) -> list[dict[str, Any]]:
    """The jobs of the `cron.yaml` beside the project's files."""
    import yaml

    path = f"{project.directory}/cron.yaml"
    if not os.path.isfile(path):
        return []
    try:
        document = yaml.safe_load(DiskSource().read(path))
    except yaml.YAMLError as error:
        raise InvalidInput(f"cron.yaml is not YAML: {' '.join(str(error).split())}") from None
    return [one._asdict() for one in parse_cron(document, tuple(project.services))]


def _content(name: str, config: dict[str, Any], project: Project) -> dict[str, Any]:
    """A config with its content in place of where that comes from."""
    return {"content": _read(f"configs.{name}", config, project)}


def _secrets(project: Project) -> dict[str, str]:
    return {name: _read(f"secrets.{name}", one, project) for name, one in project.secrets.items()}


def _read(key: str, source: dict[str, Any], project: Project) -> str:
    if source.get("file"):
        try:
            return DiskSource().read(source["file"])
        except NotFound as error:
            raise NotFound(f"{key}: {error.message}") from None
    if source.get("environment"):
        value = project.environment.get(source["environment"])
        if value is None:
            raise InvalidInput(f"{key}: the variable {source['environment']} is not set")
        return value
    if "content" in source:
        return str(source["content"])
    raise InvalidInput(f"{key}: external ones are not supported", hint="give a file or a variable")


def revision(directory: str, environment: dict[str, str]) -> str:
    """The commit that `directory` is at, with `-dirty` where files differ from it; empty where git says nothing."""
    from wherry.base.programs import find, run

    if find("git") is None:
        return ""
    git = ("git", "-C", directory)
    head = run((*git, "rev-parse", "--short=12", "HEAD"), check=False, env=environment or None)
    if head.status:
        return ""
    changes = run((*git, "status", "--porcelain", "--", "."), check=False, env=environment or None)
    return head.stdout.decode().strip() + ("-dirty" if changes.stdout.strip() else "")
