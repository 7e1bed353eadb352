"""How well an environment is: facts to a colour, a status and the sentences that say why. Pure.

Colours, statuses and the wording of causes are Elastic Beanstalk's (enhanced health), as far as it has them. Each
status has a rank; the worst finding decides. An instance on which a command is executing is not judged until the
environment's `timeout` has passed. Facts of instances become findings in `ailments.py`.
"""

from __future__ import annotations

from wherry.base.values import NamedTuple
from wherry.deploy.ailments import (
    Circumstances,
    Finding,
    InstanceFacts,
    ago,
    answered,
    color_of,
    instance_findings,
    rank_of,
    service_findings,
    worst,
)
from wherry.deploy.commands import commands_of, running_sentence
from wherry.deploy.settings import Settings
from wherry.deploy.traffic import RequestStats

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wherry.deploy.journal import Operation, StepRecord
    from wherry.deploy.model import Deployment, Environment
    from wherry.deploy.target import ObservedService

__all__ = ["EnvironmentHealth", "Facts", "InstanceHealth", "Machine", "judge"]

_NOTE_SECONDS = 120  # how long a deployment that succeeded is told of
_FAILURE_SECONDS = 600  # and one that was taken back
_DETAILS = 3  # instances whose causes are told for the environment, too
_KINDS = {"deploy": "Application deployment", "configuration": "Configuration update", "rollback": "Rollback"}


class Machine(NamedTuple):
    """The machine that all instances share: load of five minutes, processors, percent of its memory in use."""

    load: float = 0.0
    processors: int = 1
    memory: float = 0.0


class Facts(NamedTuple):
    """All that an environment is judged by; times are seconds since 1970.

    `stats` is of the last `seconds`, `unreached` how many 5xx of it came from the balancer itself. `operation` is the
    one that has not ended, with its steps, and `working` whether some process carries it out. `deployment` is the last
    one. `trouble` is why the target could not be asked.
    """

    environment: Environment
    now: float
    instances: tuple[InstanceFacts, ...] = ()
    accessories: tuple[ObservedService, ...] = ()
    stats: RequestStats = RequestStats()
    unreached: int = 0
    seconds: float = 60.0
    operation: Operation | None = None
    steps: tuple[StepRecord, ...] = ()
    working: bool = False
    deployment: Deployment | None = None
    routed: bool = True
    balancer: bool = True
    machine: Machine = Machine()
    trouble: str = ""


class InstanceHealth(NamedTuple):
    """One instance. `cpu` is percent of one core, None where it is not known; `memory` is in bytes; `started` is
    seconds since 1970, 0 where nothing of it runs."""

    name: str
    color: str
    status: str
    causes: tuple[str, ...]
    version: str = ""
    deployment: int = 0
    stats: RequestStats = RequestStats()
    cpu: float | None = None
    memory: int = 0
    started: float = 0.0


class EnvironmentHealth(NamedTuple):
    """`color` is green, yellow, red or grey; `status` Ok, Info, Warning, Degraded, Severe, Pending, Unknown, NoData or
    Suspended; `causes` are sentences, the worst first. `stats` are of all requests of the last `seconds`."""

    color: str
    status: str
    causes: tuple[str, ...]
    instances: tuple[InstanceHealth, ...] = ()
    stats: RequestStats = RequestStats()
    seconds: float = 60.0


def judge(facts: Facts) -> EnvironmentHealth:
    """How well the environment and each of its instances is."""
    if facts.environment.terminated:
        return EnvironmentHealth("grey", "Unknown", ("The environment is terminated.",))
    if facts.trouble:
        return _without_data(facts)
    around = _circumstances(facts)
    commands = commands_of(facts.steps, facts.now) if facts.working else {}
    found = {one.name: instance_findings(one, commands.get(one.name), around) for one in facts.instances}
    instances = tuple(_instance(one, _noted(one, found[one.name], facts)) for one in facts.instances)
    findings = [
        *_of_operation(facts, len(commands.keys() & found.keys())),
        *_of_settings(facts),
        *_of_balancer(facts),
        *_of_size(facts),
        *_of_instances(facts, found),
        *_of_accessories(facts),
        *_of_traffic(facts),
        *_of_machine(facts),
        *_of_deployment(facts),
    ]
    status = worst(findings)
    return EnvironmentHealth(color_of(status), status, _causes(findings), instances, facts.stats, facts.seconds)


