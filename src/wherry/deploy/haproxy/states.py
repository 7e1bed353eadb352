"""HAProxy's counters as the states of an environment's servers. Pure."""

from __future__ import annotations

from wherry.deploy.haproxy.wanted import instance_prefix, server_name
from wherry.deploy.routing import ServerState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from wherry.deploy.haproxy.observed import Statistics
    from wherry.deploy.routing import Pool, Section, Server

__all__ = ["sessions_of", "states_of"]

_NO_VERDICT = "log-format string evaluated to an empty string"


def states_of(section: Section, slots: dict[str, str], statistics: Iterable[Statistics]) -> list[ServerState]:
    """The servers that the section names and HAProxy has, in the section's order."""
    found = {(line.slot, line.server): line for line in statistics}
    states = []
    for pool in section.pools:
        for server in pool.servers:
            line = found.get((slots[pool.name], server_name(section.environment, server, pool.check)))
            if line is not None:
                states.append(_state(pool, server, line))
    return states


def sessions_of(environment: str, instance: str, statistics: Iterable[Statistics]) -> int:
    """Requests under way at an instance, also at servers of it that are no longer wanted."""
    prefix = instance_prefix(environment, instance)
    return sum(line.sessions for line in statistics if line.server.startswith(prefix))


def _state(pool: Pool, server: Server, line: Statistics) -> ServerState:
    return ServerState(
        pool.name,
        server.instance,
        _status(server, line),
        _reason(pool, line),
        line.sessions,
        line.requests,
        line.responses,
        line.failures,
        line.queue_ms,
        line.response_ms,
        line.weight,
        line.changed,
        server.address,
    )


def _status(server: Server, line: Statistics) -> str:
    """`DOWN 1/2` and `NOLB` are on their way; `INI` is before the first check has ended."""
    if not line.status.startswith("UP"):
        return "draining" if line.status.startswith(("MAINT", "DRAIN")) else "down"
    if server.draining:
        return "draining"
    return "unchecked" if line.check.lstrip("* ") in ("", "INI") else "up"


def _reason(pool: Pool, line: Statistics) -> str:
    check = line.check.lstrip("* ")
    if check in ("", "INI"):
        return ""
    if check == "L7OK":
        return f"{pool.check.path} answered {line.check_code}"
    if line.check_words == _NO_VERDICT:
        return f"{pool.check.path} answered with a status that is not among {pool.check.codes}"
    if check == "L7STS":
        return f"{pool.check.path} answered {line.check_code}, which is not among {pool.check.codes}"
    if check.endswith("TOUT"):
        return f"{pool.check.path} did not answer within {pool.check.interval:g} s"
    return line.check_words
