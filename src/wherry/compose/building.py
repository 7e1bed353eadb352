"""Images of services: which have to be built or fetched, and what the builder is asked for."""

from __future__ import annotations

import os

from wherry.base.errors import InvalidInput, Unsupported
from wherry.base.values import NamedTuple
from wherry.compose.paths import is_remote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from wherry.build import BuildRequest
    from wherry.compose.model import Project, Service

__all__ = ["BuildOptions", "ImagePlan", "build_order", "build_request", "plan_images"]

_REFUSED = "cache_from cache_to entitlements isolation privileged provenance sbom secrets ssh ulimits".split()


class BuildOptions(NamedTuple):
    """What the command line adds to each build."""

    arguments: tuple[str, ...] = ()  # NAME=VALUE, or NAME for this process's value
    no_cache: bool = False
    pull: bool = False
    base_fallback: str = ""  # none or distro; empty: as the configuration file says


class ImagePlan(NamedTuple):
    """Services whose images are built, and those whose images are fetched; one service for each image."""

    build: tuple[str, ...] = ()
    pull: tuple[str, ...] = ()


def plan_images(
    project: Project, present: Iterable[str], *, build: bool = False, no_build: bool = False, pull: str = ""
) -> ImagePlan:
    """What `up` does before containers are made. Pure; `present` are the image names that are here.

    `pull` is the option's value: always, missing, never or empty for what each service says. An image that a service
    can build is built where it is absent, and fetched only where the policy says so.
    Raises InvalidInput for an image that is absent and may be neither built nor fetched.
    """
    here = set(present)
    builds: dict[str, str] = {}
    pulls: dict[str, str] = {}
    for service in project.services.values():
        name = service.image_name(project.name)
        can_build = service.get("build") is not None and not no_build
        what = _what(pull or service.get("pull_policy", "missing"), name in here, can_build=can_build, build=build)
        if what == "build":
            builds.setdefault(name, service.name)
        elif what == "pull" and (service.get("build") is None or can_build):
            pulls.setdefault(name, service.name)
        elif what:
            words = f'service "{service.name}": the image {name} is not here'
            raise InvalidInput(words, hint="allow it to be built or fetched (--build, --pull)")
    return ImagePlan(tuple(builds.values()), tuple(one for name, one in pulls.items() if name not in builds))


def _what(policy: str, is_here: bool, *, can_build: bool, build: bool) -> str:
    """build, pull, refuse, or nothing."""
    if can_build and (build or policy == "build"):
        return "build"
    if policy == "always" or policy.startswith(("refresh", "daily", "weekly", "every_")):
        return "pull"
    if is_here:
        return ""
    if can_build:
        return "build"
    return "pull" if policy == "missing" else "refuse"


def build_request(project: Project, service: Service, options: BuildOptions) -> BuildRequest:
    """The build of one service, its Dockerfile read. Raises Unsupported for what the builder cannot do yet."""
    from wherry.base.config import load_configuration
    from wherry.build import BuildRequest
    from wherry.build.definition import ca_bundle, read_definition, read_ignore

    build = service.get("build", {})
    for key in _REFUSED:
        if build.get(key):
            raise Unsupported(f"services.{service.name}.build.{key} is not supported yet")
    context = build["context"]
    if is_remote(context):
        raise Unsupported(f"services.{service.name}.build.context: addresses are not supported yet: {context}")
    if build.get("dockerfile_inline"):
        text, ignore = build["dockerfile_inline"], read_ignore(context, "")
    else:
        text, ignore = read_definition(context, os.path.join(context, build["dockerfile"]))
    configuration = load_configuration(os.environ)
    return BuildRequest(
        dockerfile=text,
        context=context,
        ignore=ignore,
        tags=(service.image_name(project.name), *build.get("tags", ())),
        build_args=_arguments(build, options, project),
        labels=dict(build.get("labels", {})),
        target=build.get("target", ""),
        no_cache=options.no_cache or bool(build.get("no_cache")),
        pull=options.pull or bool(build.get("pull")),
        network=build.get("network", "default"),
        build_contexts=_contexts(project, service),
        base_fallback=options.base_fallback or configuration.base_fallback,
        platform=_platform(service),
        add_hosts=tuple(one.replace("=", ":", 1) for one in build.get("extra_hosts", ())),
        ca_bundle=ca_bundle(configuration.ca_bundle),
        shm_size=int(build.get("shm_size", 67_108_864)),
    )


def _arguments(build: dict[str, dict[str, str | None]], options: BuildOptions, project: Project) -> dict[str, str]:
    arguments = {name: value for name, value in build.get("args", {}).items() if value is not None}
    for text in options.arguments:
        name, equals, value = text.partition("=")
        if equals:
            arguments[name] = value
        elif name in project.environment:
            arguments[name] = project.environment[name]
    return arguments


def _contexts(project: Project, service: Service) -> dict[str, str]:
    """Named contexts; `service:x` is the image of another service."""
    contexts = dict(service.get("build", {}).get("additional_contexts", {}))
    for name, where in contexts.items():
        other = where.removeprefix("service:")
        if other != where:
            if other not in project.services:
                raise InvalidInput(f'services.{service.name}.build.additional_contexts: no service "{other}"')
            contexts[name] = f"docker-image://{project.services[other].image_name(project.name)}"
    return contexts


def _platform(service: Service) -> str:
    platforms = service.get("build", {}).get("platforms", ())
    if len(platforms) > 1:
        raise Unsupported(f"services.{service.name}.build.platforms: one platform at a time is supported")
    return str(service.get("platform") or (platforms[0] if platforms else ""))


def build_order(project: Project, services: Iterable[str]) -> list[list[str]]:
    """The services in groups: a group's builds need only images of the groups before it."""
    left = list(dict.fromkeys(services))
    groups: list[list[str]] = []
    while left:
        ready = [name for name in left if not _needs(project, name) & set(left) - {name}]
        if not ready:
            raise InvalidInput(f"the builds of {', '.join(left)} need each other")
        groups.append(ready)
        left = [name for name in left if name not in ready]
    return groups


def _needs(project: Project, name: str) -> set[str]:
    contexts = project.services[name].get("build", {}).get("additional_contexts", {})
    return {where.removeprefix("service:") for where in contexts.values() if where.startswith("service:")}
