"""`inspect`."""

from __future__ import annotations

import json
import sys

from wherry.base.errors import InvalidInput, NotFound
from wherry.cli.context import engine
from wherry.cli.flags import Command, Flag
from wherry.cli.output import render_one

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from wherry.engine import Engine

__all__ = ["inspect_things", "run"]

# What the fields are in Docker's types.
_MAPS = "Annotations Containers ExposedPorts Labels Networks Options PortBindings Ports Sysctls Tmpfs Volumes"
_LISTS = (
    "Aliases Args Binds CapAdd CapDrop Cmd Dns DnsOptions DnsSearch Entrypoint Env ExecIDs ExtraHosts GroupAdd Links"
    " Log OnBuild RepoDigests RepoTags SecurityOpt Shell Ulimits VolumesFrom"
)
_POINTERS = "ExposedPorts Health Healthcheck Mounts Shell StopTimeout"
_FLAGS = (
    Flag("format", "str", "json, or a Go template", short="f"),
    Flag("size", "bool", "Add sizes of containers", short="s"),
    Flag("type", "str", "container, image, volume or network"),
)


def run(argv: list[str]) -> int:
    """Look for each name among containers, images, volumes and networks, in that order."""
    usage = "[OPTIONS] NAME|ID [NAME|ID...]"
    summary = "Show everything about containers, images, volumes or networks"
    parsed = Command("wherry inspect", usage, summary, _FLAGS, least=1).parse(argv[1:])
    kind = parsed["type"]
    if kind and kind not in _FINDERS:
        raise InvalidInput(f'"{kind}" is not a valid value for --type', hint=f"there are: {', '.join(_FINDERS)}")
    kinds = [kind] if kind else list(_FINDERS)
    return inspect_things(parsed.args, parsed["format"], kinds, sizes=parsed["size"])


def inspect_things(names: list[str], format: str, kinds: list[str], *, sizes: bool = False) -> int:
    """Print what was found of `names` among `kinds`, containers with their `sizes`; 1 where something was not found."""
    if format and format != "json":
        from wherry.cli.gotemplate import Template

        try:
            Template(format)
        except InvalidInput as error:
            print(f"Template parsing error: {error.message}", file=sys.stderr)
            return 64
    opened = engine()
    found, missing = [], []
    for name in names:
        value = _find(opened, name, kinds)
        if value is None:
            missing.append(name)
        else:
            found.append({**value, **_sizes(opened, value)} if sizes and "HostConfig" in value else value)
    if format:
        _print_each(found, format)
    else:
        print(json.dumps(found, indent=4, ensure_ascii=False))
    for name in missing:
        print(f"Error: No such {kinds[0] if len(kinds) == 1 else 'object'}: {name}", file=sys.stderr)
    return 1 if missing else 0


def _print_each(found: list[dict[str, Any]], format: str) -> None:
    """An empty line where there is nothing to show, as Docker prints it."""
    from wherry.cli.gotemplate import Types

    types = Types(*(frozenset(names.split()) for names in (_MAPS, _LISTS, _POINTERS)))
    try:
        for value in found:
            print(render_one(value, format, types))
        if not found:
            print()
    except InvalidInput:
        print()
        raise


def _find(opened: Engine, name: str, kinds: list[str]) -> dict[str, Any] | None:
    for kind in kinds:
        try:
            return _FINDERS[kind](opened, name)
        except (NotFound, InvalidInput):
            continue
    return None


def _sizes(opened: Engine, described: dict[str, Any]) -> dict[str, int]:
    """What a container has written, and all its files, in bytes."""
    container = opened.containers.resolve(described["Id"])
    written = opened.containers.writable_size(container)
    return {"SizeRw": written, "SizeRootFs": written + opened.images.resolve(container.image_id).size}


def _volume(opened: Engine, name: str) -> dict[str, Any]:
    from wherry.engine.inspection import inspect_volume

    return inspect_volume(opened.volumes.get(name))


def _network(opened: Engine, name: str) -> dict[str, Any]:
    from wherry.engine.inspection import PREDEFINED, inspect_network, inspect_predefined

    if name in PREDEFINED:
        return inspect_predefined(name)
    network = opened.networks.find(name)
    return inspect_network(network, opened.network_verbs.members(network))


_FINDERS: dict[str, Callable[[Engine, str], dict[str, Any]]] = {
    "container": lambda opened, name: opened.containers.inspect(name),
    "image": lambda opened, name: opened.images.inspect(name),
    "volume": _volume,
    "network": _network,
}
