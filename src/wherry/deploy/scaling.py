"""Whether an environment needs another number of instances, from what was measured. Pure.

What is measured (`scale.measure`), averaged over the instances that get requests:
- cpu: percent of one core that an instance takes (of all its services)
- memory: MiB that an instance takes
- requests: per second and instance
- latency: p95 of the environment's answers in milliseconds, until the last byte

Time is looked at in periods (`scale.period`), each with its average. A threshold is passed where all periods of the
last `scale.breach` seconds lie beyond it; only what was measured since the last change of the count says anything.
"""

from __future__ import annotations

from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from wherry.deploy.settings import Settings

__all__ = ["UNITS", "Decision", "Rule", "Sample", "decide", "reach_back", "rule_of"]

UNITS = {
    "cpu": "percent of one core",
    "memory": "MiB",
    "requests": "requests per second",
    "latency": "ms",
}
_SHARED = ("cpu", "requests")  # what is divided among the instances, so that fewer have more of it each


class Rule(NamedTuple):
    """The settings `scale.*` and `min`, `max`; a threshold that is None is never passed. Times in seconds."""

    measure: str
    upper: float | None
    lower: float | None
    period: float
    breach: float
    increment: int
    cooldown: float
    least: int
    most: int
    decrement: int = 1


class Sample(NamedTuple):
    """A measurement; `time` is seconds since 1970."""

    time: float
    value: float


class Decision(NamedTuple):
    """How many instances there are to be, and why, as a sentence."""

    size: int
    reason: str


def rule_of(settings: Settings) -> Rule | None:
    """What an environment is scaled by; None where it is not."""
    measure = settings.text("scale.measure")
    upper, lower = settings.optional("scale.upper"), settings.optional("scale.lower")
    if not measure or (upper is None and lower is None):
        return None
    return Rule(
        measure,
        upper,
        lower,
        settings.number("scale.period"),
        settings.number("scale.breach"),
        settings.count("scale.increment"),
        settings.number("scale.cooldown"),
        settings.count("min"),
        settings.count("max"),
        settings.count("scale.decrement"),
    )


def reach_back(rule: Rule) -> float:
    """How many seconds of measurements a decision needs."""
    return _count(rule) * max(rule.period, 20.0)


def decide(rule: Rule, size: int, samples: Sequence[Sample], now: float, changed: float = 0.0) -> Decision | None:
    """What to do about `size` instances at `now`; None for nothing.

    `changed` is when their count last changed. There is no decision within the cooldown, none without measurements of
    every period since then, and none that would leave `least` to `most`.
    """
    if now - changed < rule.cooldown:
        return None
    averages = _averages(rule, [one for one in samples if one.time > changed], now)
    if averages is None:
        return None
    if rule.upper is not None and min(averages) > rule.upper:
        wanted = min(rule.most, size + rule.increment)
        return _decision(rule, wanted, "above", rule.upper, averages) if wanted > size else None
    if rule.lower is not None and max(averages) < rule.lower:
        wanted = _fewer(rule, size, averages)
        return _decision(rule, wanted, "below", rule.lower, averages) if wanted < size else None
    return None


_ROUNDING = 1e-9  # of averages: a load that is the upper threshold's must not make one instance fewer, then one more


def _count(rule: Rule) -> int:
    """How many periods have to lie beyond a threshold."""
    return max(1, -int(-rule.breach // rule.period))


def _averages(rule: Rule, samples: Sequence[Sample], now: float) -> list[float] | None:
    """Of each period back from now, the last one first; None where nothing was measured in one, or not from the
    beginning of the first one on."""
    count = _count(rule)
    sums, counts = [0.0] * count, [0] * count
    for one in samples:
        index = int((now - one.time) // rule.period)
        if 0 <= index < count:
            sums[index] += one.value
            counts[index] += 1
    oldest = max((now - one.time for one in samples), default=0.0)
    if not all(counts) or oldest < (count - 0.5) * rule.period:
        return None
    return [total / number for total, number in zip(sums, counts, strict=True)]


def _fewer(rule: Rule, size: int, averages: Sequence[float]) -> int:
    """As many fewer as can go without those that stay passing the upper threshold for having their part as well."""
    wanted = max(rule.least, size - rule.decrement)
    if rule.upper is not None and rule.measure in _SHARED:
        bearable = rule.upper * (1 - _ROUNDING)
        while wanted < size and max(averages) * size / max(wanted, 1) > bearable:
            wanted += 1
    return wanted


def _decision(rule: Rule, size: int, side: str, threshold: float, averages: Sequence[float]) -> Decision:
    average = sum(averages) / len(averages)
    seconds = f"{_count(rule) * rule.period:g} seconds"
    unit = UNITS[rule.measure]
    words = f"{rule.measure} was {side} {threshold:g} {unit} for {seconds} ({average:.4g} on average)"
    return Decision(size, words)
