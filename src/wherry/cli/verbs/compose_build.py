"""`compose build`, `pull` and `push`: the images of services."""

from __future__ import annotations

import sys

from wherry.base.errors import WherryError
from wherry.cli.composing import warn
from wherry.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.cli.composing import Invocation
    from wherry.cli.flags import Parsed
    from wherry.compose import Project

__all__ = ["run"]

_LATER = "it is not supported yet"


def run(invocation: Invocation, argv: list[str]) -> int:
    """One of them."""
    verbs: dict[str, Callable[[Invocation, list[str]], int]] = {"build": _build, "pull": _pull, "push": _push}
    return verbs[argv[0]](invocation, argv[1:])


def _project(invocation: Invocation, parsed: Parsed, *, dependencies: bool) -> Project:
    from wherry.compose.project import select

    return select(invocation.project(parsed.args), parsed.args, dependencies=dependencies)


def _build(invocation: Invocation, argv: list[str]) -> int:
    flags = (
        Flag("build-arg", "list", "Set an argument (name=value, or name for the environment's value)"),
        Flag("builder", "str", "Set the builder", unsupported="there is one"),
        Flag("check", "bool", "Only check the build", unsupported=_LATER),
        Flag("memory", "str", "Limit memory of the build", short="m", unsupported=_LATER),
        Flag("no-cache", "bool", "Do not use the cache"),
        Flag("print", "bool", "Print a bake file", unsupported="there is no bake"),
        Flag("provenance", "str", "Add an attestation", unsupported=_LATER),
        Flag("pull", "bool", "Always look for newer bases"),
        Flag("push", "bool", "Push the images"),
        Flag("quiet", "bool", "Print nothing", short="q"),
        Flag("sbom", "str", "Add an attestation", unsupported=_LATER),
        Flag("ssh", "str", "SSH agents for steps", unsupported=_LATER),
        Flag("with-dependencies", "bool", "Build what the services depend on too"),
    )
    usage = "[OPTIONS] [SERVICE...]"
    parsed = Command("wherry compose build", usage, "Build or rebuild services", flags).parse(argv)
    from wherry.compose.building import BuildOptions
    from wherry.compose.converging import build_images, push_images
    from wherry.compose.project import select

    whole = invocation.project(parsed.args)
    project = select(whole, parsed.args, dependencies=parsed["with-dependencies"])
    services = [name for name, one in project.services.items() if one.get("build") is not None]
    if not services:
        warn("No services to build")
    if invocation.dry_run:
        _told(project, services, "Build")
        _told(project, _pushed(project) if parsed["push"] else [], "Push")
        return 0
    options = BuildOptions(tuple(parsed["build-arg"]), parsed["no-cache"], parsed["pull"])
    sink = invocation.sink(quiet=parsed["quiet"])
    engine = invocation.engine()
    built = build_images(engine, whole, services, options, sink)
    for name in built if not parsed["quiet"] else ():
        print(f" Image {project.services[name].image_name(project.name)}  Built", file=sys.stderr)
    if parsed["push"]:
        push_images(engine, project, _pushed(project), sink, quiet=parsed["quiet"])
    return 0


def _told(project: Project, services: list[str], word: str) -> None:
    for name in services:
        print(f"DRY-RUN MODE -  Image {project.services[name].image_name(project.name)}  {word}")


def _pull(invocation: Invocation, argv: list[str]) -> int:
    flags = (
        Flag("ignore-buildable", "bool", "Leave out images that can be built"),
        Flag("ignore-pull-failures", "bool", "Go on where an image cannot be fetched"),
        Flag("include-deps", "bool", "Fetch the images of dependencies too"),
        Flag("policy", "str", "always or missing"),
        Flag("quiet", "bool", "Pull without progress", short="q"),
    )
    parsed = Command("wherry compose pull", "[OPTIONS] [SERVICE...]", "Pull service images", flags).parse(argv)
    from wherry.compose.converging import pull_images

    project = _project(invocation, parsed, dependencies=parsed["include-deps"] or not parsed.args)
    services: dict[str, str] = {}
    for name, one in project.services.items():
        skipped = one.get("build") is not None and (parsed["ignore-buildable"] or not one.get("image"))
        if not skipped and one.get("pull_policy") not in ("never", "build"):
            services.setdefault(one.image_name(project.name), name)
    engine = invocation.engine()
    if parsed["policy"] == "missing":
        present = engine.image_ids(list(services))
        services = {image: name for image, name in services.items() if image not in present}
    if invocation.dry_run:
        _told(project, list(services.values()), "Pull")
        return 0
    sink = invocation.sink(quiet=parsed["quiet"])
    return _each(
        list(services.values()),
        lambda name: pull_images(engine, project, [name], sink, quiet=parsed["quiet"]),
        ignore=parsed["ignore-pull-failures"],
    )


def _push(invocation: Invocation, argv: list[str]) -> int:
    flags = (
        Flag("ignore-push-failures", "bool", "Go on where an image cannot be pushed"),
        Flag("include-deps", "bool", "Push the images of dependencies too"),
        Flag("quiet", "bool", "Push without progress", short="q"),
    )
    parsed = Command("wherry compose push", "[OPTIONS] [SERVICE...]", "Push service images", flags).parse(argv)
    from wherry.compose.converging import push_images

    project = _project(invocation, parsed, dependencies=parsed["include-deps"] or not parsed.args)
    services = _pushed(project)
    if invocation.dry_run:
        _told(project, services, "Push")
        return 0
    engine, sink = invocation.engine(), invocation.sink(quiet=parsed["quiet"])
    return _each(
        services,
        lambda name: push_images(engine, project, [name], sink, quiet=parsed["quiet"]),
        ignore=parsed["ignore-push-failures"],
    )


def _pushed(project: Project) -> list[str]:
    """The services whose images are pushed, one for each image: those that are built under a name of their own."""
    images = {
        one.image_name(project.name): name
        for name, one in project.services.items()
        if one.get("build") is not None and one.get("image")
    }
    return list(images.values())


def _each(services: list[str], action: Callable[[str], None], *, ignore: bool) -> int:
    code = 0
    for name in services:
        try:
            action(name)
        except WherryError as error:
            if not ignore:
                raise
            warn(f"{name}: {error.message}")
    return code
