"""`volume create|ls|inspect|rm|prune`."""

from __future__ import annotations

from wherry.cli.context import each, engine
from wherry.cli.filters import split_filter
from wherry.cli.flags import Command, Flag
from wherry.cli.group import confirm, dispatch
from wherry.cli.output import human_size, print_list
from wherry.cli.parsing import BOOLEANS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.engine.volumes import Volume

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """One of the words."""
    own = {"create": _create, "ls": _list, "list": _list, "inspect": _inspect, "rm": _remove, "prune": _prune}
    return dispatch("volume", argv, {}, own)


def _create(argv: list[str]) -> int:
    flags = (
        Flag("driver", "str", "Driver (local)", short="d", default="local"),
        Flag("label", "list", "Set a label"),
        Flag("name", "str", "Name"),
        Flag("opt", "list", "Driver options", short="o", unsupported="volumes are plain directories"),
    )
    parsed = Command("wherry volume create", "[OPTIONS] [VOLUME]", "Make a volume", flags, most=1).parse(argv)
    from wherry.base.errors import Unsupported
    from wherry.cli.parsing import parse_labels

    if parsed["driver"] != "local":
        raise Unsupported(f"volume driver {parsed['driver']} is not supported", hint="volumes are local")
    name = parsed.args[0] if parsed.args else parsed["name"]
    print(engine().volumes.create(name, labels=parse_labels(parsed["label"], ()), anonymous=not name).name)
    return 0


def _list(argv: list[str]) -> int:
    flags = (
        Flag("filter", "list", "Show only what fits (dangling=, driver=, name=, label=)", short="f"),
        Flag("format", "str", "table, json, or a Go template"),
        Flag("quiet", "bool", "Show only names", short="q"),
    )
    parsed = Command("wherry volume ls", "[OPTIONS]", "List volumes", flags, most=0).parse(argv)
    from wherry.base.errors import InvalidInput

    opened = engine()
    volumes = opened.volumes.all()
    for text in parsed["filter"]:
        key, value = split_filter(text)
        if key == "dangling" and value in BOOLEANS:
            volumes = [one for one in volumes if opened.volumes.is_used(one.name) != BOOLEANS[value]]
        elif key == "dangling":
            raise InvalidInput(f"Invalid filter '{text}'", hint="write true or false")
        elif key == "driver":
            volumes = volumes if value == "local" else []
        elif key == "name":
            volumes = [one for one in volumes if value in one.name]
        elif key == "label":
            volumes = [one for one in volumes if _has_label(one, value)]
        else:
            raise InvalidInput(f"Invalid filter '{key}'", hint="there are: dangling, driver, name, label")
    if parsed["quiet"]:
        for volume in volumes:
            print(volume.name)
        return 0
    rows = [
        {
            "Driver": "local",
            "Name": one.name,
            "Mountpoint": one.path,
            "Scope": "local",
            "Labels": ",".join(f"{key}={value}" for key, value in sorted(one.labels.items())),
            "Label": lambda name, labels=one.labels: labels.get(name, ""),
            "Links": "N/A",
            "Size": "N/A",
        }
        for one in volumes
    ]
    print_list(rows, [("DRIVER", "Driver"), ("VOLUME NAME", "Name")], parsed["format"])
    return 0


def _inspect(argv: list[str]) -> int:
    from wherry.cli.verbs.inspect import inspect_things

    flags = (Flag("format", "str", "json, or a Go template", short="f"),)
    parsed = Command("wherry volume inspect", "VOLUME...", "Show everything about volumes", flags, least=1).parse(argv)
    return inspect_things(parsed.args, parsed["format"], ["volume"])


def _remove(argv: list[str]) -> int:
    flags = (Flag("force", "bool", "Say nothing of missing ones", short="f"),)
    parsed = Command("wherry volume rm", "[OPTIONS] VOLUME [VOLUME...]", "Remove volumes", flags, least=1).parse(argv)
    opened = engine()
    return each(parsed.args, lambda name: opened.volumes.remove(name, force=parsed["force"]))


def _prune(argv: list[str]) -> int:
    flags = (
        Flag("all", "bool", "Named volumes too", short="a"),
        Flag("filter", "list", "Remove only what fits (label=, label!=)"),
        Flag("force", "bool", "Do not ask", short="f"),
    )
    parsed = Command("wherry volume prune", "[OPTIONS]", "Remove unused volumes", flags, most=0).parse(argv)
    keep = _keeper(parsed["filter"])
    what = "all" if parsed["all"] else "all anonymous"
    if not parsed["force"] and not confirm(f"This will remove {what} volumes that no container uses."):
        return 0
    removed, freed = engine().prune_volumes(every=parsed["all"], keep=keep)
    if removed:
        print("Deleted Volumes:", *removed, sep="\n")
        print()
    print(f"Total reclaimed space: {human_size(freed)}")
    return 0


def _keeper(filters: list[str]) -> Callable[[Volume], bool]:
    """Whether a volume is to be kept because a filter does not fit."""
    from wherry.base.errors import InvalidInput

    wanted = []
    for text in filters:
        key, value = split_filter(text)
        if key not in ("label", "label!"):
            raise InvalidInput(f"Invalid filter '{key}'", hint="there are: label, label!")
        wanted.append((key == "label", value))
    return lambda one: any(_has_label(one, value) != has for has, value in wanted)


def _has_label(volume: Volume, text: str) -> bool:
    name, equals, wanted = text.partition("=")
    return name in volume.labels and (not equals or volume.labels[name] == wanted)
