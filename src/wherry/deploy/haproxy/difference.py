"""From what HAProxy holds to what it has to hold: steps whose order leaves no request without a server. Pure."""

from __future__ import annotations

from wherry.base.values import NamedTuple
from wherry.deploy.haproxy.configuration import CERTIFICATES, certificate_path, map_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from wherry.deploy.haproxy.observed import MapEntry, Observed, ObservedServer
    from wherry.deploy.haproxy.wanted import Wanted, WantedServer

__all__ = ["Command", "Replacement", "Step", "difference", "pieces"]

_PAYLOAD_BYTES = 8192  # a command and its payload fit into one of HAProxy's buffers of 16 KiB


class Command(NamedTuple):
    """One command. Where it is `optional`, its failure means that it is not its time yet."""

    text: str
    optional: bool = False


class Replacement(NamedTuple):
    """A map whose entries are replaced, all of them in one moment."""

    path: str
    entries: dict[str, str]


Step = Command | Replacement


def difference(observed: Observed, wanted: Wanted, *, tls: bool) -> list[Step]:
    """What has to be done, empty where nothing is.

    What is new is made first; then the rules change, in one moment; then what is old is taken away. Servers that are no
    longer wanted get no request from then on, keep those that they have, and are deleted by a later call.
    """
    steps: list[Step] = []
    if tls:
        steps += _new_certificates(observed, wanted)
    for name in ("challenges", "checks", "check-hosts", "codes"):
        steps += _changed_entries(name, observed.maps[name], wanted.maps[name])
    for slot, servers in wanted.servers.items():
        steps += _raised_servers(slot, observed.servers.get(slot, {}), servers)
    for name in ("sticky", "routes"):
        steps += _changed_entries(name, observed.maps[name], wanted.maps[name])
    if {entry.key: entry.value for entry in observed.maps["hosts"]} != wanted.maps["hosts"]:
        steps.append(Replacement(map_path("hosts"), wanted.maps["hosts"]))
    for name in ("sticky", "codes", "check-hosts", "checks", "challenges"):
        steps += _stale_entries(name, observed.maps[name], wanted.maps[name])
    steps += _stale_routes(observed, wanted)
    for slot, servers in wanted.servers.items():
        steps += _lowered_servers(slot, observed.servers.get(slot, {}), servers)
    for slot, present in observed.servers.items():
        steps += _stale_servers(slot, present, wanted.servers.get(slot, {}))
    if tls:
        steps += _stale_certificates(observed, wanted)
    return steps


def _new_certificates(observed: Observed, wanted: Wanted) -> Iterator[Command]:
    for name, pem in wanted.certificates.items():
        path = certificate_path(name)
        if path not in observed.certificates:
            # What an earlier call left half-made is dropped first.
            yield Command(f"abort ssl cert {path}", optional=True)
            yield Command(f"del ssl cert {path}", optional=True)
            yield Command(f"new ssl cert {path}")
            yield Command(f"set ssl cert {path} <<\n{pem}")
            yield Command(f"commit ssl cert {path}")
            yield Command(f"add ssl crt-list {CERTIFICATES} {path}")


def _stale_certificates(observed: Observed, wanted: Wanted) -> Iterator[Command]:
    kept = {certificate_path(name) for name in ("default.pem", *wanted.certificates)}
    for path in observed.certificates:
        if path not in kept:
            yield Command(f"del ssl crt-list {CERTIFICATES} {path}")
            yield Command(f"del ssl cert {path}", optional=True)


def _changed_entries(name: str, present: list[MapEntry], wanted: dict[str, str]) -> Iterator[Command]:
    path = map_path(name)
    known = {entry.key: entry for entry in present}
    missing = [f"{key} {value}" for key, value in wanted.items() if key not in known]
    for piece in pieces(missing):
        yield Command(f"add map {path} <<\n{piece}")
    for key, value in wanted.items():
        if key in known and known[key].value != value:
            yield Command(f"set map {path} #{known[key].reference} {_escaped(value)}")


def _stale_entries(name: str, present: list[MapEntry], wanted: dict[str, str]) -> Iterator[Command]:
    for entry in present:
        if entry.key not in wanted:
            yield Command(f"del map {map_path(name)} #{entry.reference}")


def _stale_routes(observed: Observed, wanted: Wanted) -> Iterator[Command]:
    """But not of the rules that held until now: a request may be between the two maps. The next call takes them."""
    before = {entry.value for entry in observed.maps["hosts"]}
    for entry in observed.maps["routes"]:
        if entry.key not in wanted.maps["routes"] and entry.key.partition("/")[0] not in before:
            yield Command(f"del map {map_path('routes')} #{entry.reference}")


def _raised_servers(
    slot: str, present: dict[str, ObservedServer], wanted: dict[str, WantedServer]
) -> Iterator[Command]:
    """Add what is missing, and give more to those that are to have more."""
    for name, server in wanted.items():
        there = present.get(name)
        if there is None:
            yield Command(f"add server {slot}/{name} {server.arguments} weight {server.weight}")
        elif there.weight < server.weight:
            yield Command(f"set server {slot}/{name} weight {server.weight}")
        if there is None or not there.ready:
            yield Command(f"enable health {slot}/{name}")
            yield Command(f"set server {slot}/{name} state ready")
            yield Command(f"set server {slot}/{name} health up")


def _lowered_servers(
    slot: str, present: dict[str, ObservedServer], wanted: dict[str, WantedServer]
) -> Iterator[Command]:
    for name, server in wanted.items():
        if name in present and present[name].weight > server.weight:
            yield Command(f"set server {slot}/{name} weight {server.weight}")


def _stale_servers(slot: str, present: dict[str, ObservedServer], wanted: dict[str, WantedServer]) -> Iterator[Command]:
    for name, server in present.items():
        if name not in wanted:
            if not server.maintained:
                yield Command(f"set server {slot}/{name} state maint")
            yield Command(f"del server {slot}/{name}", optional=True)


def _escaped(value: str) -> str:
    return "".join(f"\\{character}" if character in "\\; " else character for character in value)


def pieces(lines: list[str]) -> Iterator[str]:
    """The lines, as texts that fit into a payload."""
    piece = ""
    for line in lines:
        if piece and len(piece) + len(line) > _PAYLOAD_BYTES:
            yield piece
            piece = ""
        piece += f"{line}\n"
    if piece:
        yield piece
