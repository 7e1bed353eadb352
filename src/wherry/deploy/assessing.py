"""Gathering what an environment's health is judged by: records, target, balancer, requests, and the machine."""

from __future__ import annotations

import os

from wherry.base.errors import WherryError
from wherry.base.progress import nobody
from wherry.base.values import NamedTuple
from wherry.deploy.ailments import InstanceFacts
from wherry.deploy.health import Facts, Machine, judge
from wherry.deploy.routing import by_instance
from wherry.deploy.traffic import RequestStats, summarize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from wherry.deploy.health import EnvironmentHealth
    from wherry.deploy.model import Environment, Instance
    from wherry.deploy.parts import Parts
    from wherry.deploy.routing import ServerState
    from wherry.deploy.target import ObservedInstance, ObservedService

__all__ = ["Look", "assess", "gather", "read_machine"]

_CPU_SECONDS = 30.0  # how old a measurement of CPU may be
_NOTHING = RequestStats()


class Look(NamedTuple):
    """What was seen of one environment. `stats` are of the last `seconds`, `cpus` percent of one core by instance.

    `routed` says whether requests are to reach it, `running` whether the balancer runs.
    """

    observed: Sequence[ObservedInstance] = ()
    states: Sequence[ServerState] = ()
    stats: Mapping[str, RequestStats] = {}  # noqa: RUF012 (a value is never changed)
    seconds: float = 60.0
    cpus: Mapping[str, float] = {}  # noqa: RUF012
    routed: bool = True
    running: bool = True
    machine: Machine = Machine()
    trouble: str = ""


def assess(
    parts: Parts, name: str, *, seconds: float = 60, machine: Callable[[], Machine] | None = None
) -> EnvironmentHealth:
    """How well an environment is now, by its requests of the last `seconds`. Raises NotFound.

    CPU is known where somebody (`wherry serve`) measures it.
    """
    environment = parts.records.environment(name)
    if environment.terminated:
        return judge(Facts(environment, parts.clock() / 1e9))
    observed, trouble = _observe(parts, name)
    section = parts.balancer.sections().get(name)
    look = Look(
        observed,
        parts.balancer.states(name),
        summarize(parts.balancer.access(name, parts.clock() / 1e9 - seconds)),
        seconds,
        _cpus(parts, name, (one.name for one in observed if one.name)),
        section is None or bool(section.rules),
        parts.balancer.running(),
        (machine or read_machine)(),
        trouble,
    )
    return judge(gather(parts, environment, look))


def gather(parts: Parts, environment: Environment, look: Look) -> Facts:
    """The facts of a look, with what the records say."""
    from wherry.deploy.exclusion import Exclusion

    records, name = parts.records, environment.name
    operation = records.journal.pending(name)
    observed = {one.name: one for one in look.observed}
    states = by_instance(look.states)
    return Facts(
        environment,
        parts.clock() / 1e9,
        tuple(
            _instance(row, observed.get(row.name), states.get(row.name, ()), look) for row in records.instances(name)
        ),
        observed[""].services if "" in observed else (),
        look.stats.get("", _NOTHING),
        _unreached(look.stats),
        look.seconds,
        operation,
        tuple(records.journal.steps(operation)) if operation else (),
        operation is not None and Exclusion(parts, nobody, wait=False).is_held(name),
        records.history.last(name),
        look.routed,
        look.running,
        look.machine,
        look.trouble,
    )


def _observe(parts: Parts, name: str) -> tuple[list[ObservedInstance], str]:
    try:
        return parts.target.observe(name), ""
    except WherryError as error:
        return [], error.message


def _instance(
    row: Instance, observed: ObservedInstance | None, states: Sequence[ServerState], look: Look
) -> InstanceFacts:
    services = observed.services if observed else ()
    return InstanceFacts(
        row.name,
        row.version,
        row.revision,
        row.serves,
        row.draining,
        services,
        tuple(states),
        look.stats.get(row.name, _NOTHING),
        look.seconds,
        look.cpus.get(row.name),
        _cpu_limit(services, look.machine.processors),
    )


def _cpu_limit(services: Sequence[ObservedService], processors: int) -> float:
    """Percent of one core that an instance can take: its services' limits, at most what the machine has."""
    return 100 * min(processors, sum(one.cpus or processors for one in services) or processors)


def _unreached(stats: Mapping[str, RequestStats]) -> int:
    """5xx that no instance answered."""
    every = stats.get("", _NOTHING).status[4]
    return every - sum(one.status[4] for instance, one in stats.items() if instance)


def _cpus(parts: Parts, environment: str, instances: Iterable[str]) -> dict[str, float]:
    from wherry.deploy.series import Series

    series = Series(parts.records.database, parts.clock)
    found = {one: series.latest(environment, "cpu", one, _CPU_SECONDS) for one in instances}
    return {name: value for name, value in found.items() if value is not None}


def read_machine() -> Machine:
    """This machine, now."""
    load = os.getloadavg()[1]
    return Machine(load, len(os.sched_getaffinity(0)), _memory_in_use())


def _memory_in_use() -> float:
    """Percent of the memory that is not available to programs."""
    found: dict[str, int] = {}
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                name, _, rest = line.partition(":")
                if name in ("MemTotal", "MemAvailable"):
                    found[name] = int(rest.split()[0])
                if len(found) == 2:
                    return 100 * (1 - found["MemAvailable"] / found["MemTotal"])
    except (OSError, ValueError, ZeroDivisionError):
        pass
    return 0.0
