"""Living beside other firewalls: which iptables rules let our bridges through, as text. Pure.

Docker keeps the chain DOCKER-USER for such rules; elsewhere they go first into FORWARD (and INPUT, where names are
asked for), where that chain has rules or drops by policy. What comes from our bridges is first shown to Docker's own
isolation rules, so that its networks stay shielded whatever they are called; our own table shields ours.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from wherry.network.bridge import Bridge

__all__ = ["changes", "rules_of"]

_USER, _ISOLATION = "DOCKER-USER", "DOCKER-ISOLATION-STAGE-2"
_TARGETS = ("ACCEPT", _ISOLATION)
_ENDS = ("-j DROP", "-j RETURN", "-j REJECT")


def changes(listing: str, bridges: Sequence[Bridge]) -> list[str]:
    """What to do to the rules that `iptables -S` lists: arguments of iptables, in that order; empty where all is well.

    In DOCKER-USER our rules come after the administrator's own and before the end; in other chains they come first.
    """
    lines = listing.splitlines()
    chain = _USER if f"-N {_USER}" in lines else "FORWARD"
    wanted: dict[str, list[str]] = {chain: [], "INPUT": []}
    for bridge in bridges:
        if chain == _USER or _is_closed(lines, "FORWARD"):
            wanted[chain] += _forwarding(bridge.name, isolation=chain == _USER and f"-N {_ISOLATION}" in lines)
        if bridge.names and _is_closed(lines, "INPUT"):
            wanted["INPUT"] += [
                f"-i {bridge.name} -p {protocol} -m {protocol} --dport 53 -j ACCEPT" for protocol in ("udp", "tcp")
            ]
    return [change for where, rules in wanted.items() for change in _changes_of(lines, where, rules)]


def _changes_of(lines: Sequence[str], chain: str, wanted: Sequence[str]) -> list[str]:
    """Rules that come too late are taken out; what is then missing is put in."""
    prefix = f"-A {chain} "
    present = [line.removeprefix(prefix) for line in lines if line.startswith(prefix)]
    end = next((number for number, rule in enumerate(present) if rule.startswith(_ENDS)), len(present))
    reached = present[:end]
    late = [rule for rule in present[end:] if rule in wanted]
    missing = [rule for rule in wanted if rule not in reached]
    position = end + 1 if chain == _USER else 1
    return [f"-D {chain} {rule}" for rule in late] + [f"-I {chain} {position} {rule}" for rule in reversed(missing)]


def _forwarding(name: str, *, isolation: bool) -> list[str]:
    shown = f"-i {name} -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j {_ISOLATION}"
    return [*((shown,) if isolation else ()), f"-i {name} -j ACCEPT", f"-o {name} -j ACCEPT"]


def _is_closed(lines: Sequence[str], chain: str) -> bool:
    """Whether the chain may drop anything: it has rules, or a policy other than accepting."""
    rules = [line for line in lines if line.startswith((f"-P {chain} ", f"-A {chain} "))]
    return rules != [f"-P {chain} ACCEPT"] and bool(rules)


def rules_of(listing: str, name: str) -> list[str]:
    """The rules of the bridge `name` that `changes` asked for, wherever `iptables -S` shows them."""
    found = []
    for line in listing.splitlines():
        words = line.split()
        ours = words[:1] == ["-A"] and words[2:4] in (["-i", name], ["-o", name]) and words[-1] in _TARGETS
        if ours and words[1] in (_USER, "FORWARD", "INPUT"):
            found.append(line)
    return found
