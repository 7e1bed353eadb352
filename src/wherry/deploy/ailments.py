"""What is wrong with an instance, as findings: a status and a sentence each. Pure.

Shares, latencies and resources have fixed thresholds (docs/health.md lists them); there have to be enough requests
for a share or a percentile to say anything.
"""

from __future__ import annotations

from wherry.base.values import NamedTuple
from wherry.deploy.traffic import RequestStats

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wherry.deploy.commands import Command
    from wherry.deploy.routing import ServerState
    from wherry.deploy.target import ObservedService

    Limits = tuple[tuple[float, str], ...]

__all__ = [
    "FEWEST",
    "STEADY_SECONDS",
    "Circumstances",
    "Finding",
    "InstanceFacts",
    "ago",
    "answered",
    "color_of",
    "instance_findings",
    "rank_of",
    "service_findings",
    "worst",
]

FEWEST = 20  # requests that a share or a percentile is judged by
STEADY_SECONDS = 300  # after which a restart is forgotten
_RANKS = {
    "Ok": 0,
    "Info": 1,
    "Pending": 3,
    "Unknown": 5,
    "NoData": 10,
    "Suspended": 12,
    "Warning": 15,
    "Degraded": 20,
    "Severe": 25,
}
_COLORS = {"Ok": "green", "Info": "green", "Warning": "yellow", "Degraded": "red", "Severe": "red"}
_FAILING: Limits = ((25.0, "Severe"), (10.0, "Degraded"), (2.0, "Warning"))  # percent of answers that are 5xx
_ERRING: Limits = ((50.0, "Severe"), (30.0, "Degraded"), (15.0, "Warning"))  # percent of answers that are 4xx
_SLOW90: Limits = ((30_000.0, "Severe"), (10_000.0, "Degraded"), (5_000.0, "Warning"))  # milliseconds
_SLOW99: Limits = ((10_000.0, "Warning"),)
_RESTARTS = ((3, "Degraded"), (1, "Warning"))
_FULL = 95.0  # percent of what a limit allows


class Finding(NamedTuple):
    """`kind` says what it is about: services, balancer, version, traffic, resources, command, data and so on."""

    status: str
    sentence: str
    kind: str


class InstanceFacts(NamedTuple):
    """One instance. `cpu` is percent of one core over the last seconds, None where it is not known, and `cpu_limit`
    what it can be at most, 0 where nobody knows. `stats` is of the last `seconds`."""

    name: str
    version: str
    revision: int
    serves: bool = True
    draining: bool = False
    services: tuple[ObservedService, ...] = ()
    servers: tuple[ServerState, ...] = ()
    stats: RequestStats = RequestStats()
    seconds: float = 60.0
    cpu: float | None = None
    cpu_limit: float = 0.0

    @property
    def memory(self) -> int:
        """Bytes that its containers take."""
        return sum(one.memory for one in self.services)


class Circumstances(NamedTuple):
    """What instances are judged under. `timeout` (seconds) is how long a command may take; `version` and `deployment`
    are what is expected. `routed` is whether the balancer is to be heard, `busy` whether an operation is under way,
    `counts_errors` whether requests are judged."""

    now: float
    timeout: float
    version: str
    deployment: int
    routed: bool = True
    busy: bool = False
    counts_errors: bool = True


def rank_of(status: str) -> int:
    """How bad a status is; the numbers of those that Beanstalk has a number for are Beanstalk's."""
    return _RANKS[status]


def color_of(status: str) -> str:
    """The colour of a status."""
    return _COLORS.get(status, "grey")


def worst(findings: Iterable[Finding]) -> str:
    """The worst status among findings; Ok for none."""
    return max((one.status for one in findings), key=rank_of, default="Ok")


def instance_findings(one: InstanceFacts, command: Command | None, around: Circumstances) -> list[Finding]:
    """All about an instance; nothing but the command where one is executing on it within its time."""
    if command is not None and command.seconds <= around.timeout:
        return [Finding("Pending", command.sentence, "command")]
    found = [Finding("Warning", command.sentence, "command")] if command is not None else []
    if not one.services:
        return [*found, Finding("Severe", "None of its containers are there any more.", "services")]
    for service in one.services:
        found += service_findings(service, around.now)
    if around.routed:
        found += _of_servers(one)
    if not around.busy and one.revision != around.deployment:
        found.append(_of_version(one, around))
    if around.counts_errors:
        found += answered(one.stats, one.seconds)
    return [*found, *_of_resources(one)]


# --- containers