def _causes(findings: Sequence[Finding]) -> tuple[str, ...]:
    """The worst first, and none twice."""
    return tuple(dict.fromkeys(one.sentence for one in sorted(findings, key=lambda one: -rank_of(one.status))))


def _circumstances(facts: Facts) -> Circumstances:
    return Circumstances(
        facts.now,
        Settings(facts.environment.settings).number("timeout"),
        facts.environment.version,
        facts.environment.revision,
        routed=facts.routed and facts.balancer,
        busy=facts.operation is not None and facts.working,
        counts_errors=not _is_in_maintenance(facts),
    )


def _is_in_maintenance(facts: Facts) -> bool:
    return facts.routed and Settings(facts.environment.settings).on("maintenance")


def _without_data(facts: Facts) -> EnvironmentHealth:
    why = facts.trouble.rstrip(".")
    instances = tuple(
        _instance(one._replace(services=()), [Finding("NoData", "No data.", "data")]) for one in facts.instances
    )
    causes = (f"None of the instances are sending data: {why}.",)
    return EnvironmentHealth("grey", "NoData", causes, instances, facts.stats, facts.seconds)


def _instance(one: InstanceFacts, findings: Sequence[Finding]) -> InstanceHealth:
    status = worst(findings)
    running = [service.started for service in one.services if service.status == "running"]
    return InstanceHealth(
        one.name,
        color_of(status),
        status,
        _causes(findings),
        one.version,
        one.revision,
        one.stats,
        one.cpu,
        one.memory,
        min(running, default=0.0),
    )


def _noted(one: InstanceFacts, findings: list[Finding], facts: Facts) -> list[Finding]:
    last = facts.deployment
    is_of_it = last is not None and last.number == one.revision
    return findings + (list(_success(facts)) if is_of_it else [])


# --- findings of the environment


def _of_operation(facts: Facts, concerned: int) -> Iterator[Finding]:
    operation = facts.operation
    if operation is None:
        return
    since = facts.now - operation.started / 1e9
    if not facts.working:
        yield Finding(
            "Warning",
            f"The operation {operation.kind}, begun {ago(since)} ago by {operation.who}, was cut off:"
            " the next operation, or `wherry serve`, ends it or takes it back.",
            "command",
        )
        return
    status = "Pending" if facts.environment.status in ("Launching", "Terminating") else "Info"
    if concerned:
        yield Finding(status, f"Command is executing {_on(concerned, len(facts.instances))}.", "command")
    yield Finding(status, running_sentence(operation, facts.steps, since), "command")


def _of_settings(facts: Facts) -> Iterator[Finding]:
    if _is_in_maintenance(facts):
        yield Finding("Suspended", "The environment is in maintenance: every request is answered with 503.", "settings")


def _of_balancer(facts: Facts) -> Iterator[Finding]:
    if facts.routed and not facts.balancer and facts.environment.revision:
        yield Finding("Severe", "The load balancer does not run: nothing answers.", "balancer")


def _of_size(facts: Facts) -> Iterator[Finding]:
    wanted = facts.environment.size
    active = sum(one.serves for one in facts.instances)
    if (facts.operation is not None and facts.working) or active >= wanted:
        return
    if not active:
        yield Finding("Severe", f"There are no instances that get requests. The wanted size is {wanted}.", "size")
    else:
        noun = "instance" if active == 1 else "instances"
        yield Finding("Degraded", f"{active} active {noun} is below the wanted size {wanted}.", "size")


def _of_instances(facts: Facts, found: dict[str, list[Finding]]) -> Iterator[Finding]:
    total = len(found)
    statuses = {name: worst(findings) for name, findings in found.items()}
    if all(any(one.kind == "traffic" and _is_bad(one) for one in findings) for findings in found.values()):
        # It is the environment's traffic that is bad, which is told as such.
        found = {name: [one for one in findings if one.kind != "traffic"] for name, findings in found.items()}
        statuses = {name: worst(findings) for name, findings in found.items()}
    impaired = [name for name, status in statuses.items() if status in ("Degraded", "Severe")]
    warned = [name for name, status in statuses.items() if status == "Warning"]
    if impaired:
        yield from _impaired(facts, {name: found[name] for name in impaired}, total)
    if warned:
        status = "Warning" if 2 * len(warned) >= total else "Info"
        yield Finding(status, f"Warnings {_on(len(warned), total)}.", "instances")
        yield from _details(found, warned, status)
    if statuses and all(status == "Unknown" for status in statuses.values()):
        yield Finding("Unknown", "No health check has ended on any instance yet.", "data")


