"""Certificates from an ACME authority for the environments that want one: issued, kept, renewed in time.

A certificate is renewed when less than a third of its time is left, or when the environment has a host that it is not
for. What fails is tried again after five minutes, then ten, and so on up to six hours, which authorities' limits allow.
An environment's challenges are part of its section: a deployment that goes on meanwhile does not lose them.
"""

from __future__ import annotations

import json
import os

from wherry.base.errors import Conflict, WherryError
from wherry.base.files import atomic_write, ensure_directory, read_text, remove_if_exists
from wherry.base.locks import FileLock
from wherry.base.values import NamedTuple
from wherry.deploy.membership import Membership
from wherry.deploy.settings import Settings
from wherry.deploy.tls import covers, keep, keep_challenges, kept

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from wherry.base.paths import Layout
    from wherry.deploy.certificates import CertificateFacts
    from wherry.deploy.parts import Parts
    from wherry.deploy.tls import Kept
else:
    Protocol = object

__all__ = ["Attempt", "Issuer", "configured_authority", "is_due", "issue", "last_attempt", "renew_due"]

_FIRST_WAIT, _LONGEST_WAIT = 300.0, 6 * 3600.0
_LEFT = 1 / 3


class Attempt(NamedTuple):
    """The last attempt, where it failed: for which hosts, the how manieth in a row, why, and when the next one is.

    `again` is in seconds since 1970.
    """

    hosts: tuple[str, ...] = ()
    failures: int = 0
    error: str = ""
    again: float = 0.0


class Issuer(Protocol):
    """Whoever gives certificates; see `issuing.Authority`."""

    def issue(self, hosts: Sequence[str], publish: Callable[[Sequence[tuple[str, str]]], None]) -> str:
        """A certificate for these hosts: its key, itself and its chain in PEM."""


def configured_authority(layout: Layout) -> Issuer:
    """The authority that the configuration file names."""
    from wherry.base.config import load_configuration
    from wherry.deploy.issuing import Authority, Terms

    found = load_configuration(os.environ)
    terms = Terms(found.acme_directory, found.acme_email, found.acme_trust, found.acme_key_id, found.acme_hmac_key)
    return Authority(terms, f"{layout.root}/deploy/acme")


def is_due(found: Kept | None, hosts: Sequence[str], attempt: Attempt, now: float) -> bool:
    """Whether a certificate is to be asked for at `now` (seconds since 1970)."""
    if not hosts or (attempt.hosts == tuple(hosts) and now < attempt.again):
        return False
    if found is None or not all(covers(found.facts.hosts, host) for host in hosts):
        return True
    return found.facts.ends - now < (found.facts.ends - found.facts.begins) * _LEFT


def last_attempt(layout: Layout, name: str) -> Attempt:
    """What is known of attempts that failed since the last one that did not."""
    text = read_text(_attempt_path(layout, name))
    if not text:
        return Attempt()
    found = json.loads(text)
    return Attempt(**{**found, "hosts": tuple(found["hosts"])})


def renew_due(parts: Parts, authority: Issuer | None = None) -> list[str]:
    """Ask for every certificate that is due, one after another; the environments that got one.

    Returns at once for what another process is about. What fails is told as an event and tried again later.
    """
    renewed = []
    for environment in parts.records.environments():
        if Settings(environment.settings).text("tls") != "acme" or not environment.revision:
            continue
        try:
            with FileLock(_lock_path(parts.layout, environment.name), wait=False):
                if _renew(parts, environment.name, authority):
                    renewed.append(environment.name)
        except BlockingIOError:
            continue
    return renewed


def issue(parts: Parts, name: str, authority: Issuer | None = None) -> CertificateFacts:
    """Ask for a certificate for the environment's hosts now, whether or not one is due; what it says.

    Raises Conflict where the environment has no hosts or wants no such certificate, Denied or Unavailable where the
    authority gives none; what was kept before stays.
    """
    environment = parts.records.environment(name)
    if Settings(environment.settings).text("tls") != "acme":
        raise Conflict(f"{name} does not get its certificate by ACME", hint=f"wherry env set {name} tls=acme")
    with FileLock(_lock_path(parts.layout, name)):
        return _issue(parts, name, _hosts(parts, name), authority)


def _renew(parts: Parts, name: str, authority: Issuer | None) -> bool:
    """Whether one was due, and came."""
    layout, now = parts.layout, parts.clock() / 1e9
    hosts = _hosts(parts, name)
    if not is_due(kept(layout, name, "acme"), hosts, last_attempt(layout, name), now):
        return False
    try:
        _issue(parts, name, hosts, authority)
    except WherryError:
        return False
    return True


def _hosts(parts: Parts, name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(rule.host for rule in Membership(parts).section(name).rules))


def _issue(parts: Parts, name: str, hosts: tuple[str, ...], authority: Issuer | None) -> CertificateFacts:
    """Ask, keep, and say what came of it; the caller has the environment's lock for this."""
    try:
        facts = _ask(parts, name, hosts, authority)
    except WherryError as error:
        _note_failure(parts, name, hosts, error)
        raise
    remove_if_exists(_attempt_path(parts.layout, name))
    parts.records.tell(name, "INFO", f"Certificate for {_and(hosts)} issued; it is valid until {_time(facts.ends)}.")
    return facts


def _ask(parts: Parts, name: str, hosts: tuple[str, ...], authority: Issuer | None) -> CertificateFacts:
    from wherry.deploy.certificates import certificate_facts

    if not hosts:
        raise Conflict(f"{name} has no hosts: there is nothing to have a certificate for")
    if not parts.listener.http:
        raise Conflict(
            "the load balancer does not listen for http, through which an authority looks whether a host is ours",
            hint="set `balancer.http` in /etc/wherry/config.toml",
        )
    membership = Membership(parts)

    def publish(answers: Sequence[tuple[str, str]]) -> None:
        keep_challenges(parts.layout, name, answers)
        if answers:
            membership.hold(name)

    try:
        pem = (authority or configured_authority(parts.layout)).issue(hosts, publish)
        keep(parts.layout, name, "acme", pem)
    finally:
        membership.hold(name)
    return certificate_facts(pem)


def _note_failure(parts: Parts, name: str, hosts: tuple[str, ...], error: WherryError) -> None:
    before = last_attempt(parts.layout, name)
    failures = before.failures + 1 if before.hosts == hosts else 1
    now = parts.clock() / 1e9
    again = now + min(_FIRST_WAIT * 2 ** (failures - 1), _LONGEST_WAIT)
    path = _attempt_path(parts.layout, name)
    ensure_directory(os.path.dirname(path), 0o700)
    values = Attempt(hosts, failures, error.message, again)._asdict()
    atomic_write(path, json.dumps(values).encode(), mode=0o600)
    found = kept(parts.layout, name, "acme")
    expired = found is not None and found.facts.ends < now
    holds = (
        "" if found is None else f" The one there is {'expired' if expired else 'expires'} {_time(found.facts.ends)}."
    )
    words = (
        f"No certificate for {_and(hosts)} was issued: {error.message}. The next attempt is at {_time(again)}.{holds}"
    )
    parts.records.tell(name, "ERROR" if expired or found is None else "WARN", words)


def _attempt_path(layout: Layout, name: str) -> str:
    return f"{layout.root}/environments/{name}/tls/attempt.json"


def _lock_path(layout: Layout, name: str) -> str:
    return f"{layout.locks}/acme-{name}"


def _and(hosts: Sequence[str]) -> str:
    return ", ".join(hosts)


def _time(seconds: float) -> str:
    import time

    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
