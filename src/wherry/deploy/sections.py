"""From an environment's rows and what its instances are to what it wants of the balancer. Pure.

While two revisions serve at once (rolling, a trial), hosts and paths are those of the current revision as long as any
instance of it serves: its replacement's come into force with the last of them gone.
"""

from __future__ import annotations

from wherry.base.values import NamedTuple
from wherry.deploy.routing import HEAVIEST, Check, Pool, Rule, Section, Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from wherry.deploy.extension import Extension, Route
    from wherry.deploy.model import Environment, Instance
    from wherry.deploy.routing import Certificate
    from wherry.deploy.settings import Settings
    from wherry.deploy.target import ObservedInstance, ObservedService

__all__ = [
    "Endpoint",
    "addresses_of",
    "build_section",
    "check_of",
    "endpoints",
    "hosts_of",
    "is_pool_of",
    "with_last_addresses",
]


class Endpoint(NamedTuple):
    """Where instances of a revision answer: a pool's name, the route to it, and how it is asked whether it is well."""

    pool: str
    route: Route
    check: Check


def check_of(route: Route, settings: Settings) -> Check:
    """How instances are asked: what was set for the environment, else what the project says, else the defaults."""
    said = {name: value for name, value in route.health.items() if f"health.{name}" not in settings.given}

    def number(name: str) -> float:
        return float(said.get(name, settings.number(f"health.{name}")))

    return Check(
        path=str(said.get("path", settings.text("health.path"))),
        codes=str(said.get("codes", settings.text("health.codes"))),
        interval=number("interval"),
        timeout=number("timeout"),
        healthy=int(number("healthy")),
        unhealthy=int(number("unhealthy")),
    )


def endpoints(extension: Extension, settings: Settings) -> list[Endpoint]:
    """One for each service and port that gets requests; named as the service, where it answers alike on all its routes.

    Routes to one port of a service share a pool; its stickiness and check are the first one's.
    """
    found: dict[tuple[str, int], Endpoint] = {}
    ports: dict[str, set[int]] = {}
    for route in extension.routes:
        ports.setdefault(route.service, set()).add(route.port)
    for route in extension.routes:
        name = route.service if len(ports[route.service]) == 1 else f"{route.service}-{route.port}"
        found.setdefault((route.service, route.port), Endpoint(name, route, check_of(route, settings)))
    return list(found.values())


def hosts_of(environment: Environment, extension: Extension) -> list[str]:
    """The hosts that the routes are for, the environment's own among them, without repetition."""
    return list(dict.fromkeys(route.host or environment.host for route in extension.routes))


def addresses_of(instance: ObservedInstance | None, service: str) -> list[str]:
    """Where the balancer reaches the replicas of a service of an instance; empty for one that does not run."""
    return [one.address for one in instance.services if one.service == service] if instance else []


def with_last_addresses(
    observed: Mapping[str, ObservedInstance], section: Section | None
) -> dict[str, ObservedInstance]:
    """The instances, where services that have no address now have the one that the balancer's section has for them.

    A container that is between two runs comes back at its address, which nobody else is given meanwhile: a server that
    were taken out of its pool would stay out.
    """
    pools = section.pools if section else ()

    def completed(instance: ObservedInstance) -> Iterator[ObservedService]:
        taken = {one.address for one in instance.services}
        for one in instance.services:
            last = [
                server.address
                for pool in pools
                if is_pool_of(pool.name, one.service)
                for server in pool.servers
                if server.instance == instance.name and server.address not in taken
            ]
            if one.address or not last:
                yield one
            else:
                taken.add(last[0])
                yield one._replace(address=last[0])

    return {name: one._replace(services=tuple(completed(one))) for name, one in observed.items()}


def is_pool_of(pool: str, service: str) -> bool:
    """Whether a pool is named after the service, or after it and a port."""
    return pool == service or (pool.startswith(f"{service}-") and pool[len(service) + 1 :].isdigit())


def build_section(
    environment: Environment,
    settings: Settings,
    rows: Sequence[Instance],
    extensions: Mapping[int, Extension],
    observed: Mapping[str, ObservedInstance],
    certificates: Sequence[Certificate] = (),
) -> Section:
    """What the environment wants. `extensions` are those of the rows' revisions and of the current one.

    An instance is in a pool where its row has a weight and its service runs, with as many servers as it has replicas
    that run. Its replicas share its weight, so that how many a version has does not count for its share; the share of
    one that does not run is left out, so that the others are not overloaded.
    """
    present = [one for one in rows if one.weight]
    revision = _ruling(environment, present)
    if revision not in extensions:
        return Section(environment.name, maintenance=settings.on("maintenance"))
    ruling = extensions[revision]
    pools = []
    for endpoint in endpoints(ruling, settings):
        places = [
            (one, addresses_of(observed.get(one.name), found.route.service), found.route.port)
            for one in present
            if (found := _named(endpoint, extensions[one.revision], settings))
        ]
        scale = _scale(places)
        servers = [
            Server(one.name, address, port, max(1, round(one.weight * scale / len(addresses))), one.draining)
            for one, addresses, port in places
            for address in addresses
            if address
        ]
        check = endpoint.check._replace(host=endpoint.route.host or environment.host)
        sticky = endpoint.route.sticky
        is_sticky = settings.on("sticky") if sticky is None else sticky
        pools.append(Pool(endpoint.pool, tuple(servers), check, is_sticky))
    return Section(
        environment.name,
        _rules(environment, ruling, settings, secure=settings.on("redirect") and bool(certificates)),
        tuple(pools),
        tuple(certificates),
        settings.on("maintenance"),
    )


def _scale(places: Sequence[tuple[Instance, list[str], int]]) -> float:
    """What weights are multiplied by, so that they can be divided by replicas; no more than HAProxy has room for."""
    from math import lcm

    whole = lcm(*(len(addresses) for _, addresses, _ in places if addresses))
    most = max((one.weight * whole / len(addresses) for one, addresses, _ in places if addresses), default=0.0)
    return whole * min(1.0, HEAVIEST / most) if most else 1.0


def _ruling(environment: Environment, present: Sequence[Instance]) -> int:
    """The revision whose routes hold: the current one, unless only others serve."""
    weights: dict[int, int] = {}
    for one in present:
        if one.serves:
            weights[one.revision] = weights.get(one.revision, 0) + one.weight
    if not weights or environment.revision in weights:
        return environment.revision
    return max(weights, key=lambda revision: (weights[revision], revision))


def _named(endpoint: Endpoint, extension: Extension, settings: Settings) -> Endpoint | None:
    """The endpoint of another revision that takes the place of this one: by its name, else by its service."""
    others = endpoints(extension, settings)
    for one in others:
        if one.pool == endpoint.pool:
            return one
    return next((one for one in others if one.route.service == endpoint.route.service), None)


def _rules(environment: Environment, extension: Extension, settings: Settings, *, secure: bool) -> tuple[Rule, ...]:
    """`secure` only where there is a certificate: nobody is sent to where a browser stops."""
    names = {(one.route.service, one.route.port): one.pool for one in endpoints(extension, settings)}
    return tuple(
        Rule(one.host or environment.host, one.path, names[one.service, one.port], secure) for one in extension.routes
    )
