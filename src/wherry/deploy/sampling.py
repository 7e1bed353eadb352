"""Looking at all environments at once: what they are judged by, and what is kept of it as series.

Series of an instance: `cpu` (percent of one core) and `memory` (MiB); while it gets requests also `requests` (per
second) and `latency` (p95 in milliseconds). Of an environment: `cpu` and `memory` on average of the instances that
serve, `instances` (how many serve), `requests` (per second in all), and while there are any `latency` (p95) and
`errors` (percent of answers that were 5xx); `scale.MEASURE` where it is scaled, as `scaling` wants it.
"""

from __future__ import annotations

from wherry.base.errors import WherryError
from wherry.base.values import NamedTuple
from wherry.deploy.assessing import Look, gather, read_machine
from wherry.deploy.scaling import rule_of
from wherry.deploy.series import Measured
from wherry.deploy.settings import Settings
from wherry.deploy.traffic import RequestStats

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from wherry.deploy.health import Facts, Machine
    from wherry.deploy.model import Environment
    from wherry.deploy.parts import Parts
    from wherry.deploy.target import ObservedInstance
    from wherry.deploy.traffic import Window

__all__ = ["MIB", "Sampler", "Taken"]

MIB = 1 << 20
_SAMPLE_SECONDS = 10.0  # requests that one point of a series is of, at least
_HEALTH_SECONDS = 60.0  # requests that health is judged by
_NOTHING = RequestStats()


class Taken(NamedTuple):
    """One look at an environment: the facts, and what was measured."""

    facts: Facts
    values: tuple[Measured, ...]


class Sampler:
    """Takes looks, one after the other; CPU is the difference of two. `window` holds the last requests."""

    def __init__(self, parts: Parts, window: Window, machine: Callable[[], Machine] = read_machine) -> None:
        self._parts = parts
        self._window = window
        self._machine = machine
        self._used: dict[str, tuple[float, float]] = {}  # by container: when, and seconds of CPU in all
        self._rates: dict[str, float] = {}  # by container: percent of one core
        self._last = 0.0

    def take(self, environments: Sequence[Environment]) -> dict[str, Taken]:
        """A look at each of these environments; one whose records cannot be read is left out."""
        now = self._parts.clock() / 1e9
        observed, trouble = self._observe()
        self._measure(observed, now)
        seconds = min(_HEALTH_SECONDS, max(_SAMPLE_SECONDS, now - self._last))
        self._last = now
        recent, judged = self._window.stats(now - seconds), self._window.stats(now - _HEALTH_SECONDS)
        sections, states = self._parts.balancer.sections(), self._parts.balancer.all_states()
        running, machine = any(states.values()) or self._parts.balancer.running(), self._machine()
        taken = {}
        for one in environments:
            section = sections.get(one.name)
            look = Look(
                observed.get(one.name, ()),
                states.get(one.name, ()),
                judged.get(one.name, {}),
                _HEALTH_SECONDS,
                self._cpus(observed.get(one.name, ())),
                section is None or bool(section.rules),
                running,
                machine,
                trouble,
            )
            facts = gather(self._parts, one, look)
            taken[one.name] = Taken(facts, tuple(_values(facts, recent.get(one.name, {}), seconds)))
        return taken

    def _observe(self) -> tuple[dict[str, list[ObservedInstance]], str]:
        try:
            return self._parts.target.observe_all(), ""
        except WherryError as error:
            return {}, error.message

    def _measure(self, observed: Mapping[str, Sequence[ObservedInstance]], now: float) -> None:
        used, rates = {}, {}
        for instances in observed.values():
            for one in (service for instance in instances for service in instance.services):
                if one.status != "running":
                    continue
                used[one.container] = now, one.cpu_seconds
                before = self._used.get(one.container)
                if before is not None and now > before[0]:
                    # A container that was restarted counts from zero again.
                    rates[one.container] = max(0.0, 100 * (one.cpu_seconds - before[1]) / (now - before[0]))
        self._used, self._rates = used, rates

    def _cpus(self, instances: Iterable[ObservedInstance]) -> dict[str, float]:
        """By instance, for those of whose running containers something is known."""
        found = {}
        for one in instances:
            rates = [self._rates[each.container] for each in one.services if each.container in self._rates]
            if one.name and rates:
                found[one.name] = sum(rates)
        return found


def _values(facts: Facts, stats: Mapping[str, RequestStats], seconds: float) -> Iterator[Measured]:
    environment, now = facts.environment.name, facts.now
    if facts.trouble:
        return

    def value(name: str, number: float, subject: str = "") -> Measured:
        return Measured(environment, subject, name, now, number)

    for one in facts.instances:
        if one.cpu is not None:
            yield value("cpu", one.cpu, one.name)
        if one.memory:
            yield value("memory", one.memory / MIB, one.name)
        mine = stats.get(one.name, _NOTHING)
        if mine.requests:
            yield value("requests", mine.requests / seconds, one.name)
            yield value("latency", mine.p95, one.name)
    for name, number in _sums(facts, stats.get("", _NOTHING), seconds):
        yield value(name, number)


def _sums(facts: Facts, stats: RequestStats, seconds: float) -> Iterator[tuple[str, float]]:
    serving = [one for one in facts.instances if one.serves]
    cpus = [one.cpu for one in serving if one.cpu is not None]
    memories = [one.memory / MIB for one in serving if one.memory]
    found = {
        "instances": float(len(serving)),
        "requests": stats.requests / seconds,
        **({"cpu": sum(cpus) / len(cpus)} if cpus else {}),
        **({"memory": sum(memories) / len(memories)} if memories else {}),
    }
    yield from found.items()
    if stats.requests:
        yield "latency", stats.p95
        yield "errors", stats.share(5)
    rule = rule_of(Settings(facts.environment.settings))
    if rule is not None and serving:
        each = {**found, "requests": found["requests"] / len(serving), "latency": stats.p95}
        if rule.measure in each:
            yield f"scale.{rule.measure}", each[rule.measure]
