"""The rules of an installation, kept as they have to be whatever others do to the machine's firewall.

Every change of nft's rules, by whomever, raises the kernel's generation number. The number at which all was well is
noted; while it stands, a look costs one netlink message. Where it moved (rules flushed, a Docker daemon started), the
whole is put right in one transaction: table, maps, chains and every published port.
"""

from __future__ import annotations

from contextlib import contextmanager

from wherry.base.errors import ProgramFailed
from wherry.base.files import atomic_write, ensure_directory, read_text, remove_if_exists
from wherry.base.locks import FileLock
from wherry.base.programs import find, require, run
from wherry.base.values import NamedTuple
from wherry.network import bridge as bridges
from wherry.network.netfilter import forget_flows, generation
from wherry.network.ruleset import publish_ruleset, table_name, unpublish_ruleset, whole_ruleset

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wherry.base.paths import Layout
    from wherry.network.bridge import Bridge
    from wherry.network.netfilter import Flow
    from wherry.network.ruleset import PortMapping, Publication

__all__ = ["Firewall", "Wanted"]

_ATTEMPTS = 5  # at rules that others change meanwhile


class Wanted(NamedTuple):
    """What has to hold: every network that there is, and every port that is published now."""

    bridges: Sequence[Bridge]
    publications: Sequence[Publication]


class Firewall:
    """`wanted` tells what has to hold; it is asked under the lock, only where something is to be put right."""

    def __init__(self, layout: Layout, wanted: Callable[[], Wanted]) -> None:
        self._layout = layout
        self._wanted = wanted
        self._note = f"{layout.run}/network/firewall"

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Alone among the commands of this installation that change the rules, or the facts that they follow."""
        with FileLock(f"{self._layout.locks}/firewall"):
            yield

    def hold(self, bridge: Bridge) -> None:
        """See to it that the bridge is up and its rules are in force; cheap where nothing has changed."""
        if self._is_held(bridge):
            return
        with self.changing():
            if not bridges.is_ready(bridge):
                bridges.make(bridge)
            self._put_right()

    def _is_held(self, bridge: Bridge) -> bool:
        noted = read_text(self._note).split()
        return (
            bridge.name in noted[1:]
            and noted[0] == str(generation())
            and bridges.is_ready(bridge)
            and not _has_legacy_rules()
        )

    def _put_right(self) -> None:
        """Under the lock: send the whole, let it through other firewalls, note the generation."""
        wanted = self._wanted()
        for _ in range(_ATTEMPTS):
            before = generation()
            apply_rules(whole_ruleset(self._layout.tag, wanted.bridges, wanted.publications))
            changed = _pass_firewalls(wanted.bridges)
            if not before or (generation() == before + 1 and not changed):
                break
        self._write_note(before + 1, [bridge.name for bridge in wanted.bridges])

    def _write_note(self, number: int, names: Sequence[str]) -> None:
        ensure_directory(f"{self._layout.run}/network")
        atomic_write(self._note, " ".join([str(number), *names]).encode(), durable=False)

    def publish(self, address: str, ports: Sequence[PortMapping]) -> None:
        """Lead the ports to the container at `address`, wherever they led before.

        They are to be among what is wanted already, so that whoever puts the rules right knows them.
        """
        with self.changing():
            self._send(publish_ruleset(self._layout.tag, address, ports))
        numbers = {port.host_port for port in ports if port.protocol == "udp"}

        def leads_elsewhere(flow: Flow) -> bool:
            return flow.port in numbers and flow.server != address

        if numbers:
            forget_flows(leads_elsewhere)

    def unpublish(self, address: str, ports: Sequence[PortMapping]) -> None:
        """Take them back; harmless where they are gone. To be called while `changing`."""
        elements = unpublish_ruleset(self._layout.tag, address, ports)
        if elements:
            self._send(elements, instead=self._without(address))
        if any(port.protocol == "udp" for port in ports):
            forget_flows(lambda flow: flow.server == address)

    def _without(self, address: str) -> Callable[[], str]:
        def whole() -> str:
            wanted = self._wanted()
            kept = [each for each in wanted.publications if each.address != address]
            return whole_ruleset(self._layout.tag, wanted.bridges, kept)

        return whole

    def _send(self, elements: str, instead: Callable[[], str] | None = None) -> None:
        """The elements alone, which is quick; where the table is not what it has to be, the whole."""
        if not elements:
            return
        before = generation()
        try:
            apply_rules(elements)
        except ProgramFailed:
            wanted = self._wanted()
            apply_rules(instead() if instead else whole_ruleset(self._layout.tag, wanted.bridges, wanted.publications))
        noted = read_text(self._note).split()
        if noted[:1] == [str(before)] and generation() == before + 1:
            self._write_note(before + 1, noted[1:])

    def drop_bridge(self, name: str) -> None:
        """Remove the bridge, its rules and its ways through other firewalls; harmless where they are gone.

        It is to be no longer among what is wanted.
        """
        with self.changing():
            bridges.destroy(name)
            _close_firewalls(name)
            self._put_right()

    def remove(self) -> None:
        """Remove the table with everything in it."""
        run((require("nft"), "delete", "table", "ip", table_name(self._layout.tag)), check=False)
        remove_if_exists(self._note)


def apply_rules(ruleset: str) -> None:
    """Send the rules to the kernel: all of them take effect, or none."""
    run((require("nft"), "-f", "-"), stdin=ruleset.encode())


def _has_legacy_rules() -> bool:
    """Whether iptables-legacy is in use, whose changes no generation tells of."""
    return "filter" in read_text("/proc/net/ip_tables_names").split()


def _pass_firewalls(bridges: Sequence[Bridge]) -> bool:
    """Whether anything had to be changed. What others change meanwhile is looked at anew, some times."""
    iptables = find("iptables")
    if iptables is None:
        return False
    from wherry.network.foreign import changes

    changed = False
    for left in reversed(range(_ATTEMPTS)):
        needed = changes(_listing(iptables), bridges)
        changed = changed or bool(needed)
        if all(run((iptables, "-w", *change.split()), check=not left).status == 0 for change in needed):
            break
    return changed


def _close_firewalls(name: str) -> None:
    from wherry.network.foreign import rules_of

    iptables = find("iptables")
    for rule in rules_of(_listing(iptables), name) if iptables else ():
        run((str(iptables), "-w", "-D", *rule.split()[1:]), check=False)


def _listing(iptables: str) -> str:
    return run((iptables, "-w", "-S"), check=False).stdout.decode(errors="replace")
