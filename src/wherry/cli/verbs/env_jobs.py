"""`env jobs`: what an environment does by the clock, and how that went."""

from __future__ import annotations

from wherry.base.clock import duration_text, rfc3339, system_clock
from wherry.cli.deploying import FORMAT, QUIET, parts
from wherry.cli.flags import Command, Flag
from wherry.cli.output import ago, print_list

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.deploy.cron import Job
    from wherry.deploy.schedules import Planned, Run

__all__ = ["run"]

_SECOND = 1_000_000_000


def run(argv: list[str]) -> int:
    """List jobs, or runs of them."""
    summary = "List what an environment does by the clock: the jobs of its version, and its backup"
    flags = (FORMAT, QUIET, Flag("runs", "bool", "List their last runs instead, the newest first"))
    parsed = Command("wherry env jobs", "[OPTIONS] NAME", summary, flags, least=1, most=1).parse(argv[1:])
    from wherry.deploy.schedules import Schedules

    given = parts()
    environment, schedules = given.records.environment(parsed.args[0]), Schedules(given)
    if parsed["runs"]:
        rows = [_run(one) for one in schedules.runs(environment.name)]
        columns = [("JOB", "Job"), ("PLANNED", "Planned"), ("RESULT", "Result"), ("TOOK", "Took"), ("DETAIL", "Detail")]
        print_list(rows, columns, "{{.Job}}" if parsed["quiet"] else parsed["format"])
        return 0
    now = system_clock()
    rows = [_planned(one, now) for one in schedules.planned(environment, now / _SECOND)]
    names = ("Job", "Schedule", "Does", "Next", "Last", "Result")
    columns = [(one.upper(), one) for one in names]
    print_list(rows, columns, "{{.Job}}" if parsed["quiet"] else parsed["format"])
    return 0


def _planned(one: Planned, now: int) -> dict[str, str]:
    zone = "" if one.job.timezone == "UTC" else f" {one.job.timezone}"
    return {
        "Job": one.job.name,
        "Schedule": f"{one.job.schedule}{zone}",
        "Does": _does(one.job),
        "Next": rfc3339(one.next * _SECOND) if one.next is not None else "never",
        "Last": ago(one.last.time * _SECOND, now) if one.last else "-",
        "LastPlanned": rfc3339(one.last.time * _SECOND) if one.last else "",
        "Result": (one.last.result or "under way") if one.last else "-",
    }


def _does(job: Job) -> str:
    if job.url:
        return f"POST {job.url}"
    return " ".join(job.command) or "wherry env backup create"


def _run(one: Run) -> dict[str, str]:
    return {
        "Job": one.job,
        "Planned": rfc3339(one.time * _SECOND),
        "Result": one.result or "under way",
        "Took": duration_text((one.ended - one.started) // _SECOND * _SECOND) if one.ended else "",
        "Detail": one.detail,
    }
