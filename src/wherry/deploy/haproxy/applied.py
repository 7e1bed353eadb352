"""What was last applied, with the slots that pools got; new sections into it. Pure."""

from __future__ import annotations

import re

from wherry.base.errors import Conflict, InvalidInput
from wherry.base.values import NamedTuple
from wherry.deploy.codes import status_prefixes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from wherry.deploy.routing import Pool, Rule, Section

__all__ = ["PLAIN_SLOTS", "STICKY_SLOTS", "Applied", "merge", "without"]

PLAIN_SLOTS, STICKY_SLOTS = 96, 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?|\[[0-9a-f:.]+\]")
_PATH = re.compile(r"/[!-~]*")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,128}")
_ANSWER = re.compile(r"[A-Za-z0-9_-]{1,128}\.[A-Za-z0-9_-]{1,128}")
_ADDRESS = re.compile(r"[0-9.]+|[0-9a-fA-F:.]+")


class Applied(NamedTuple):
    """Sections by environment; `slots[environment][pool]` is the pool's backend (`s7`, or `t7` where it is sticky).

    `turn` counts the slots ever given, so that one that was freed rests as long as there are others.
    """

    sections: dict[str, Section] = {}  # noqa: RUF012 (a value is never changed)
    slots: dict[str, dict[str, str]] = {}  # noqa: RUF012
    turn: int = 0


def merge(applied: Applied, sections: Iterable[Section]) -> Applied:
    """The state with these sections in it. Raises InvalidInput for one that cannot hold, and Conflict for a host that
    two environments want or where there are more pools than slots."""
    new = list(sections)
    for section in new:
        _check(section)
    everything = {**applied.sections, **{section.environment: section for section in new}}
    _check_hosts(everything.values())
    slots = {environment: dict(given) for environment, given in applied.slots.items()}
    for section in new:
        kept = slots.get(section.environment, {})
        slots[section.environment] = {
            pool.name: kept[pool.name] for pool in section.pools if _fits(kept.get(pool.name, ""), pool)
        }
    turn = applied.turn
    for section in new:
        given = slots[section.environment]
        for pool in section.pools:
            if pool.name not in given:
                given[pool.name], turn = _next_slot(pool, slots, turn)
    return Applied(everything, slots, turn)


def without(applied: Applied, environment: str) -> Applied:
    """The state after an environment is forgotten."""
    sections = {name: section for name, section in applied.sections.items() if name != environment}
    slots = {name: given for name, given in applied.slots.items() if name != environment}
    return Applied(sections, slots, applied.turn)


def _fits(slot: str, pool: Pool) -> bool:
    return slot.startswith("t" if pool.sticky else "s")


def _next_slot(pool: Pool, slots: dict[str, dict[str, str]], turn: int) -> tuple[str, int]:
    taken = {slot for given in slots.values() for slot in given.values()}
    kind, count = ("t", STICKY_SLOTS) if pool.sticky else ("s", PLAIN_SLOTS)
    for step in range(count):
        slot = f"{kind}{(turn + step) % count + 1}"
        if slot not in taken:
            return slot, turn + step + 1
    raise Conflict(
        f"the load balancer has no room for one more pool: all {count} for"
        f" {'sticky pools' if pool.sticky else 'pools without sticky sessions'} are taken",
        hint="terminate environments that are no longer needed",
    )


def _check_hosts(sections: Iterable[Section]) -> None:
    owners: dict[str, str] = {}
    for section in sections:
        for rule in section.rules:
            owner = owners.setdefault(rule.host, section.environment)
            if owner != section.environment:
                raise Conflict(
                    f"the host {rule.host} is wanted by two environments: {owner} and {section.environment}",
                    hint="give one of them another host name",
                )


def _check(section: Section) -> None:
    _match(_NAME, section.environment, "an environment's name")
    names = [pool.name for pool in section.pools]
    for rule in section.rules:
        _check_rule(rule, names)
    for pool in section.pools:
        _check_pool(pool)
    for certificate in section.certificates:
        _match(_NAME, certificate.name, "a certificate's name")
        if "PRIVATE KEY-----" not in certificate.pem or "-----BEGIN CERTIFICATE-----" not in certificate.pem:
            raise InvalidInput(f"certificate {certificate.name}: a private key and a certificate in PEM are needed")
    for token, answer in section.challenges:
        _match(_TOKEN, token, "the token of a challenge")
        _match(_ANSWER, answer, "the answer to a challenge")
    for kind, listed in (
        ("rule", [rule.host + rule.path for rule in section.rules]),
        ("pool", names),
        ("certificate", [each.name for each in section.certificates]),
        ("challenge", [token for token, _ in section.challenges]),
    ):
        if len(set(listed)) != len(listed):
            raise InvalidInput(f"{section.environment}: two of one {kind}'s name: {', '.join(sorted(listed))}")


def _check_rule(rule: Rule, pools: list[str]) -> None:
    _match(_HOST, rule.host, "a host (lower case, without a port)")
    _match(_PATH, rule.path, "a path")
    if rule.pool not in pools:
        raise InvalidInput(f"{rule.host}{rule.path} leads to the pool {rule.pool!r}, which is not there")


def _check_pool(pool: Pool) -> None:
    _match(_NAME, pool.name, "a pool's name")
    _match(_PATH, pool.check.path, "a health check's path")
    if pool.check.host:
        _match(_HOST, pool.check.host, "a host (lower case, without a port)")
    status_prefixes(pool.check.codes)
    check = pool.check
    if not (0 < check.interval <= 3600 and check.healthy > 0 and check.unhealthy > 0):
        raise InvalidInput(f"pool {pool.name}: a health check's interval is up to an hour, its thresholds at least 1")
    for server in pool.servers:
        _match(_NAME, server.instance, "an instance's name")
        _match(_ADDRESS, server.address, "an address")
        if not (0 < server.port < 65536 and 0 <= server.weight <= 256):
            raise InvalidInput(f"server {server.instance}: a port is 1 to 65535, a weight 0 to 256")
    places = [f"{server.instance} at {server.address}" for server in pool.servers]
    if len(set(places)) != len(places):
        raise InvalidInput(f"pool {pool.name}: a server is there twice: {', '.join(sorted(places))}")


def _match(pattern: re.Pattern[str], text: str, what: str) -> None:
    if not pattern.fullmatch(text):
        raise InvalidInput(f"{text!r} is not {what}")
