"""`compose ps`, `ls`, `images`, `port` and `top`: what there is."""

from __future__ import annotations

import json

from wherry.base.clock import format_duration, system_clock
from wherry.base.errors import InvalidInput, NotFound
from wherry.cli.composing import chosen_containers
from wherry.cli.flags import Command, Flag
from wherry.cli.output import ago, human_size, print_list, short_id
from wherry.compose import labels as label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from wherry.cli.composing import Invocation
    from wherry.cli.flags import Parsed
    from wherry.compose.engine import ComposeEngine
    from wherry.compose.state import ObservedContainer

__all__ = ["run"]

_STATES = ("paused", "restarting", "removing", "running", "dead", "created", "exited")


def run(invocation: Invocation, argv: list[str]) -> int:
    """One of them."""
    verbs: dict[str, Callable[[Invocation, list[str]], int]] = {
        "ps": _ps,
        "ls": _ls,
        "images": _images,
        "port": _port,
        "top": _top,
    }
    return verbs[argv[0]](invocation, argv[1:])


def _ps(invocation: Invocation, argv: list[str]) -> int:
    flags = (
        Flag("all", "bool", "Show stopped containers too (also those of run)", short="a"),
        Flag("filter", "str", "Show only what fits (status=)"),
        Flag("format", "str", "table, json, or a Go template"),
        Flag("no-trunc", "bool", "Show whole values"),
        Flag("orphans", "bool", "Include containers of services that the Compose file does not have", default=True),
        Flag("quiet", "bool", "Show only identifiers", short="q"),
        Flag("services", "bool", "Show the names of services"),
        Flag("status", "list", f"Show only these states ({', '.join(_STATES)})"),
    )
    parsed = Command("wherry compose ps", "[OPTIONS] [SERVICE...]", "List containers", flags).parse(argv)
    engine = invocation.engine()
    states = _states(parsed)
    found = chosen_containers(invocation, engine, parsed.args, one_off=parsed["all"])
    found = [one for one in found if (one.status in states if states else parsed["all"] or one.is_running)]
    if parsed["quiet"] or parsed["services"]:
        for line in dict.fromkeys(one.service if parsed["services"] else one.id for one in found):
            print(line)
        return 0
    rows = [_row(engine, one, whole=parsed["no-trunc"]) for one in found]
    columns = "Name Image Command Service RunningFor Status Ports".split()
    headings = "NAME IMAGE COMMAND SERVICE CREATED STATUS PORTS".split()
    print_list(rows, list(zip(headings, columns, strict=True)), parsed["format"])
    return 0


def _states(parsed: Parsed) -> list[str]:
    states: list[str] = list(parsed["status"])
    if parsed["filter"]:
        key, _, value = parsed["filter"].partition("=")
        if key != "status":
            raise InvalidInput(f"unknown filter {key}", hint="status=running, for instance")
        states.append(value)
    for state in states:
        if state not in _STATES:
            raise InvalidInput(f'unknown status "{state}"', hint=", ".join(_STATES))
    return states


def _row(engine: ComposeEngine, one: ObservedContainer, *, whole: bool) -> dict[str, Any]:
    now = system_clock()
    command = " ".join(engine.command(one.id))
    command = command if whole or len(command) <= 20 else command[:19] + "…"
    return {
        "Command": f'"{command}"',
        "ExitCode": one.exit_code,
        "Health": one.health,
        "ID": short_id(one.id, whole=whole),
        "Image": one.image,
        "Labels": ",".join(f"{key}={value}" for key, value in sorted(one.labels.items())),
        "Name": one.name,
        "Names": one.name,
        "Networks": ",".join(one.networks),
        "Ports": ", ".join(f"{_address(host)}:{outer}->{inner}/{proto}" for inner, proto, host, outer in one.ports),
        "Project": one.labels.get(label.PROJECT, ""),
        "Publishers": [
            {"URL": _address(host), "TargetPort": inner, "PublishedPort": outer, "Protocol": proto}
            for inner, proto, host, outer in one.ports
        ],
        "RunningFor": ago(one.created, now),
        "Service": one.service,
        "State": one.status,
        "Status": _status(one, now),
    }


def _address(host: str) -> str:
    return host or "0.0.0.0"  # noqa: S104 (the address that is printed)


def _status(one: ObservedContainer, now: int) -> str:
    """In Docker's words."""
    if one.status == "created":
        return "Created"
    if one.status == "restarting":
        return f"Restarting ({one.exit_code}) {ago(one.finished, now)}"
    if one.is_running:
        health = f" ({one.health})" if one.health else ""
        paused = " (Paused)" if one.status == "paused" else ""
        return f"Up {format_duration((now - one.started) / 1e9)}{health}{paused}"
    return f"Exited ({one.exit_code}) {ago(one.finished, now)}"


