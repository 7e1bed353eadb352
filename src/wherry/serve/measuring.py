"""What Prometheus is told: figures of environments and instances, as families of samples. Pure."""

from __future__ import annotations

from wherry.deploy.routing import by_pool
from wherry.serve.exposition import Family, Sample

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from wherry.deploy.health import EnvironmentHealth, InstanceHealth
    from wherry.deploy.model import Deployment
    from wherry.deploy.target import ObservedInstance
    from wherry.deploy.traffic import RequestStats
    from wherry.serve.looking import Look

    Labels = tuple[tuple[str, str], ...]

__all__ = ["families"]

_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
_QUANTILES = (("0.5", "p50"), ("0.75", "p75"), ("0.9", "p90"), ("0.95", "p95"), ("0.99", "p99"))
_RANKS = {"Ok": 0, "Info": 1, "Warning": 2, "Degraded": 3, "Severe": 4}
_RANK_WORDS = "0 Ok, 1 Info, 2 Warning, 3 Degraded, 4 Severe, -1 not known"


def families(looks: Sequence[Look], deployments: Mapping[str, Sequence[Deployment]]) -> Iterator[Family]:
    """All of them; `deployments` are by environment, the newest first."""
    yield from _environments(looks)
    yield from _deployments(looks, deployments)
    yield from _instances(looks)


def _environments(looks: Sequence[Look]) -> Iterator[Family]:
    def gauge(name: str, words: str, samples: Iterable[Sample]) -> Family:
        return Family(f"wherry_environment_{name}", "gauge", words, tuple(samples))

    yield gauge(
        "info",
        "What there is, as labels.",
        (
            Sample((*_of(one), ("application", found.application), ("version", found.version), ("host", found.host)), 1)
            for one in looks
            for found in (one.found.environment,)
        ),
    )
    yield gauge("health", f"Health: {_RANK_WORDS}.", (_health(_of(one), one.health) for one in looks))
    yield gauge(
        "instances_wanted",
        "Instances that are to run.",
        (Sample(_of(one), one.found.environment.size) for one in looks),
    )
    yield gauge("instances_running", "Instances that get requests.", (Sample(_of(one), one.serving) for one in looks))
    yield gauge(
        "operation_running",
        "Operations that are under way, by kind.",
        (
            Sample((*_of(one), ("kind", one.found.operation.kind)), 1)
            for one in looks
            if one.found.operation is not None
        ),
    )
    yield gauge(
        "requests_per_second",
        "Requests of the last minute, by class of their answers.",
        (sample for one in looks for sample in _rates(_of(one), one.health.stats, one.health.seconds)),
    )
    yield gauge(
        "latency_seconds",
        "Time until the last byte of answers of the last minute.",
        (sample for one in looks for sample in _latencies(_of(one), one.health.stats)),
    )


def _deployments(looks: Sequence[Look], deployments: Mapping[str, Sequence[Deployment]]) -> Iterator[Family]:
    counts, lasted, began = [], [], []
    for one in looks:
        ended = [each for each in deployments.get(one.name, ()) if each.result]
        for result in ("succeeded", "failed", "aborted", "broken"):
            labels = (*_of(one), ("result", result))
            counts.append(Sample(labels, sum(each.result == result for each in ended)))
        if ended:
            labels = (*_of(one), ("result", ended[0].result))
            lasted.append(Sample(labels, ended[0].seconds))
            began.append(Sample(labels, ended[0].started / 1e9))
    yield Family("wherry_deployments_total", "counter", "Deployments that have ended, by result.", counts)
    yield Family("wherry_deployment_last_duration_seconds", "gauge", "How long the last deployment took.", lasted)
    yield Family("wherry_deployment_last_started_seconds", "gauge", "When the last deployment began.", began)


def _instances(looks: Sequence[Look]) -> Iterator[Family]:
    def family(name: str, kind: str, words: str, samples: Iterable[Sample]) -> Family:
        return Family(f"wherry_instance_{name}", kind, words, tuple(samples))

    each = [((*_of(one), ("instance", health.name)), state, health) for one in looks for state, health in one.pairs]
    yield family(
        "health",
        "gauge",
        f"Health: {_RANK_WORDS}.",
        (_health(labels, health) for labels, _, health in each),
    )
    yield family(
        "weight", "gauge", "Share of the requests.", (Sample(labels, s.instance.weight) for labels, s, _ in each)
    )
    yield family(
        "requests_total",
        "counter",
        "Answered requests by pool and class, since the load balancer or the instance began.",
        (
            Sample((*labels, ("pool", pool), ("class", _CLASSES[index])), sum(one.responses[index] for one in servers))
            for labels, state, _ in each
            for pool, servers in by_pool(state.servers).items()
            for index in range(len(_CLASSES))
        ),
    )
    yield family(
        "failures_total",
        "counter",
        "Requests that got no answer, by pool.",
        (
            Sample((*labels, ("pool", pool)), sum(one.failures for one in servers))
            for labels, state, _ in each
            for pool, servers in by_pool(state.servers).items()
        ),
    )
    yield family(
        "latency_seconds",
        "gauge",
        "Time until the last byte of answers of the last minute.",
        (sample for labels, _, health in each for sample in _latencies(labels, health.stats)),
    )
    observed = [(labels, state.observed) for labels, state, _ in each if state.observed is not None]
    yield family(
        "cpu_seconds_total",
        "counter",
        "Processor time that its containers have used.",
        (Sample(labels, _sum(found, "cpu_seconds")) for labels, found in observed),
    )
    yield family(
        "memory_bytes",
        "gauge",
        "Memory that its containers use.",
        (Sample(labels, _sum(found, "memory")) for labels, found in observed),
    )
    yield family(
        "restarts_total",
        "counter",
        "How often its containers were restarted because they had ended.",
        (Sample(labels, _sum(found, "restarts")) for labels, found in observed),
    )


def _of(look: Look) -> Labels:
    return (("environment", look.name),)


def _health(labels: Labels, judged: EnvironmentHealth | InstanceHealth) -> Sample:
    return Sample((*labels, ("status", judged.status), ("color", judged.color)), _RANKS.get(judged.status, -1))


def _rates(labels: Labels, found: RequestStats, seconds: float) -> Iterator[Sample]:
    for index, count in enumerate(found.status):
        yield Sample((*labels, ("class", _CLASSES[index])), round(count / seconds, 4))


def _latencies(labels: Labels, found: RequestStats) -> Iterator[Sample]:
    for quantile, field in _QUANTILES if found.requests else ():
        yield Sample((*labels, ("quantile", quantile)), round(getattr(found, field) / 1000, 6))


def _sum(observed: ObservedInstance, field: str) -> float:
    return float(sum(getattr(one, field) for one in observed.services))
