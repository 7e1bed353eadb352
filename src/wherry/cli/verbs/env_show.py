"""`env list|status|history|events`: what there is and what happened."""

from __future__ import annotations

import time

from wherry.base.clock import rfc3339, system_clock
from wherry.base.progress import nobody
from wherry.cli.deploying import FORMAT, QUIET, opened, parts
from wherry.cli.flags import Command, Flag
from wherry.cli.outcomes import step_rows
from wherry.cli.output import ago, print_list, render_one

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.deploy.status import InstanceStatus, Status

__all__ = ["run"]

_EVENT_SECONDS = 0.5  # between two looks for new ones


def run(argv: list[str]) -> int:
    """One of them."""
    return {"list": _list, "status": _status, "history": _history, "events": _events}[argv[0]](argv[1:])


def _list(argv: list[str]) -> int:
    flags = (
        FORMAT,
        QUIET,
        Flag("all", "bool", "Terminated ones too", short="a"),
        Flag("app", "str", "Of this application"),
    )
    parsed = Command("wherry env list", "[OPTIONS]", "List environments", flags, most=0).parse(argv)
    given = parts()
    environments = opened(given, nobody)
    found = environments.all(parsed["app"], terminated=parsed["all"])
    if parsed["quiet"]:
        for one in found:
            print(one.name)
        return 0
    from wherry.deploy.assessing import assess

    rows = [
        {
            "Name": one.name,
            "Application": one.application,
            "Version": one.version,
            "Status": one.status,
            "Health": assess(given, one.name).status,
            "Size": one.size,
            "URL": environments.url(one),
        }
        for one in found
    ]
    names = ("Name", "Application", "Version", "Status", "Health", "Size", "URL")
    print_list(rows, [(one.upper(), one) for one in names], parsed["format"])
    return 0


def _status(argv: list[str]) -> int:
    summary = "Show an environment and its instances"
    parsed = Command("wherry env status", "[OPTIONS] NAME", summary, (FORMAT,), least=1, most=1).parse(argv)
    from wherry.deploy.assessing import assess

    given = parts()
    status = opened(given, nobody).status(parsed.args[0])
    health = assess(given, parsed.args[0])
    shown = {**_shown(status), "Health": health.status, "Color": health.color, "Causes": list(health.causes)}
    if parsed["format"]:
        print(render_one(shown, parsed["format"]))
        return 0
    for key in ("Name", "Application", "Version", "Status", "URL"):
        print(f"{key + ':':<13}{shown[key]}")
    print(f"{'Health:':<13}{health.status} ({health.color})")
    print("".join(f"{'':<13}{cause}\n" for cause in health.causes), end="")
    columns = [("INSTANCE", "Name"), ("VERSION", "Version"), ("STATE", "State"), ("WEIGHT", "Weight")]
    print()
    print_list(shown["Instances"], [*columns, ("BALANCER", "Balancer")], "")
    if status.operation:
        how = "under way" if status.working else f"cut off; `wherry env recover {parsed.args[0]}` ends it"
        print(f"\n{status.operation.kind} by {status.operation.who}, {how}:")
        print("\n".join(f"  {one.state:<8} {one.step.describe()}" for one in status.steps))
    return 0


def _shown(status: Status) -> dict[str, Any]:
    environment = status.environment
    return {
        "Name": environment.name,
        "Application": environment.application,
        "Version": environment.version,
        "Status": environment.status,
        "URL": status.url,
        "Operation": status.operation.kind if status.operation else "",
        "Working": status.working,
        "Steps": step_rows(status.steps),
        "Instances": [_instance(one) for one in status.instances],
    }


def _instance(one: InstanceStatus) -> dict[str, Any]:
    row = one.instance
    services = one.observed.services if one.observed else ()
    return {
        "Name": row.name,
        "Version": row.version,
        "State": ", ".join(f"{each.service} {each.status}" for each in services) or "gone",
        "Weight": "draining" if row.draining else str(row.weight),
        "Balancer": ", ".join(f"{each.pool} {each.status}" for each in one.servers) or "-",
    }


def _history(argv: list[str]) -> int:
    summary = "List an environment's deployments, the newest first"
    parsed = Command("wherry env history", "[OPTIONS] NAME", summary, (FORMAT, QUIET), least=1, most=1).parse(argv)
    given = parts()
    given.records.environment(parsed.args[0])
    rows = [
        {
            "Number": one.number,
            "Kind": one.kind,
            "From": one.before_version or "-",
            "To": one.after_version,
            "Policy": one.policy,
            "Result": one.result or "under way",
            "Seconds": f"{one.seconds:.1f}",
            "Who": one.who,
            "Started": rfc3339(one.started),
            "StartedSince": ago(one.started, system_clock()),
            "Message": one.message,
            "Cause": one.cause,
        }
        for one in given.records.history.deployments(parsed.args[0])
    ]
    names = ("Number", "Kind", "From", "To", "Policy", "Result", "Seconds", "Who")
    columns = [*((one.upper(), one) for one in names), ("STARTED", "StartedSince"), ("MESSAGE", "Message")]
    print_list(rows, columns, "{{.Number}}" if parsed["quiet"] else parsed["format"])
    return 0


def _events(argv: list[str]) -> int:
    flags = (
        Flag("follow", "bool", "Go on until interrupted", short="f"),
        Flag("format", "str", "json, or a Go template"),
        Flag("tail", "int", "Only the last ones", short="n"),
    )
    parsed = Command("wherry env events", "[OPTIONS] [NAME]", "Show what happened", flags, most=1).parse(argv)
    name = parsed.args[0] if parsed.args else ""
    records = parts().records
    if name:
        records.environment(name)
    since, limit = 0, parsed["tail"]
    while True:
        for one in records.history.events(name, since=since, limit=limit):
            since = one.time
            values = {key.capitalize(): value for key, value in one._asdict().items()} | {"Time": rfc3339(one.time)}
            when = _time(one.time, following=parsed["follow"])
            line = f"{when:<22}  {one.severity:<5}  {one.environment}  {one.message}"
            print(render_one(values, parsed["format"]) if parsed["format"] else line, flush=True)
        if not parsed["follow"]:
            return 0
        limit = 0
        time.sleep(_EVENT_SECONDS)


def _time(time: int, *, following: bool) -> str:
    """How long ago, or the second (RFC 3339) where what is printed stays while time goes on."""
    return rfc3339(time - time % 1_000_000_000) if following else ago(time, system_clock())
