"""What HAProxy has to hold so that the applied sections hold: servers by slot, maps, certificates. Pure."""

from __future__ import annotations

from hashlib import sha256

from wherry.base.values import NamedTuple
from wherry.deploy.codes import status_prefixes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from wherry.deploy.haproxy.applied import Applied
    from wherry.deploy.routing import Check, Pool, Section, Server

__all__ = ["CHALLENGES", "MAPS", "Wanted", "WantedServer", "cookie", "instance_prefix", "server_name", "wanted"]

_IDLE_CONNECTIONS = 1000
MAPS = ("hosts", "routes", "checks", "check-hosts", "codes", "sticky", "challenges")
CHALLENGES = "/.well-known/acme-challenge/"


class WantedServer(NamedTuple):
    """A server as `add server` and a configuration's `server` line take it: what follows the name, but the weight.

    A server that drains weighs nothing: its own requests end, and no new ones come.
    """

    arguments: str
    weight: int


class Wanted(NamedTuple):
    """`servers[slot][name]`; `maps[map][key]`, of the maps in `MAPS`; `certificates[file name]` is PEM.

    - hosts: host to ENVIRONMENT:RULES, where RULES names one state of the host's rules. Only this map decides which
      rules hold, and it is replaced as a whole.
    - routes: ENVIRONMENT:RULES and the beginning of a path to SLOT:POOL:SECURE.
    - checks: slot to the health check's path. check-hosts: slot to the host that it asks for, where one is named.
    - codes: SLOT/PREFIX of status codes that mean health.
    - sticky: SLOT/INSTANCE:PLACE, as cookies have it, to the name of the server that may get such requests.
    - challenges: the path that an authority asks to what it is answered.
    """

    servers: dict[str, dict[str, WantedServer]]
    maps: dict[str, dict[str, str]]
    certificates: dict[str, str]


def server_name(environment: str, server: Server, check: Check) -> str:
    """ENVIRONMENT:INSTANCE:PLACE:MARK; MARK stands for all that cannot be changed of a server that is there."""
    return f"{environment}:{cookie(server)}:{_mark(_arguments(server, check))}"


def cookie(server: Server) -> str:
    """INSTANCE:PLACE, by which a client's cookie names the server that it sticks to; PLACE stands for its address."""
    return f"{server.instance}:{_mark(_place(server))}"


def instance_prefix(environment: str, instance: str) -> str:
    """How the names of an instance's servers begin, in every slot."""
    return f"{environment}:{instance}:"


def wanted(applied: Applied) -> Wanted:
    """What has to be there for the applied sections."""
    servers: dict[str, dict[str, WantedServer]] = {}
    maps: dict[str, dict[str, str]] = {name: {} for name in MAPS}
    certificates: dict[str, str] = {}
    for section in applied.sections.values():
        slots = applied.slots[section.environment]
        for pool in section.pools:
            slot = slots[pool.name]
            servers[slot] = dict(_servers(section.environment, pool))
            _pool_maps(section.environment, slot, pool, maps)
        _rule_maps(section, slots, maps)
        maps["challenges"] |= {CHALLENGES + token: answer for token, answer in section.challenges}
        for certificate in section.certificates:
            pem = _tidy(certificate.pem)
            certificates[f"{section.environment}.{certificate.name}.{_mark(pem)}.pem"] = pem
    return Wanted(servers, maps, certificates)


def _servers(environment: str, pool: Pool) -> Iterator[tuple[str, WantedServer]]:
    for server in pool.servers:
        weight = 0 if server.draining else server.weight
        yield server_name(environment, server, pool.check), WantedServer(_arguments(server, pool.check), weight)


def _arguments(server: Server, check: Check) -> str:
    interval = max(1, round(check.interval * 1000))
    health = f"check inter {interval} rise {check.healthy} fall {check.unhealthy}"
    # Connections to a server that was added while HAProxy 2.6 runs are used again only where both of these are said.
    return f"{_place(server)} {health} pool-max-conn {_IDLE_CONNECTIONS} pool-purge-delay 5000"


def _place(server: Server) -> str:
    address = f"[{server.address}]" if ":" in server.address else server.address
    return f"{address}:{server.port}"


def _pool_maps(environment: str, slot: str, pool: Pool, maps: dict[str, dict[str, str]]) -> None:
    maps["checks"][slot] = pool.check.path
    if pool.check.host:
        maps["check-hosts"][slot] = pool.check.host
    for prefix in status_prefixes(pool.check.codes):
        maps["codes"][f"{slot}/{prefix}"] = "healthy"
    if pool.sticky:
        for server in pool.servers:
            if not server.draining:
                maps["sticky"][f"{slot}/{cookie(server)}"] = server_name(environment, server, pool.check)


def _rule_maps(section: Section, slots: dict[str, str], maps: dict[str, dict[str, str]]) -> None:
    """Rules are told apart by host inside RULES, since one environment's hosts may lead to different places."""
    for host in sorted({rule.host for rule in section.rules}):
        routes = {
            rule.path: f"{slots[rule.pool]}:{rule.pool}:{int(rule.secure)}"
            for rule in section.rules
            if rule.host == host
        }
        if section.maintenance:
            secure = any(rule.secure for rule in section.rules if rule.host == host)
            routes = {"/": f"maintenance::{int(secure)}"}
        rules = f"{section.environment}:{_mark(repr(sorted(routes.items())))}"
        maps["hosts"][host] = rules
        for path, route in routes.items():
            maps["routes"][rules + path] = route


def _tidy(pem: str) -> str:
    """Without the empty lines, which would end the text where it is sent through the socket."""
    return "".join(f"{line.strip()}\n" for line in pem.splitlines() if line.strip())


def _mark(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:10]
