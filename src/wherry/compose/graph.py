"""The order among services that `depends_on` and its kin give. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["dependents", "find_cycle", "in_order", "with_dependencies"]


def find_cycle(edges: Mapping[str, Iterable[str]]) -> list[str]:
    """The names along a circle, the first again at its end; empty where there is none."""
    done: set[str] = set()
    for start in sorted(edges):
        trail: list[str] = []
        cycle = _walk(start, edges, trail, done)
        if cycle:
            return cycle
    return []


def _walk(name: str, edges: Mapping[str, Iterable[str]], trail: list[str], done: set[str]) -> list[str]:
    if name in done:
        return []
    if name in trail:
        return [*trail[trail.index(name) :], name]
    trail.append(name)
    for other in sorted(edges.get(name, ())):
        cycle = _walk(other, edges, trail, done)
        if cycle:
            return cycle
    trail.pop()
    done.add(name)
    return []


def in_order(edges: Mapping[str, Iterable[str]]) -> list[str]:
    """All names, each after those that it depends on, otherwise by name. The graph has no circle."""
    ordered: list[str] = []

    def visit(name: str) -> None:
        if name in ordered or name not in edges:
            return
        for other in sorted(edges[name]):
            visit(other)
        ordered.append(name)

    for name in sorted(edges):
        visit(name)
    return ordered


def with_dependencies(names: Iterable[str], edges: Mapping[str, Iterable[str]]) -> set[str]:
    """The names and everything that they depend on."""
    reached: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in reached and name in edges:
            reached.add(name)
            waiting += edges[name]
    return reached


def dependents(edges: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """The same edges the other way round: who depends on each name."""
    reverse: dict[str, set[str]] = {name: set() for name in edges}
    for name, others in edges.items():
        for other in others:
            if other in reverse:
                reverse[other].add(name)
    return reverse
