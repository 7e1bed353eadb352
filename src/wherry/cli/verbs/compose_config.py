"""`compose config` and `compose version`."""

from __future__ import annotations

import json
import sys

from wherry.base.errors import InvalidInput
from wherry.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.cli.composing import Invocation
    from wherry.cli.flags import Parsed
    from wherry.compose import Project

__all__ = ["run"]

_FLAGS = (
    Flag("environment", "bool", "Print the variables that values are interpolated with"),
    Flag("format", "str", "Format of the output (yaml, json)", default="yaml"),
    Flag("hash", "str", 'Print the service configuration hash, one for each service ("*" for all)'),
    Flag("images", "bool", "Print the image names, one for each line"),
    Flag("lock-image-digests", "bool", "Produce an override file with digests", unsupported="not there yet"),
    Flag("networks", "bool", "Print the network names, one for each line"),
    Flag("no-consistency", "bool", "Do not check whether the model makes sense as a whole"),
    Flag("no-env-resolution", "bool", "Do not read the services' env files"),
    Flag("no-interpolate", "bool", "Do not interpolate variables"),
    Flag("no-normalize", "bool", "Do not normalize the model", unsupported="the model is always normalized"),
    Flag("no-path-resolution", "bool", "Do not resolve paths", unsupported="paths are always resolved"),
    Flag("output", "str", "Write to this file instead of standard output", short="o"),
    Flag("profiles", "bool", "Print the profile names, one for each line"),
    Flag("quiet", "bool", "Only validate the configuration, print nothing", short="q"),
    Flag("resolve-image-digests", "bool", "Pin image names to digests"),
    Flag("services", "bool", "Print the service names, one for each line"),
    Flag("variables", "bool", "Print the variables of the model and their defaults", unsupported="not there yet"),
    Flag("volumes", "bool", "Print the volume names, one for each line"),
)


def run(invocation: Invocation, argv: list[str]) -> int:
    """Print the canonical model, or a part of it."""
    if argv[0] == "version":
        return _version(argv[1:])
    command = Command(
        "wherry compose config", "[OPTIONS] [SERVICE...]", "Parse, resolve and render compose file", _FLAGS
    )
    parsed = command.parse(argv[1:])
    if parsed["format"] not in ("yaml", "json"):
        raise InvalidInput(f'unsupported format "{parsed["format"]}"', hint="yaml or json")
    project = _project(invocation, parsed)
    text = _text(project, parsed)
    if parsed["quiet"]:
        return 0
    if parsed["output"]:
        with open(parsed["output"], "w", encoding="utf-8") as file:
            file.write(text)
    else:
        sys.stdout.write(text)
    return 0


def _project(invocation: Invocation, parsed: Parsed) -> Project:
    from wherry.compose.project import select, without_unused

    options = invocation.options._replace(
        interpolate=not parsed["no-interpolate"],
        resolve_environment=not (parsed["no-env-resolution"] or parsed["no-interpolate"]),
        check=not parsed["no-consistency"],
    )
    whole = invocation._replace(options=options).project(parsed.args)
    project = select(whole, parsed.args)
    if parsed["profiles"]:
        return whole
    if parsed["resolve-image-digests"]:
        from wherry.compose.digests import pin_images, registry_digest

        project = pin_images(project, registry_digest)
    return project if invocation.all_resources else without_unused(project)


def _text(project: Project, parsed: Parsed) -> str:
    lists: dict[str, Callable[[Project], list[str]]] = {
        "services": lambda one: [service.name for service in one.ordered()],
        "volumes": lambda one: sorted(one.volumes),
        "networks": lambda one: sorted(one.networks),
        "images": lambda one: [service.image_name(one.name) for service in one.services.values()],
        "profiles": _profiles,
        "environment": lambda one: [f"{name}={value}" for name, value in sorted(one.environment.items())],
    }
    for name, lines in lists.items():
        if parsed[name]:
            return "".join(f"{line}\n" for line in lines(project))
    if parsed["hash"]:
        return _hashes(project, parsed["hash"])
    from wherry.compose.rendering import canonical_model, escape_dollars, to_json, to_yaml

    model = canonical_model(project)
    text = to_json(model) if parsed["format"] == "json" else to_yaml(model)
    return text if parsed["no-interpolate"] else escape_dollars(text)


def _profiles(project: Project) -> list[str]:
    services = [*project.services.values(), *project.disabled.values()]
    return sorted({profile for service in services for profile in service.get("profiles", ())})


def _hashes(project: Project, wanted: str) -> str:
    from wherry.compose.hashing import service_hash
    from wherry.compose.project import select

    names = [] if wanted == "*" else wanted.split(",")
    chosen = select(project, names, dependencies=False)
    return "".join(f"{name} {service_hash(service)}\n" for name, service in chosen.services.items())


def _version(argv: list[str]) -> int:
    from wherry import __version__

    flags = (
        Flag("dry-run", "bool", "Does nothing else either"),
        Flag("format", "str", "Format of the output (pretty, json)", short="f", default="pretty"),
        Flag("short", "bool", "Show only the number"),
    )
    parsed = Command("wherry compose version", "[OPTIONS]", "Show the version", flags, most=0).parse(argv)
    if parsed["short"]:
        print(__version__)
    elif parsed["format"] == "json":
        print(json.dumps({"version": __version__}))
    else:
        print(f"Wherry Compose version {__version__}")
    return 0
