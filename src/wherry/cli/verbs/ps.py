"""`ps`."""

from __future__ import annotations

from wherry.base.clock import format_duration, rfc3339, system_clock
from wherry.base.errors import InvalidInput
from wherry.cli.context import engine
from wherry.cli.flags import Command, Flag
from wherry.cli.output import ago, human_size, print_list, short_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.engine import Engine
    from wherry.engine.records import Container

__all__ = ["run", "status_text"]

_FLAGS = (
    Flag("all", "bool", "Show stopped containers too", short="a"),
    Flag("filter", "list", "Show only what fits (status=, name=, id=, label=, ancestor=, exited=, volume=)", short="f"),
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
    filters = _filters(parsed["filter"])
    last = 1 if parsed["latest"] else parsed["last"]
    every = parsed["all"] or last > 0 or bool({"status", "exited"} & {key for key, _ in filters})
    found = [
        one for one in opened.containers.all() if every or one.state.is_running or one.state.status == "restarting"
    ]
    found = [one for one in found if _fits(opened, one, filters)]
    found = found[:last] if last > 0 else found
    if parsed["quiet"] and not parsed["format"]:
        for one in found:
            print(short_id(one.id, whole=parsed["no-trunc"]))
        return 0
    rows = [_row(opened, one, whole=parsed["no-trunc"], size=parsed["size"]) for one in found]
    print_list(rows, [*_COLUMNS, ("SIZE", "Size")] if parsed["size"] else _COLUMNS, parsed["format"])
    return 0


def _filters(given: list[str]) -> list[tuple[str, str]]:
    filters = []
    for text in given:
        key, equals, value = text.partition("=")
        if not equals:
            raise InvalidInput(
                f'invalid argument "{text}" for "-f, --filter" flag: bad format of filter (expected name=value)'
            )
        if key not in _TESTS:
            raise InvalidInput(f"Invalid filter '{key}'", hint=f"there are: {', '.join(sorted(_TESTS))}")
        filters.append((key, value))
    return filters


def _fits(opened: Engine, container: Container, filters: list[tuple[str, str]]) -> bool:
    """Values of one key are alternatives, but for labels; different keys must all fit."""
    wanted: dict[str, list[str]] = {}
    for key, value in filters:
        wanted.setdefault(key, []).append(value)
    return all(
        (all if key == "label" else any)(_TESTS[key](opened, container, value) for value in values)
        for key, values in wanted.items()
    )


def _searches(pattern: str, text: str) -> bool:
    import re

    try:
        return re.search(pattern, text) is not None
    except re.error:
        raise InvalidInput(f"invalid filter 'name={pattern}': not a regular expression") from None


def _label(opened: Engine, container: Container, text: str) -> bool:
    key, equals, value = text.partition("=")
    labels = opened.containers.labels(container)
    return key in labels and (not equals or labels[key] == value)


def _ancestor(opened: Engine, container: Container, text: str) -> bool:
    try:
        return opened.images.resolve(text).id == container.image_id
    except Exception:  # noqa: BLE001 (an unknown image is nobody's ancestor)
        return container.image == text


_TESTS: dict[str, Any] = {
    "status": lambda _, one, value: one.state.status == value,
    "name": lambda _, one, value: _searches(value, one.name) or _searches(value, f"/{one.name}"),
    "id": lambda _, one, value: one.id.startswith(value),
    "exited": lambda _, one, value: one.state.status == "exited" and str(one.state.exit_code) == value,
    "label": _label,
    "ancestor": _ancestor,
    "network": lambda _, one, value: value in _networks(one) or one.network.network.startswith(value),
    "volume": lambda opened, one, value: any(
        value in (mount.get("name"), mount["target"]) for mount in opened.containers.mounts(one)
    ),
}


def _row(opened: Engine, one: Container, *, whole: bool, size: bool) -> dict[str, Any]:
    command = " ".join(opened.containers.command(one))
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
        "Ports": ports_text(one),
        "Names": one.name,
        "Labels": ",".join(f"{key}={value}" for key, value in sorted(opened.containers.labels(one).items())),
        "Mounts": ",".join(mounts),
        "Networks": ",".join(_networks(one)),
        "LocalVolumes": str(sum(1 for mount in opened.containers.mounts(one) if mount["kind"] == "volume")),
    }
    return (
        {**row, "Size": human_size(opened.containers.writable_size(one), digits=3)} if size else {**row, "Size": "0B"}
    )


def _networks(container: Container) -> list[str]:
    """The names of its networks, or its mode."""
    from wherry.engine.request import endpoints_of

    return [each.network for each in endpoints_of(container.request)] or [container.request.network]


def ports_text(container: Container) -> str:
    """`0.0.0.0:5001->5001/tcp`, and so on."""
    published = [
        f"{address or '0.0.0.0'}:{host}->{port}/{protocol}"  # noqa: S104 (the address that is printed)
        for port, protocol, address, host in container.network.ports
    ]
    return ", ".join(published)


def status_text(container: Container, now: int) -> str:
    """`Up 3 minutes`, `Exited (0) 2 hours ago`, ..."""
    state = container.state
    if state.status == "created":
        return "Created"
    if state.status == "restarting":
        return f"Restarting ({state.exit_code}) {ago(state.finished, now)}"
    if state.is_running:
        up = f"Up {format_duration((now - state.started) / 1e9)}"
        return f"{up} (Paused)" if state.status == "paused" else up
    if state.status == "exited":
        return f"Exited ({state.exit_code}) {ago(state.finished or state.started, now)}"
    return state.status.capitalize()
