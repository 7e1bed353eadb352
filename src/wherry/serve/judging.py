"""How an environment does, by what the balancer says of its instances, what they answered, and what they use."""

from __future__ import annotations

import threading

from wherry.base.values import NamedTuple
from wherry.deploy.exclusion import Exclusion
from wherry.deploy.status import take_status
from wherry.deploy.traffic import RequestStats, summarize
from wherry.serve.looking import InstanceHealth, Look

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.deploy.parts import Parts
    from wherry.deploy.status import InstanceStatus, Status

__all__ = ["Looking", "Speeds", "judge_environment", "judge_instance"]

_SECONDS = 60.0  # that requests are looked back on
_NONE = RequestStats()


class Verdict(NamedTuple):
    """A colour (green, yellow, red, grey), a status (Ok, Warning, Degraded, Severe, Pending) and why."""

    color: str
    status: str
    causes: tuple[str, ...] = ()


class Speeds:
    """How fast totals grow, by what they are totals of. Any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[object, tuple[float, float]] = {}  # seconds, total

    def speed(self, subject: object, seconds: float, total: float) -> float:
        """Per second since the last time; 0 the first time, and where the total began anew."""
        with self._lock:
            before, held = self._seen.get(subject, (seconds, total))
            self._seen[subject] = seconds, total
        return max(0.0, total - held) / (seconds - before) if seconds > before else 0.0

    def keep(self, environment: str, instances: set[str]) -> None:
        """Forget the environment's other instances."""
        with self._lock:
            gone = [one for one in self._seen if one[0] == environment and one[1] not in instances]  # type: ignore[index]
            for one in gone:
                del self._seen[one]


class Looking:
    """Looks at the environments of an installation."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._exclusion = Exclusion(parts, lambda _: None, wait=False)
        self._speeds = Speeds()

    def look(self, name: str) -> Look:
        """Raises NotFound."""
        status = take_status(self._parts, name, working=self._exclusion.is_held(name))
        now = self._parts.clock() / 1e9
        stats = summarize(self._parts.balancer.access(name, now - _SECONDS))
        self._speeds.keep(name, {one.instance.name for one in status.instances})
        instances = tuple(
            self._instance(status, one, stats.get(one.instance.name, _NONE), now) for one in status.instances
        )
        total = stats.get("", _NONE)
        return Look(status, *judge_environment(status, instances, total), instances, total, _SECONDS)

    def _instance(self, status: Status, one: InstanceStatus, stats: RequestStats, now: float) -> InstanceHealth:
        services = one.observed.services if one.observed else ()
        used = sum(service.cpu_seconds for service in services)
        cpu = 100 * self._speeds.speed((status.environment.name, one.instance.name), now, used)
        memory = sum(service.memory for service in services)
        return InstanceHealth(one.instance.name, *judge_instance(one), stats, cpu, memory)


def judge_instance(one: InstanceStatus) -> Verdict:
    """By whether its containers run, and what the balancer's health check says."""
    services = one.observed.services if one.observed else ()
    ended = [service for service in services if service.status in ("exited", "dead")]
    if ended:
        return Verdict(
            "red", "Severe", tuple(f"{each.service} has ended with code {each.exit_code}." for each in ended)
        )
    if not one.instance.serves or one.observed is None:
        return Verdict("grey", "Pending")
    down = [server for server in one.servers if server.status == "down"]
    if down:
        return Verdict("red", "Severe", tuple(f"{server.pool}: {server.reason}." for server in down))
    return Verdict("green", "Ok") if one.servers else Verdict("grey", "Unknown")


def judge_environment(status: Status, instances: tuple[InstanceHealth, ...], total: RequestStats) -> Verdict:
    """By its instances, how many of them get requests, and the answers with 5xx."""
    found = status.environment
    if found.terminated:
        return Verdict("grey", "Unknown", ("The environment is terminated.",))
    bad = [one for one in instances if one.status == "Severe"]
    serving = sum(one.instance.serves for one in status.instances)
    causes = [f"{one.name}: {cause}" for one in bad for cause in one.causes]
    if not status.working and serving < found.size:
        causes.append(f"{serving} of {found.size} instances get requests.")
    if total.status[4]:
        causes.append(f"{total.share(5):.1f} % of the requests are failing with HTTP 5xx.")
    if not serving and not status.working:
        return Verdict("red", "Severe", tuple(causes))
    if not serving:
        return Verdict("grey", "Pending", tuple(causes))
    if bad or total.share(5) >= 5:
        all_bad = len(bad) == len(instances)
        return Verdict("red", "Severe" if all_bad else "Degraded", tuple(causes))
    return Verdict("yellow", "Warning", tuple(causes)) if causes else Verdict("green", "Ok")
