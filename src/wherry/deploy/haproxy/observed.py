"""What HAProxy says through its socket, parsed. Pure. (HAProxy 2.6, management.txt#9.3)"""

from __future__ import annotations

from wherry.base.values import NamedTuple

__all__ = [
    "MapEntry",
    "Observed",
    "ObservedServer",
    "Statistics",
    "parse_certificates",
    "parse_map",
    "parse_servers",
    "parse_statistics",
]


class ObservedServer(NamedTuple):
    """A server that is there. `ready` is whether nothing administrative keeps it from getting requests."""

    weight: int
    ready: bool
    maintained: bool


class MapEntry(NamedTuple):
    """One entry of a map; `reference` names it (`0x55…`), also among several of one key."""

    reference: str
    key: str
    value: str


class Observed(NamedTuple):
    """All that a `Wanted` is compared with."""

    servers: dict[str, dict[str, ObservedServer]]
    maps: dict[str, list[MapEntry]]
    certificates: list[str]


class Statistics(NamedTuple):
    """One server's line of `show stat`; times are in milliseconds, `changed` in seconds."""

    slot: str
    server: str
    status: str
    sessions: int
    requests: int
    responses: tuple[int, int, int, int, int]
    failures: int
    queue_ms: float
    response_ms: float
    weight: int
    changed: float
    check: str
    check_code: str
    check_words: str


_FORCED_MAINTENANCE = 0x01
_SERVER = "2"


def parse_servers(text: str) -> dict[str, dict[str, ObservedServer]]:
    """`show servers state`, by slot and name."""
    servers: dict[str, dict[str, ObservedServer]] = {}
    lines = text.splitlines()
    titles = next((line[2:].split() for line in lines if line.startswith("# be_id")), [])
    for line in lines:
        values = line.split()
        if line.startswith("#") or len(values) < len(titles) or len(values) < 2:
            continue
        row = dict(zip(titles, values, strict=False))
        admin = int(row["srv_admin_state"])
        server = ObservedServer(int(row["srv_uweight"]), not admin, bool(admin & _FORCED_MAINTENANCE))
        servers.setdefault(row["be_name"], {})[row["srv_name"]] = server
    return servers


def parse_map(text: str) -> list[MapEntry]:
    """`show map NAME`."""
    found = []
    for line in text.splitlines():
        reference, _, rest = line.partition(" ")
        key, _, value = rest.partition(" ")
        if reference.startswith("0x"):
            found.append(MapEntry(reference, key, value))
    return found


def parse_certificates(text: str) -> list[str]:
    """`show ssl crt-list NAME`: the paths that are in it."""
    return [line.split()[0] for line in text.splitlines() if line.strip() and not line.startswith("#")]


def parse_statistics(text: str) -> list[Statistics]:
    """`show stat`, of servers."""
    import csv

    rows = csv.DictReader(text.lstrip("# \n").splitlines())
    return [_statistics(row) for row in rows if row.get("type") == _SERVER]


def _statistics(row: dict[str, str]) -> Statistics:
    def number(name: str) -> int:
        return int(row[name] or 0)

    classes = (number("hrsp_1xx"), number("hrsp_2xx"), number("hrsp_3xx"), number("hrsp_4xx"), number("hrsp_5xx"))
    return Statistics(
        row["pxname"],
        row["svname"],
        row["status"],
        number("scur"),
        number("stot"),
        classes,
        number("econ") + number("eresp"),
        float(number("qtime")),
        float(number("rtime")),
        number("weight"),
        float(number("lastchg")),
        row["check_status"],
        row["check_code"],
        row["last_chk"] or row["check_desc"],
    )