def _ls(invocation: Invocation, argv: list[str]) -> int:
    flags = (
        Flag("all", "bool", "Show stopped projects too", short="a"),
        Flag("filter", "str", "Show only what fits (name=)"),
        Flag("format", "str", "table or json"),
        Flag("quiet", "bool", "Show only names", short="q"),
    )
    parsed = Command("wherry compose ls", "[OPTIONS]", "List running compose projects", flags, most=0).parse(argv)
    projects: dict[str, list[ObservedContainer]] = {}
    for one in invocation.engine().containers():
        projects.setdefault(one.labels[label.PROJECT], []).append(one)
    key, _, pattern = parsed["filter"].partition("=")
    if key not in ("", "name"):
        raise InvalidInput(f"unknown filter {key}", hint="name=shop, for instance")
    rows = [_project_row(name, found) for name, found in sorted(projects.items()) if pattern in name]
    rows = [row for row in rows if parsed["all"] or "running" in row["Status"]]
    if parsed["quiet"]:
        for row in rows:
            print(row["Name"])
        return 0
    if parsed["format"] == "json":
        print(json.dumps(rows))
        return 0
    print_list(rows, [("NAME", "Name"), ("STATUS", "Status"), ("CONFIG FILES", "ConfigFiles")], parsed["format"])
    return 0


def _project_row(name: str, containers: list[ObservedContainer]) -> dict[str, str]:
    counts: dict[str, int] = {}
    for one in containers:
        counts[one.status] = counts.get(one.status, 0) + 1
    status = ", ".join(f"{state}({number})" for state, number in sorted(counts.items()))
    files = next((one.labels[label.CONFIG_FILES] for one in containers if label.CONFIG_FILES in one.labels), "N/A")
    return {"Name": name, "Status": status, "ConfigFiles": files}


def _images(invocation: Invocation, argv: list[str]) -> int:
    flags = (
        Flag("format", "str", "table, json, or a Go template"),
        Flag("quiet", "bool", "Show only identifiers", short="q"),
    )
    usage = "[OPTIONS] [SERVICE...]"
    parsed = Command("wherry compose images", usage, "List images used by the created containers", flags).parse(argv)
    engine = invocation.engine()
    found = chosen_containers(invocation, engine, parsed.args, one_off=True)
    if parsed["quiet"]:
        for identifier in sorted({one.image_id for one in found}):
            print(short_id(identifier))
        return 0
    rows = []
    for one in found:
        repository, _, tag = one.image.partition("@")[0].rpartition(":")
        if not repository or "/" in tag:
            repository, tag = one.image, "latest"
        size = human_size(engine.image_details(one.image_id)[1], digits=3)
        image = short_id(one.image_id)
        rows.append({"Container": one.name, "Repository": repository, "Tag": tag, "ID": image, "Size": size})
    if parsed["format"] == "json":
        print(json.dumps(rows))
        return 0
    columns = [("CONTAINER", "Container"), ("REPOSITORY", "Repository"), ("TAG", "Tag"), ("IMAGE ID", "ID")]
    print_list(rows, [*columns, ("SIZE", "Size")], parsed["format"])
    return 0


def _port(invocation: Invocation, argv: list[str]) -> int:
    flags = (
        Flag("index", "int", "Number of the container, where the service has several", default=0),
        Flag("protocol", "str", "tcp or udp", default="tcp"),
    )
    usage = "[OPTIONS] SERVICE PRIVATE_PORT"
    summary = "Print the public port for a port binding"
    parsed = Command("wherry compose port", usage, summary, flags, least=2, most=2).parse(argv)
    service, port = parsed.args
    for one in chosen_containers(invocation, invocation.engine(), [service], index=parsed["index"]):
        for inner, protocol, host, outer in one.ports:
            if str(inner) == port and protocol == parsed["protocol"]:
                print(f"{_address(host)}:{outer}")
                return 0
    raise NotFound(f"no port {port}/{parsed['protocol']} for container {invocation.name()}-{service}-1")


def _top(invocation: Invocation, argv: list[str]) -> int:
    parsed = Command("wherry compose top", "[SERVICES...]", "Display the running processes").parse(argv)
    engine = invocation.engine()
    for one in chosen_containers(invocation, engine, parsed.args):
        if one.status != "running":
            continue
        titles, rows = engine.top(one.id)
        print(one.name)
        print_list([dict(zip(titles, row, strict=False)) for row in rows], [(name, name) for name in titles], "")
        print()
    return 0
