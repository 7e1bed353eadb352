"""`ps`."""

from __future__ import annotations

from wherry.base.clock import format_duration, rfc3339, system_clock
from wherry.cli.context import engine
from wherry.cli.filters import container_filter, parse_filters
from wherry.cli.flags import Command, Flag
from wherry.cli.output import ago, human_size, print_list, short_id
from wherry.cli.ports import show_ports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.engine import Engine
    from wherry.engine.records import Container

__all__ = ["run", "status_text"]

_FLAGS = (
    Flag("all", "bool", "Show stopped containers too", short="a"),
    Flag(
        "filter",
        "list",
        "Show only what fits (status=, name=, id=, label=, ancestor=, before=, since=, publish=, ...)",
        short="f",
    ),
    Flag("format", "str", "table, json, or a Go template"),
    Flag("last", "int", "Show the last n containers, in any state", short="n", default=-1),
    Flag("latest", "bool", "Show the last container, in any state", short="l"),
    Flag("no-trunc", "bool", "Show whole values"),
    Flag("quiet", "bool", "Show only identifiers", short="q"),
    Flag("size", "bool", "Show the size of the writable layer", short="s"),
)
_COLUMNS = [
    ("CONTAINER ID", "ID"),
    ("IMAGE", "Image"),
    ("COMMAND", "Command"),
    ("CREATED", "RunningFor"),
    ("STATUS", "Status"),
    ("PORTS", "Ports"),
    ("NAMES", "Names"),
]


def run(argv: list[str]) -> int:
    """Print the containers."""
    parsed = Command("wherry ps", "[OPTIONS]", "List containers", _FLAGS, most=0).parse(argv[1:])
    opened = engine()
    filters = parse_filters(parsed["filter"])
    last = 1 if parsed["latest"] else parsed["last"]
    every = parsed["all"] or last > 0 or bool({"status", "exited"} & set(filters))
    fits = container_filter(opened, filters)
    found = [one for one in opened.containers.all() if every or one.state.is_up]
    found = [one for one in found if fits(one)]
    found = found[:last] if last > 0 else found
    if parsed["quiet"] and not parsed["format"]:
        for one in found:
            print(short_id(one.id, whole=parsed["no-trunc"]))
        return 0
    size = parsed["size"] or ".Size" in parsed["format"] or "json" in parsed["format"]
    rows = [_row(opened, one, whole=parsed["no-trunc"], size=size) for one in found]
    print_list(rows, [*_COLUMNS, ("SIZE", "Size")] if parsed["size"] else _COLUMNS, parsed["format"])
    return 0


def _row(opened: Engine, one: Container, *, whole: bool, size: bool) -> dict[str, Any]:
    path, *arguments = opened.containers.command(one)
    command = " ".join([path, *(f"'{word}'" if " " in word else word for word in arguments)])
    labels = opened.containers.labels(one)
    shown = command if whole or len(command) <= 20 else command[:19] + "…"
    mounts = [mount.get("name") or mount.get("path", "") for mount in opened.containers.mounts(one)]
    row = {
        "ID": short_id(one.id, whole=whole),
        "Image": one.image,
        "Command": f'"{shown}"',
        "CreatedAt": rfc3339(one.created),
        "RunningFor": ago(one.created, system_clock()),
        "Status": status_text(one, system_clock()),
        "State": one.state.status,
        "Ports": show_ports(one.network.ports, opened.containers.exposed(one)),
        "Names": one.name,
        "Labels": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        "Label": lambda name: labels.get(name, ""),
        "Mounts": ",".join(mounts),
        "Networks": ",".join(_networks(one)),
        "LocalVolumes": str(sum(1 for mount in opened.containers.mounts(one) if mount["kind"] == "volume")),
    }
    return {**row, "Size": _size(opened, one) if size else "0B"}


def _size(opened: Engine, one: Container) -> str:
    """What it wrote itself, and that with its image."""
    own = opened.containers.writable_size(one)
    return (
        f"{human_size(own, digits=3)} (virtual {human_size(own + opened.images.resolve(one.image_id).size, digits=3)})"
    )


def _networks(container: Container) -> list[str]:
    """The names of its networks, or its mode."""
    from wherry.engine.request import endpoints_of

    return sorted(each.network for each in endpoints_of(container.request)) or [container.request.network]


def status_text(container: Container, now: int) -> str:
    """`Up 3 minutes`, `Exited (0) 2 hours ago`, ..."""
    state = container.state
    if state.status == "created":
        return "Created"
    if state.status == "restarting":
        return f"Restarting ({state.exit_code}) {ago(state.finished, now)}"
    if state.is_running:
        up = f"Up {format_duration((now - state.started) / 1e9)}"
        shown = (
            "Paused" if state.status == "paused" else "health: starting" if state.health == "starting" else state.health
        )
        return f"{up} ({shown})" if shown else up
    if state.status == "exited":
        return f"Exited ({state.exit_code}) {ago(state.finished or state.started, now)}"
    return state.status.capitalize()
