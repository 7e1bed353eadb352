"""Which certificates an environment has: from the local authority, brought by its owner, or issued by ACME.

They are kept below `environments/NAME/tls`: `own.pem` and `acme.pem`, each a key, its certificate and the chain, and
`challenges.json`, what an authority is to be answered while it looks whether a host is ours.
"""

from __future__ import annotations

import json

from wherry.base.errors import Conflict, InvalidInput
from wherry.base.files import atomic_write, ensure_directory, read_text, remove_if_exists
from wherry.base.values import NamedTuple
from wherry.deploy.certificates import CertificateFacts, LocalAuthority, certificate_facts, is_local, read_bundle
from wherry.deploy.routing import Certificate
from wherry.deploy.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from wherry.base.paths import Layout
    from wherry.deploy.balancer import Listener
    from wherry.deploy.model import Environment

__all__ = [
    "Kept",
    "certificates",
    "challenges",
    "check_tls",
    "covers",
    "forget",
    "keep",
    "keep_challenges",
    "keep_own",
    "kept",
]

KINDS = ("own", "acme")


class Kept(NamedTuple):
    """A certificate that is kept for an environment: `pem` is key, certificate and chain."""

    pem: str
    facts: CertificateFacts


def certificates(layout: Layout, environment: Environment, hosts: Sequence[str]) -> tuple[Certificate, ...]:
    """What the balancer is to show for the environment, by its setting `tls`; nothing while there is none.

    `local` covers those of the hosts that are `localhost` or below it; what is kept is shown whatever its hosts are,
    since the balancer chooses by what it is asked for.
    """
    kind = Settings(environment.settings).text("tls")
    if kind == "local":
        ours = [host for host in hosts if is_local(host)]
        return (_authority(layout).issue(environment.name, ours),) if ours else ()
    found = kept(layout, environment.name, kind) if kind in KINDS else None
    return (Certificate(kind, found.pem),) if found else ()


def check_tls(
    layout: Layout, environment: Environment, hosts: Sequence[str], listener: Listener, now: float
) -> tuple[str, ...]:
    """Warnings about what is set; `now` is in seconds since 1970.

    Raises InvalidInput or Conflict where the setting `tls` cannot come true for these hosts.
    """
    settings = Settings(environment.settings)
    kind = settings.text("tls")
    if kind == "off":
        return ("redirect=on does nothing while tls=off",) if settings.on("redirect") else ()
    if not listener.https:
        raise Conflict(
            f"tls={kind}: the load balancer does not listen for https",
            hint="set `balancer.https` in /etc/wherry/config.toml",
        )
    return {"local": _check_local, "own": _check_own, "acme": _check_acme}[kind](layout, environment, hosts, now)


def _check_local(layout: Layout, environment: Environment, hosts: Sequence[str], now: float) -> tuple[str, ...]:
    del layout, environment, now
    others = [host for host in hosts if not is_local(host)]
    if others:
        raise InvalidInput(
            f"tls=local: the local authority does not vouch for {', '.join(others)}",
            hint="tls=acme gets certificates for public names, tls=own uses one that you have",
        )
    return ()


def _check_own(layout: Layout, environment: Environment, hosts: Sequence[str], now: float) -> tuple[str, ...]:
    found = kept(layout, environment.name, "own")
    if found is None:
        raise Conflict(
            f"tls=own: no certificate is kept for {environment.name}",
            hint=f"`wherry env certificate set {environment.name} --cert FILE --key FILE` brings one",
        )
    missing = [host for host in hosts if not covers(found.facts.hosts, host)]
    warnings = [f"the certificate is for {', '.join(found.facts.hosts)} and not for {one}" for one in missing]
    if found.facts.ends < now:
        warnings.append(f"the certificate expired on {_day(found.facts.ends)}")
    return tuple(warnings)


def _check_acme(layout: Layout, environment: Environment, hosts: Sequence[str], now: float) -> tuple[str, ...]:
    del layout, environment, now
    local = [host for host in hosts if is_local(host) or "." not in host]
    if local:
        raise InvalidInput(
            f"tls=acme: no public authority vouches for {', '.join(local)}", hint="tls=local does, for this machine"
        )
    return ()


def _authority(layout: Layout) -> LocalAuthority:
    return LocalAuthority(f"{layout.root}/authority")


# --- what is kept


def keep_own(
    layout: Layout,
    name: str,
    certificate_pem: str,
    key_pem: str,
    *,
    hosts: Sequence[str] = (),
    now: float | None = None,
) -> CertificateFacts:
    """Keep the certificate that the environment's owner brings, with its chain after it, and its key.

    Raises InvalidInput, and keeps what was there, where the key is another's, the chain is in disorder, one of `hosts`
    is not covered, or it is not valid now (seconds since 1970).
    """
    import time

    found = read_bundle(certificate_pem, key_pem, time.time() if now is None else now)
    facts = certificate_facts(found)
    missing = [host for host in hosts if not covers(facts.hosts, host)]
    if missing:
        raise InvalidInput(
            f"the certificate is not for {', '.join(missing)}", hint=f"it is for {', '.join(facts.hosts) or 'no host'}"
        )
    keep(layout, name, "own", found)
    return facts


def keep(layout: Layout, name: str, kind: str, pem: str) -> None:
    """Keep an environment's certificate of that kind, in place of the one before."""
    atomic_write(f"{_directory(layout, name)}/{kind}.pem", pem.encode(), mode=0o600)


def kept(layout: Layout, name: str, kind: str) -> Kept | None:
    """What is kept; None where nothing is."""
    pem = read_text(f"{_path(layout, name)}/{kind}.pem")
    return Kept(pem, certificate_facts(pem)) if pem else None


def forget(layout: Layout, name: str, kind: str) -> bool:
    """No longer keep it; whether there was one."""
    there = kept(layout, name, kind) is not None
    remove_if_exists(f"{_path(layout, name)}/{kind}.pem")
    return there


def covers(names: Sequence[str], host: str) -> bool:
    """Whether a certificate for these names is one for the host; `*.` stands for one label (RFC 6125 section 6.4.3)."""
    wild = f"*.{host.partition('.')[2]}"
    return host.lower() in names or wild.lower() in names


# --- challenges


def challenges(layout: Layout, name: str) -> tuple[tuple[str, str], ...]:
    """Token and answer of what an authority asks at the moment (RFC 8555 section 8.3)."""
    text = read_text(f"{_path(layout, name)}/challenges.json")
    return tuple((token, answer) for token, answer in json.loads(text)) if text else ()


def keep_challenges(layout: Layout, name: str, given: Sequence[tuple[str, str]]) -> None:
    """Keep what is to be answered; it holds when the environment's section is applied next."""
    if given:
        atomic_write(f"{_directory(layout, name)}/challenges.json", json.dumps(list(given)).encode(), mode=0o600)
    else:
        remove_if_exists(f"{_path(layout, name)}/challenges.json")


def _path(layout: Layout, name: str) -> str:
    return f"{layout.root}/environments/{name}/tls"


def _directory(layout: Layout, name: str) -> str:
    return ensure_directory(_path(layout, name), 0o700)


def _day(seconds: float) -> str:
    import time

    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
