"""`env health`: how well an environment and each of its instances is, and why."""

from __future__ import annotations

from wherry.cli.deploying import FORMAT, parts
from wherry.cli.flags import Command, Flag
from wherry.cli.output import human_size, print_list, render_one

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.deploy.health import EnvironmentHealth, InstanceHealth
    from wherry.deploy.traffic import RequestStats

__all__ = ["run"]

_COLUMNS = (
    *(("INSTANCE", "Name"), ("HEALTH", "Status"), ("VERSION", "Version"), ("R/SEC", "Rate")),
    *((f"{kind}XX", f"Percent{kind}xx") for kind in (2, 3, 4, 5)),
    *(("P50 MS", "P50"), ("P90 MS", "P90"), ("P99 MS", "P99"), ("CPU", "CPU"), ("MEMORY", "MemoryUsage")),
)


def run(argv: list[str]) -> int:
    """Judge it now."""
    summary = "Show how well an environment and its instances are, and why"
    flags = (FORMAT, Flag("seconds", "int", "Judge by the requests of so many seconds", default=60))
    parsed = Command("wherry env health", "[OPTIONS] NAME", summary, flags, least=1, most=1).parse(argv[1:])
    from wherry.base.errors import UsageError
    from wherry.deploy.assessing import assess

    if parsed["seconds"] < 1:
        raise UsageError("--seconds is 1 at least")
    name = parsed.args[0]
    shown = _shown(name, assess(parts(), name, seconds=parsed["seconds"]))
    if parsed["format"] not in ("", "table"):
        print(render_one(shown, parsed["format"]))
        return 0
    print(f"{name}: {shown['Status']} ({shown['Color']})")
    for cause in shown["Causes"]:
        print(f"  {cause}")
    print()
    overall = {**shown, "Name": "all", "Version": "", "CPU": "", "MemoryUsage": ""}
    print_list([overall, *shown["Instances"]], _COLUMNS, "")
    for one in shown["Instances"]:
        for cause in one["Causes"]:
            if cause not in shown["Causes"]:
                print(f"{one['Name']}: {cause}")
    return 0


def _shown(name: str, found: EnvironmentHealth) -> dict[str, Any]:
    return {
        "Name": name,
        "Color": found.color,
        "Status": found.status,
        "Causes": list(found.causes),
        **_requests(found.stats, found.seconds),
        "Instances": [_instance(one, found.seconds) for one in found.instances],
    }


def _instance(one: InstanceHealth, seconds: float) -> dict[str, Any]:
    return {
        "Name": one.name,
        "Color": one.color,
        "Status": one.status,
        "Causes": list(one.causes),
        "Version": one.version,
        "Deployment": one.deployment,
        **_requests(one.stats, seconds),
        "CPU": "-" if one.cpu is None else f"{one.cpu:.0f}%",
        "Memory": one.memory,
        "MemoryUsage": human_size(one.memory),
    }


def _requests(stats: RequestStats, seconds: float) -> dict[str, Any]:
    """Counts, requests for each second, percent of the answers by kind, percentiles in milliseconds."""
    return {
        "Requests": stats.requests,
        "Rate": f"{stats.requests / seconds:.1f}",
        **{f"Percent{kind}xx": f"{stats.share(kind):.0f}%" if stats.requests else "-" for kind in (2, 3, 4, 5)},
        **{name: f"{getattr(stats, name.lower()):.3g}" for name in ("P50", "P90", "P99")},
    }
