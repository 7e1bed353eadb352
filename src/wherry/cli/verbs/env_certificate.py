"""`env certificate set|show|issue|remove`: what an environment answers https with."""

from __future__ import annotations

import os

from wherry.cli.flags import Command, Flag
from wherry.cli.group import dispatch
from wherry.cli.output import check_format, told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.deploy.certificates import CertificateFacts
    from wherry.deploy.parts import Parts

__all__ = ["run"]

_FORMAT = Flag("format", "str", "text, json, or a Go template", default="text")


def run(argv: list[str]) -> int:
    """One of the words; `argv[0]` is `certificate`."""
    own = {"set": _set, "show": _show, "issue": _issue, "remove": _remove, "rm": _remove, "authority": _authority}
    return dispatch("env certificate", argv, {}, own)


def _parts() -> Parts:
    from wherry.base.paths import Layout
    from wherry.deploy.parts import open_parts

    return open_parts(Layout.from_environment(os.environ, os.geteuid()))


def _set(argv: list[str]) -> int:
    flags = (
        Flag("cert", "str", "File with the certificate in PEM, and after it who issued it, and so on"),
        Flag("key", "str", "File with its private key in PEM, without a passphrase"),
    )
    usage, summary = "[OPTIONS] --cert FILE --key FILE ENV", "Bring a certificate"
    parsed = Command("wherry env certificate set", usage, summary, (*flags, _FORMAT), least=1, most=1).parse(argv)
    from wherry.base.errors import UsageError
    from wherry.deploy.membership import Membership
    from wherry.deploy.settings import Settings
    from wherry.deploy.tls import keep_own

    check_format(parsed["format"])
    if not (parsed["cert"] and parsed["key"]):
        raise UsageError("both --cert and --key are needed")
    name, parts = parsed.args[0], _parts()
    environment, membership = parts.records.environment(name), Membership(parts)
    hosts = list(dict.fromkeys(rule.host for rule in membership.section(name).rules)) or [environment.host]
    facts = keep_own(parts.layout, name, _read(parsed["cert"]), _read(parsed["key"]), hosts=hosts)
    words = f"kept for {', '.join(facts.hosts)}, valid until {_day(facts.ends)}"
    is_shown = Settings(environment.settings).text("tls") == "own"
    if is_shown:
        membership.hold(name)
    else:
        words += f"\nIt is shown from `wherry env set {name} tls=own` on."
    print(told(words, {**_values(name, facts), "Shown": is_shown}, parsed["format"]))
    return 0


def _values(name: str, facts: CertificateFacts) -> dict[str, object]:
    from wherry.base.clock import rfc3339

    begins, ends = (rfc3339(int(one * 1e9)) for one in (facts.begins, facts.ends))
    return {"Environment": name, "Hosts": list(facts.hosts), "Begins": begins, "Ends": ends}


def _read(path: str) -> str:
    from wherry.base.errors import NotFound

    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}") from None


def _show(argv: list[str]) -> int:
    flags = (_FORMAT,)
    usage = "[OPTIONS] ENV"
    summary = "Show what an environment answers https with"
    parsed = Command("wherry env certificate show", usage, summary, flags, least=1, most=1).parse(argv)
    from wherry.cli.output import render_one

    facts = _facts(_parts(), parsed.args[0])
    if parsed["format"] != "text":
        print(render_one(facts, parsed["format"]))
        return 0
    for title, value in facts.items():
        if value:
            print(f"{title}: {', '.join(value) if isinstance(value, list) else value}")
    return 0


def _facts(parts: Parts, name: str) -> dict[str, object]:
    from wherry.base.clock import rfc3339
    from wherry.deploy.acme import last_attempt
    from wherry.deploy.certificates import certificate_facts
    from wherry.deploy.membership import Membership
    from wherry.deploy.settings import Settings

    source = Settings(parts.records.environment(name).settings).text("tls")
    found = [certificate_facts(one.pem) for one in Membership(parts).section(name).certificates]
    attempt = last_attempt(parts.layout, name) if source == "acme" else None
    failed = attempt is not None and attempt.failures > 0
    return {
        "Source": source,
        "Hosts": [host for one in found for host in one.hosts],
        "Begins": rfc3339(int(found[0].begins * 1e9)) if found else "",
        "Ends": rfc3339(int(found[0].ends * 1e9)) if found else "",
        "Error": attempt.error if attempt is not None and failed else "",
        "NextAttempt": rfc3339(int(attempt.again * 1e9)) if attempt is not None and failed else "",
    }


def _issue(argv: list[str]) -> int:
    summary = "Ask the ACME authority for a certificate now"
    command = Command("wherry env certificate issue", "[OPTIONS] ENV", summary, (_FORMAT,), least=1, most=1)
    parsed = command.parse(argv)
    from wherry.deploy.acme import issue

    check_format(parsed["format"])
    name = parsed.args[0]
    facts = issue(_parts(), name)
    words = f"issued for {', '.join(facts.hosts)}, valid until {_day(facts.ends)}"
    print(told(words, _values(name, facts), parsed["format"]))
    return 0


def _remove(argv: list[str]) -> int:
    summary = "Forget the certificate that was brought"
    command = Command("wherry env certificate remove", "[OPTIONS] ENV", summary, (_FORMAT,), least=1, most=1)
    parsed = command.parse(argv)
    from wherry.base.errors import NotFound
    from wherry.deploy.membership import Membership
    from wherry.deploy.tls import forget

    check_format(parsed["format"])
    parts, name = _parts(), parsed.args[0]
    parts.records.environment(name)
    if not forget(parts.layout, name, "own"):
        raise NotFound(f"no certificate is kept for {name}")
    Membership(parts).hold(name)
    if parsed["format"] != "text":
        print(told("", {"Environment": name}, parsed["format"]))
    return 0


def _authority(argv: list[str]) -> int:
    summary = "Print the local authority's certificate, for browsers and programs to trust"
    parsed = Command("wherry env certificate authority", "[OPTIONS]", summary, (_FORMAT,), most=0).parse(argv)
    from wherry.base.paths import Layout
    from wherry.deploy.certificates import LocalAuthority

    layout = Layout.from_environment(os.environ, os.geteuid())
    certificate = LocalAuthority(f"{layout.root}/authority").certificate()
    print(told(certificate.removesuffix("\n"), {"Certificate": certificate}, parsed["format"]))
    return 0


def _day(seconds: float) -> str:
    import time

    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
