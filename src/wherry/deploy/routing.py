"""What the load balancer is to do, as values: rules from hosts and paths to pools, pools of servers.

A section is everything that one environment wants of the balancer. It is declarative: applying the same section twice
changes nothing, and a balancer that was killed comes back with the sections that were last applied.
"""

from __future__ import annotations

from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "HEAVIEST",
    "Certificate",
    "Check",
    "Pool",
    "Rule",
    "Section",
    "Server",
    "ServerState",
    "by_instance",
    "by_pool",
]

HEAVIEST = 256  # the most that a server weighs


class Check(NamedTuple):
    """How a server is asked whether it is well. Times are in seconds; `codes` as in `200-299,401`.

    `host` is what it is asked for by, as a request's `Host`; empty where no rule names one.
    """

    path: str = "/"
    codes: str = "200-399"
    interval: float = 5.0
    timeout: float = 4.0
    healthy: int = 2
    unhealthy: int = 3
    host: str = ""


class Server(NamedTuple):
    """One end of a pool: an instance, or one of several replicas in it, which differ in their addresses.

    A server that drains gets no new requests, sticky ones included, and ends its own. `weight` (0 to 256) is relative
    to the others of its pool.
    """

    instance: str
    address: str
    port: int
    weight: int = 100
    draining: bool = False


class Pool(NamedTuple):
    """Servers that answer alike. `name` is unique within the section (the service's name)."""

    name: str
    servers: tuple[Server, ...] = ()
    check: Check = Check()
    sticky: bool = False


class Rule(NamedTuple):
    """Requests for `host` (lower case, no port) whose path begins with `path` go to `pool`; the longest path wins.

    `secure` sends plain requests to https, by 308.
    """

    host: str
    path: str
    pool: str
    secure: bool = False


class Certificate(NamedTuple):
    """A certificate for hosts: PEM of the key, the certificate and its chain, in one text."""

    name: str
    pem: str


class Section(NamedTuple):
    """Everything one environment wants of the balancer. In `maintenance`, its hosts answer 503 with a page.

    `challenges` are tokens and what `/.well-known/acme-challenge/TOKEN` answers on any host (RFC 8555 section 8.3): a
    token is known to nobody but the authority.
    """

    environment: str
    rules: tuple[Rule, ...] = ()
    pools: tuple[Pool, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    maintenance: bool = False
    challenges: tuple[tuple[str, str], ...] = ()


class ServerState(NamedTuple):
    """What the balancer knows of a server. Counts are totals since the balancer started and begin anew when it does.

    `status` is `up`, `down`, `draining` or `unchecked`; `reason` is why, in the check's words. `sessions` are requests
    under way. `queue_ms`, `response_ms` are averages of the last 1,024 requests.
    """

    pool: str
    instance: str
    status: str
    reason: str
    sessions: int
    requests: int
    responses: tuple[int, int, int, int, int]  # 1xx to 5xx
    failures: int  # requests that got no answer from the server
    queue_ms: float
    response_ms: float
    weight: int
    changed: float  # seconds since the status last changed
    address: str = ""


def by_instance(states: Iterable[ServerState]) -> dict[str, list[ServerState]]:
    """States of servers by their instance's name."""
    return _grouped((one.instance, one) for one in states)


def by_pool(states: Iterable[ServerState]) -> dict[str, list[ServerState]]:
    """States of servers by their pool's name, where an instance has one for each of its replicas."""
    return _grouped((one.pool, one) for one in states)


def _grouped(states: Iterable[tuple[str, ServerState]]) -> dict[str, list[ServerState]]:
    found: dict[str, list[ServerState]] = {}
    for name, one in states:
        found.setdefault(name, []).append(one)
    return found
