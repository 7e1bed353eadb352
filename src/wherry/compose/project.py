"""From a command line to a project: find the files, load them, choose the services."""

from __future__ import annotations

from wherry.base.errors import InvalidInput, NotFound
from wherry.compose.consistency import check_project
from wherry.compose.dotenv import parse_environment_file, parse_raw
from wherry.compose.graph import with_dependencies
from wherry.compose.loading import Loader
from wherry.compose.location import check_project_name, locate, project_name_of
from wherry.compose.model import Project, Service
from wherry.compose.normalize import normalize
from wherry.compose.tree import nearest, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from wherry.compose.location import Located, ProjectOptions
    from wherry.compose.source import Source

    Warn = Callable[[str], None]

__all__ = ["load_project", "project_name", "select", "without_unused"]


def load_project(
    options: ProjectOptions, source: Source, warn: Warn = lambda _: None, services: Iterable[str] = ()
) -> Project:
    """The whole project; services that are named get their profiles activated.

    Raises InvalidInput with file, line, column and key for what is wrong; NotFound where there is no project.
    """
    located = locate(options, source, warn)
    loader = Loader(source, warn, interpolates=options.interpolate, home=options.environment.get("HOME", ""))
    name = _name(options, located, loader)
    environment = {**located.environment, "COMPOSE_PROJECT_NAME": name}
    tree = loader.load(located.files, located.directory, environment)
    values = normalize(plain(tree), name, environment if options.resolve_environment else {})
    project = _project(values, name, located, environment)
    project = _with_profiles(project, options, list(services))
    if options.check:
        check_project(project, tree)
    return _with_files(project, source) if options.resolve_environment else project


def project_name(options: ProjectOptions, source: Source, warn: Warn = lambda _: None) -> str:
    """The project's name alone, which commands on containers need; no file is needed where the name is given."""
    given = options.name or options.environment.get("COMPOSE_PROJECT_NAME", "")
    if given:
        return check_project_name(given)
    located = locate(options, source, warn)
    return _name(options, located, Loader(source, warn))


def _name(options: ProjectOptions, located: Located, loader: Loader) -> str:
    given = options.name or located.environment.get("COMPOSE_PROJECT_NAME", "")
    written = "" if given else loader.name_in(located.files, located.environment)
    if given or written:
        return check_project_name(given or written)
    name = project_name_of(located.directory)
    if not name:
        raise InvalidInput(f"project name must not be empty: {located.directory} gives none", hint="name it with -p")
    return name


def _project(values: dict[str, Any], name: str, located: Located, environment: dict[str, str]) -> Project:
    services = {key: Service(key, config) for key, config in sorted((values.get("services") or {}).items())}
    resources: Any = {key: values.get(key) or {} for key in ("networks", "volumes", "secrets", "configs", "models")}
    extensions = {key: value for key, value in values.items() if key.startswith("x-")}
    return Project(
        name, located.directory, located.files, services, environment=environment, extensions=extensions, **resources
    )


def _with_profiles(project: Project, options: ProjectOptions, targets: list[str]) -> Project:
    """Only services without a profile, of an active profile, or of a profile of a service that was named."""
    variable = project.environment.get("COMPOSE_PROFILES", "")
    active = set(options.profiles) or {name.strip() for name in variable.split(",") if name.strip()}
    for target in targets:
        service = project.services.get(target)
        if service is not None and not _is_enabled(service, active):
            active |= set(service.get("profiles", ()))
    enabled = {name: one for name, one in project.services.items() if _is_enabled(one, active)}
    disabled = {name: one for name, one in project.services.items() if name not in enabled}
    return project._replace(services=enabled, disabled=disabled, profiles=tuple(sorted(active)))


def _is_enabled(service: Service, active: set[str]) -> bool:
    profiles = service.get("profiles", ())
    return not profiles or "*" in active or bool(active & set(profiles))


def _with_files(project: Project, source: Source) -> Project:
    """Environment and labels with what `env_file` and `label_file` say below what the service says itself."""
    services = {name: _with_own_files(one, project.environment, source) for name, one in project.services.items()}
    return project._replace(services=services)


def _with_own_files(service: Service, environment: dict[str, str], source: Source) -> Service:
    config = dict(service.config)
    values: dict[str, str | None] = {}
    for entry in config.pop("env_file", ()):
        path = entry["path"]
        if not source.is_file(path):
            if not entry.get("required", True):
                continue
            raise NotFound(f"service {service.name}: env file {path} not found", hint="or say `required: false`")
        lookup = {**{key: one for key, one in values.items() if one is not None}, **environment}.get
        text = source.read(path)
        values.update(parse_raw(text, path) if entry.get("format") else parse_environment_file(text, path, lookup))
    if values:
        config["environment"] = dict(sorted({**values, **config.get("environment", {})}.items()))
    labels: dict[str, str] = {}
    for path in config.pop("label_file", ()):
        labels.update(parse_environment_file(source.read(path), path, environment.get))
    if labels:
        config["labels"] = dict(sorted({**labels, **config.get("labels", {})}.items()))
    return service._replace(config=config)


def select(project: Project, names: Iterable[str], *, dependencies: bool = True) -> Project:
    """Only the named services (all for none) and what they depend on. Raises NotFound in Compose's words."""
    wanted = list(names)
    for name in wanted:
        if name not in project.services:
            near = nearest(name, project.services)
            raise NotFound(f"no such service: {name}", hint=f"did you mean {near}?" if near else "")
    if not wanted:
        return project
    kept = with_dependencies(wanted, project.edges()) if dependencies else set(wanted)
    return project._replace(services={name: one for name, one in project.services.items() if name in kept})


def without_unused(project: Project) -> Project:
    """Without the networks, volumes, secrets and configs that no service uses: they are neither made nor shown."""
    used: dict[str, set[str]] = {"networks": set(), "volumes": set(), "secrets": set(), "configs": set()}
    for service in project.services.values():
        used["networks"] |= set(service.get("networks", {}))
        mounts = [mount for mount in service.get("volumes", ()) if isinstance(mount, dict)]
        used["volumes"] |= {mount.get("source", "") for mount in mounts if mount["type"] == "volume"}
        for section in ("secrets", "configs"):
            used[section] |= {one["source"] for one in service.get(section, ()) if isinstance(one, dict)}
        used["secrets"] |= {one["source"] for one in service.get("build", {}).get("secrets", ())}
    kept: Any = {
        section: {name: one for name, one in getattr(project, section).items() if name in names}
        for section, names in used.items()
    }
    return project._replace(**kept)