def _impaired(facts: Facts, found: dict[str, list[Finding]], total: int) -> Iterator[Finding]:
    is_severe = any(worst(findings) == "Severe" for findings in found.values())
    if len(found) == total:
        status = "Severe" if is_severe else "Degraded"
    else:
        status = "Degraded" if 2 * len(found) >= total else "Warning"
    environment = facts.environment
    expected = f'Expected version "{environment.version}" (deployment {environment.revision}).'
    for kind, words in (
        ("services", "Impaired services {on}."),
        ("balancer", "The load balancer's health check fails {on}."),
        ("version", "Incorrect application version found {on}. " + expected),
        ("traffic", "Too many errors or slow answers {on}."),
    ):
        count = sum(any(one.kind == kind and _is_bad(one) for one in findings) for findings in found.values())
        if count:
            yield Finding(status, words.format(on=_on(count, total)), "instances")
    yield from _details(found, list(found), status)


def _is_bad(finding: Finding) -> bool:
    return finding.status in ("Degraded", "Severe")


def _details(found: dict[str, list[Finding]], names: Sequence[str], status: str) -> Iterator[Finding]:
    """What is wrong with the first few of them, other than their version, which is told for all."""
    for name in names[:_DETAILS]:
        for one in found[name]:
            if rank_of(one.status) >= rank_of("Warning") and one.kind != "version":
                yield Finding(status, f"{name}: {one.sentence}", "instances")


def _of_accessories(facts: Facts) -> Iterator[Finding]:
    if facts.working and facts.environment.status in ("Launching", "Terminating"):
        return
    for service in facts.accessories:
        for one in service_findings(service, facts.now):
            yield one._replace(sentence=f"Accessory {one.sentence}")


def _of_traffic(facts: Facts) -> Iterator[Finding]:
    if _is_in_maintenance(facts):
        return
    yield from answered(facts.stats, facts.seconds)
    requests = facts.stats.requests
    if facts.unreached and requests:
        share = 100 * facts.unreached / requests
        yield Finding("Ok", f"{share:.1f} % of the requests reached no instance.", "traffic")


def _of_machine(facts: Facts) -> Iterator[Finding]:
    machine = facts.machine
    if machine.memory >= 95:
        yield Finding("Warning", f"{machine.memory:.0f} % of the machine's memory is in use.", "machine")
    if machine.load > 4 * machine.processors:
        noun = "processor" if machine.processors == 1 else "processors"
        words = f"The machine's load is {machine.load:.1f} with {machine.processors} {noun}."
        yield Finding("Ok", words, "machine")


def _of_deployment(facts: Facts) -> Iterator[Finding]:
    last = facts.deployment
    if last is None or not last.ended or facts.operation is not None:
        return
    since = facts.now - last.ended / 1e9
    what = f"{_KINDS.get(last.kind, 'Application deployment')} {last.number} (version {last.after_version})"
    cause = f": {last.cause.rstrip('.')}" if last.cause else ""
    if last.result == "broken":
        yield Finding("Warning", f"{what} failed {ago(since)} ago and was not taken back{cause}.", "deployment")
    elif last.result in ("failed", "aborted") and since < _FAILURE_SECONDS:
        verb = "was aborted" if last.result == "aborted" else "failed"
        yield Finding("Info", f"{what} {verb} {ago(since)} ago and was taken back{cause}.", "deployment")
    yield from _success(facts)


def _success(facts: Facts) -> Iterator[Finding]:
    last = facts.deployment
    if last is None or last.result != "succeeded" or facts.now - last.ended / 1e9 >= _NOTE_SECONDS:
        return
    what = _KINDS.get(last.kind, "Application deployment")
    since, took = ago(facts.now - last.ended / 1e9), ago(last.seconds)
    yield Finding("Ok", f"{what} completed {since} ago and took {took}.", "deployment")


def _on(count: int, total: int) -> str:
    """On how many instances, in Beanstalk's words."""
    if count >= total:
        return "on all instances"
    return f"on {count} out of {total} instances"