def service_findings(service: ObservedService, now: float) -> list[Finding]:
    """What is wrong with a container, of an instance or an accessory."""
    name = service.service
    killed = ", killed for want of memory" if service.oom_killed else ""
    if service.status in ("exited", "dead"):
        if service.status == "exited" and not service.exit_code:
            return []  # it has done its work
        return [Finding("Severe", f"{name} exited with code {service.exit_code}{killed}.", "services")]
    if service.status == "restarting":
        words = (
            f"{name} exited with code {service.exit_code}{killed} and is restarted ({_times(service.restarts + 1)})."
        )
        return [Finding("Severe", words, "services")]
    if service.status == "paused":
        return [Finding("Warning", f"{name} is paused.", "services")]
    if service.status != "running":
        return [Finding("Pending", f"{name} is not running yet ({service.status}).", "services")]
    return [*_of_restarts(service, now, killed), *_of_own_check(service), *_of_memory(service)]


def _of_restarts(service: ObservedService, now: float, killed: str) -> Iterator[Finding]:
    up = now - service.started
    if not service.restarts or up >= STEADY_SECONDS:
        return
    status = next(status for least, status in _RESTARTS if service.restarts >= least)
    words = f"{service.service} was restarted {_times(service.restarts)}, last {ago(up)} ago{killed}."
    yield Finding(status, words, "services")


def _of_own_check(service: ObservedService) -> Iterator[Finding]:
    if service.health == "unhealthy":
        yield Finding("Degraded", f"{service.service} calls itself unhealthy: its own health check fails.", "services")
    elif service.health == "starting":
        yield Finding("Pending", f"{service.service} is starting: its own health check has not passed yet.", "services")


def _of_memory(service: ObservedService) -> Iterator[Finding]:
    if service.memory_limit and (used := 100 * service.memory / service.memory_limit) >= _FULL:
        yield Finding("Warning", f"{service.service}: {used:.0f} % of memory is in use.", "resources")


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


# --- the load balancer


def _of_servers(one: InstanceFacts) -> Iterator[Finding]:
    if one.draining:
        yield Finding("Info", "It gets no new requests; those under way end.", "balancer")
        return
    if not one.serves:
        yield Finding("Info", "It gets no requests.", "balancer")
        return
    if not one.servers:
        yield Finding("Severe", "The load balancer does not have it.", "balancer")
        return
    down = [state for state in one.servers if state.status == "down"]
    for state in down:
        status = "Severe" if len(down) == len(one.servers) else "Degraded"
        since = f" (for {ago(state.changed)})" if state.changed >= 1 else ""
        reason = state.reason or "the load balancer's health check fails"
        replicas = sum(other.pool == state.pool for other in one.servers)
        where = f"{state.pool} at {state.address}" if replicas > 1 else state.pool
        yield Finding(status, f"{where}: {reason}{since}.", "balancer")
    if all(state.status == "unchecked" for state in one.servers):
        yield Finding("Unknown", "No health check has ended yet.", "balancer")


def _of_version(one: InstanceFacts, around: Circumstances) -> Finding:
    words = f'Incorrect application version "{one.version}" (deployment {one.revision}).'
    expected = f'Expected version "{around.version}" (deployment {around.deployment}).'
    return Finding("Degraded", f"{words} {expected}", "version")


# --- requests


def answered(stats: RequestStats, seconds: float) -> Iterator[Finding]:
    """What is wrong with how requests were answered; with fewer than `FEWEST`, it is told and does not count."""
    found = list(_of_answers(stats))
    if found and stats.requests < FEWEST:
        rate = 60 * stats.requests / max(seconds, 1.0)
        found = [one._replace(status="Ok") for one in found if one.kind == "errors"]
        words = f"Insufficient request rate ({rate:.1f} requests/min) to determine application health."
        found += [Finding("Ok", words, "traffic")] if found else []
    yield from (one._replace(kind="traffic") for one in found)


def _of_answers(stats: RequestStats) -> Iterator[Finding]:
    for kind, limits, words in (
        (5, _FAILING, "% of the requests are failing with HTTP 5xx."),
        (4, _ERRING, "% of the requests are erroring with HTTP 4xx."),
    ):
        share = stats.share(kind)
        if status := _beyond(share, limits):
            yield Finding(status, f"{share:.1f} {words}", "errors")
    for name, value, slow in (("90", stats.p90, _SLOW90), ("99", stats.p99, _SLOW99)):
        if status := _beyond(value, slow):
            words = f"{name} % of the requests were answered within {value / 1000:.1f} seconds, the rest took longer."
            yield Finding(status, words, "latency")
            return


def _beyond(value: float, limits: Limits) -> str:
    return next((status for limit, status in limits if value >= limit), "")


# --- resources


def _of_resources(one: InstanceFacts) -> Iterator[Finding]:
    if one.cpu is not None and one.cpu_limit and (used := 100 * one.cpu / one.cpu_limit) >= _FULL:
        yield Finding("Warning", f"{min(used, 100):.0f} % of CPU is in use.", "resources")


def ago(seconds: float) -> str:
    """A duration as Beanstalk words one: `1 second`, `23 seconds`, `3 minutes`, `2 hours`, `4 days`."""
    whole = max(0, int(seconds))
    for size, noun in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if whole >= size or size == 1:
            count = whole // size
            return f"{count} {noun}{'' if count == 1 else 's'}"
    raise AssertionError
