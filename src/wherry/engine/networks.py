"""Which networks there are and who has which address on them. The kernel's side is `wherry.network`.

Addresses are rows with a unique key, taken in the transaction that looks for a free one, so two commands at once never
hand out the same; a container's rows go when it is taken apart.
"""

from __future__ import annotations

import os

from wherry.base.errors import Conflict, InvalidInput, NotFound, Unavailable, Unsupported
from wherry.base.jsontext import decode, encode
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from wherry.base.paths import Layout
    from wherry.network import Bridge
    from wherry.store import Database

__all__ = ["Network", "NetworkRequest", "Networks", "address_to_number", "next_free", "number_to_address"]

_MIGRATIONS = (
    """
    CREATE TABLE networks (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        bridge TEXT NOT NULL UNIQUE,
        subnet TEXT NOT NULL,
        gateway TEXT NOT NULL,
        last INTEGER NOT NULL,
        created INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE addresses (
        network TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
        address INTEGER NOT NULL,
        owner TEXT NOT NULL,
        PRIMARY KEY (network, address)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX addresses_by_owner ON addresses (owner);
    """,
    "ALTER TABLE networks ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';",
    """
    CREATE TABLE former_addresses (
        owner TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
        network TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
        address INTEGER NOT NULL,
        PRIMARY KEY (owner, network)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX former_addresses_by_network ON former_addresses (network);
    """,
)
_COLUMNS = "id, name, bridge, subnet, gateway, created, settings"
_REMOVED = "removed:"  # what the name of a network begins with while it is being taken off the machine
_PREDEFINED = ("bridge", "host", "none", "default")
_OPTIONS = (
    "com.docker.network.bridge.name",
    "com.docker.network.bridge.enable_icc",
    "com.docker.network.bridge.enable_ip_masquerade",
    "com.docker.network.driver.mtu",
)


class NetworkRequest(NamedTuple):
    """What `network create` asks for; an empty subnet is chosen, an empty gateway is its first address."""

    name: str
    driver: str = "bridge"
    subnet: str = ""
    gateway: str = ""
    ip_range: str = ""
    internal: bool = False
    labels: dict[str, str] = {}  # noqa: RUF012 (a value is never changed)
    options: dict[str, str] = {}  # noqa: RUF012


class Network(NamedTuple):
    """One network: `subnet` is `10.88.0.0/16`, `gateway` the bridge's own address; `request` None for the default."""

    id: str
    name: str
    bridge: str
    subnet: str
    gateway: str
    created: int
    request: NetworkRequest | None = None

    @property
    def prefix(self) -> int:
        """The length of the network part of an address, in bits."""
        return int(self.subnet.partition("/")[2])

    @property
    def internal(self) -> bool:
        """Whether nothing leads out of it."""
        return self.request is not None and self.request.internal

    @property
    def labels(self) -> dict[str, str]:
        """What the user attached to it."""
        return self.request.labels if self.request else {}

    def option(self, name: str, default: str = "") -> str:
        """A driver option, by the last part of its name."""
        options = self.request.options if self.request else {}
        return next((value for key, value in options.items() if key.endswith(f".{name}")), default)

    def is_on(self, name: str) -> bool:
        """A driver option that is true unless it was switched off."""
        return self.option(name, "true").lower() not in ("false", "0", "f")

    def as_bridge(self) -> Bridge:
        """What the kernel has to know of it."""
        from wherry.network import Bridge

        return Bridge(
            self.bridge,
            self.subnet,
            self.gateway,
            internal=self.internal,
            masquerade=self.is_on("enable_ip_masquerade"),
            names=self.request is not None,
            mtu=int(self.option("mtu", "0")),
        )


def _network(row: tuple[Any, ...]) -> Network:
    settings = decode(row[6])
    identifier, name, bridge, subnet, gateway, created = row[:6]
    request = NetworkRequest(**settings) if settings else None
    return Network(identifier, name, bridge, subnet, gateway, created, request)


class Networks:
    """The networks of one installation; the default one, `bridge`, is made when it is first needed."""

    def __init__(self, database: Database, layout: Layout, clock: Callable[[], int]) -> None:
        database.migrate("networks", _MIGRATIONS)
        self._database = database
        self._layout = layout
        self._clock = clock

    def default(self) -> Network:
        """The network of containers that name none."""
        found = self._find("bridge")
        return found if found is not None else self._make_default()

    def _make_default(self) -> Network:
        from wherry.network import default_bridge

        bridge: Bridge = default_bridge(self._layout.tag)
        row = (_new_id(), "bridge", bridge.name, bridge.subnet, bridge.gateway, 0, self._clock(), "{}")
        with self._database.write() as connection:
            connection.execute("INSERT OR IGNORE INTO networks VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        return self.resolve("bridge")

    def create(self, request: NetworkRequest) -> Network:
        """A new network, as a row; its bridge is made by whoever holds the firewall. Raises in Docker's words."""
        _check_request(request)
        from wherry.network.bridge import used_networks

        identifier = _new_id()
        tag = self._layout.tag
        bridge = request.options.get("com.docker.network.bridge.name") or f"wh{tag}n{identifier[: 12 - len(tag)]}"
        if os.path.exists(f"/sys/class/net/{bridge}"):
            raise Conflict(f"cannot create network {request.name}: the machine has an interface {bridge} already")
        with self._database.write() as connection:
            others = self._select(connection, "")
            if any(one.name == request.name for one in others):
                raise Conflict(f"network with name {request.name} already exists")
            if any(one.bridge == bridge for one in others):
                raise Conflict(f"networks have same bridge name: {bridge}")
            subnet, gateway = choose_addresses(request, [one.subnet for one in others], used_networks(), identifier)
            row = (identifier, request.name, bridge, subnet, gateway, 0, self._clock(), encode(request._asdict()))
            connection.execute("INSERT INTO networks VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        return self.resolve(identifier)

    def retire(self, network: Network) -> None:
        """Let nobody use it any more. Raises Conflict in Docker's words while a container does."""
        if network.request is None:
            raise Conflict(f"{network.name} is a pre-defined network and cannot be removed")
        with self._database.write() as connection:
            used = connection.execute("SELECT 1 FROM addresses WHERE network = ?", (network.id,)).fetchone()
            if used:
                raise Conflict(
                    f"error while removing network: network {network.name} id {network.id} has active endpoints",
                    hint="stop or disconnect the containers that `wherry network inspect` shows",
                )
            connection.execute("UPDATE networks SET name = ? WHERE id = ?", (_REMOVED + network.id, network.id))

    def retired(self) -> list[Network]:
        """Those that nobody can use and that are still on the machine."""
        with self._database.read() as connection:
            return self._select(connection, f"WHERE substr(name, 1, {len(_REMOVED)}) = '{_REMOVED}'")

    def forget(self, network: Network) -> None:
        """Delete the row; harmless where it is gone."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM networks WHERE id = ?", (network.id,))

    def all(self) -> list[Network]:
        """All networks by name, the default one included."""
        self.default()
        with self._database.read() as connection:
            return self._select(connection, "ORDER BY name", live=True)

    def bridges(self) -> list[Bridge]:
        """What the kernel has to know of every network."""
        return [one.as_bridge() for one in self.all()]

    def resolve(self, text: str) -> Network:
        """By name or identifier (or its unique beginning). Raises NotFound in Docker's words."""
        found = self._find(text)
        if found is None:
            raise NotFound(f"network {text} not found", hint="`wherry network ls` shows all networks")
        return found

    def find(self, mode: str) -> Network:
        """The network that `--network` names. Raises NotFound in Docker's words."""
        return self.default() if mode in ("bridge", "default") else self.resolve(mode)

    def _find(self, text: str) -> Network | None:
        with self._database.read() as connection:
            found = self._select(
                connection,
                "WHERE name = ? OR id = ? OR (length(?) >= 3 AND substr(id, 1, length(?)) = ?) ORDER BY name = ? DESC",
                (text,) * 6,
                live=True,
            )
        return found[0] if found else None

    @staticmethod
    def _select(connection: Any, where: str, values: tuple[str, ...] = (), *, live: bool = False) -> list[Network]:
        rows = connection.execute(f"SELECT {_COLUMNS} FROM networks {where}", values).fetchall()  # noqa: S608 (our own words)
        return [_network(row) for row in rows if not live or not row[1].startswith(_REMOVED)]

    def take_address(self, network: Network, owner: str, wanted: str = "") -> str:
        """Give `owner` an address: the one it has, the one it wants, the one it had, or the next free one.

        What another container had is free only where nothing else is. Raises Unavailable where there is none left, or
        where the wanted one is taken or outside the network.
        """
        first, last = usable(network.subnet)
        gateway = address_to_number(network.gateway)
        with self._database.write() as connection:
            name = connection.execute("SELECT name FROM networks WHERE id = ?", (network.id,)).fetchone()
            if name is None or name[0].startswith(_REMOVED):
                raise NotFound(f"network {network.name} not found")
            rows = connection.execute(
                "SELECT address, owner FROM addresses WHERE network = ?", (network.id,)
            ).fetchall()
            own = [address for address, holder in rows if holder == owner]
            if own:
                return number_to_address(own[0])
            taken = {address for address, _ in rows} | {gateway}
            if wanted:
                number = address_to_number(wanted)
                if not first <= number <= last:
                    raise InvalidInput(
                        f"Invalid address {wanted}: It does not belong to any of this network's subnets.",
                        hint=f"the network {network.name} has {network.subnet}",
                    )
                if number in taken:
                    raise Conflict(f"Address already in use: {wanted}")
            else:
                after = int(connection.execute("SELECT last FROM networks WHERE id = ?", (network.id,)).fetchone()[0])
                former = dict(
                    connection.execute(
                        "SELECT owner, address FROM former_addresses WHERE network = ?", (network.id,)
                    ).fetchall()
                )
                number = choose_number(range_of(network), taken, former, owner, after)
            connection.execute("INSERT INTO addresses VALUES (?, ?, ?)", (network.id, number, owner))
            connection.execute("UPDATE networks SET last = ? WHERE id = ?", (number, network.id))
        return number_to_address(number)

    def free_addresses(self, owner: str, network: str = "") -> None:
        """Give back all that `owner` has (on one network); harmless where it has none.

        It is remembered what a container had, for when it is started again.
        """
        with self._database.write() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO former_addresses SELECT owner, network, address FROM addresses"
                " WHERE owner = ? AND ? IN ('', network) AND owner IN (SELECT id FROM containers)",
                (owner, network),
            )
            connection.execute("DELETE FROM addresses WHERE owner = ? AND ? IN ('', network)", (owner, network))


def choose_number(bounds: tuple[int, int], taken: set[int], former: Mapping[str, int], owner: str, after: int) -> int:
    """The owner's former number where that is free, else the next one that is nobody's, nor anybody's former one.

    Where there is none, others' former ones are taken, too.
    """
    first, last = bounds
    mine = former.get(owner)
    if mine is not None and mine not in taken and first <= mine <= last:
        return mine
    try:
        return next_free(first, last, taken | set(former.values()), after)
    except Unavailable:
        return next_free(first, last, taken, after)


def next_free(first: int, last: int, taken: set[int], after: int) -> int:
    """The first free number above `after`, going round once. An address just given back is the last to be reused."""
    start = after + 1 if first <= after < last else first
    for numbers in (range(start, last + 1), range(first, start)):
        for number in numbers:
            if number not in taken:
                return number
    raise Unavailable("no available IPv4 addresses on this network", hint="remove containers that are not needed")


def range_of(network: Network) -> tuple[int, int]:
    """The first and the last number that containers are given unless they ask for another."""
    first, last = usable(network.subnet)
    if network.request is None or not network.request.ip_range:
        return first, last
    base, _, length = network.request.ip_range.partition("/")
    start = address_to_number(base)
    return max(first, start), min(last, start + (1 << 32 - int(length)) - 1)


def choose_addresses(
    request: NetworkRequest, others: list[str], used: list[tuple[int, int]], seed: str
) -> tuple[str, str]:
    """The subnet and the gateway of a new network beside `others`; `used` are the machine's routes.

    Raises InvalidInput or Conflict in Docker's words.
    """
    from ipaddress import IPv4Network, ip_address, ip_network

    taken = [IPv4Network(other) for other in others]
    if not request.subnet:
        from wherry.network.bridge import free_subnet

        known = [(int(one.network_address), int(one.netmask)) for one in taken]
        subnet = free_subnet([*used, *known], int(seed[:6], 16))
        return subnet, number_to_address(usable(subnet)[0])
    try:
        network = ip_network(request.subnet, strict=False)
    except ValueError:
        network = None
    if network is None or "/" not in request.subnet:
        raise InvalidInput(f"Invalid subnet {request.subnet} : invalid CIDR address: {request.subnet}")
    if not isinstance(network, IPv4Network):
        raise Unsupported("networks with IPv6 addresses are not supported", hint="give an IPv4 subnet")
    if network.prefixlen > 30:
        raise InvalidInput(f"Invalid subnet {request.subnet}: it has no room for containers")
    if any(network.overlaps(other) for other in taken):
        raise Conflict("Pool overlaps with other one on this address space", hint="give another --subnet")
    _check_inside(request, network)
    gateway = str(ip_address(request.gateway)) if request.gateway else str(network[1])
    return str(network), gateway


def _check_inside(request: NetworkRequest, network: Any) -> None:
    from ipaddress import ip_address, ip_network

    try:
        if request.gateway and ip_address(request.gateway) not in network:
            raise InvalidInput(f"no matching subnet for gateway {request.gateway}")
        within = ip_network(request.ip_range, strict=False) if request.ip_range else network
    except ValueError as error:
        raise InvalidInput(f"invalid address: {error}") from None
    if within.version != network.version or not within.subnet_of(network):
        raise InvalidInput(f"no matching subnet for range {request.ip_range}")


def _check_request(request: NetworkRequest) -> None:
    import re

    if request.name in _PREDEFINED:
        raise Conflict(f"operation is not permitted on predefined {request.name} network")
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", request.name):
        raise InvalidInput(f"invalid network name: {request.name}", hint="use letters, digits, `_`, `.` and `-`")
    if request.driver in ("host", "null"):
        raise Conflict(f'only one instance of "{request.driver}" network is allowed')
    if request.driver != "bridge":
        raise Unsupported(f'plugin "{request.driver}" not found', hint="the network driver bridge is supported")
    if (request.gateway or request.ip_range) and not request.subnet:
        raise InvalidInput("every ip-range or gateway must have a corresponding subnet")
    for name, value in request.options.items():
        if name not in _OPTIONS:
            raise Unsupported(f"network option {name} is not supported", hint=f"there are: {', '.join(_OPTIONS)}")
        if name.endswith(".mtu") and not value.isdigit():
            raise InvalidInput(f"invalid MTU: {value}")
        if name.endswith(".name") and not re.fullmatch(r"[^/\s:]{1,15}", value):
            raise InvalidInput(f"invalid bridge name: {value}", hint="at most 15 characters")


def usable(subnet: str) -> tuple[int, int]:
    """The first and the last number that a host of `subnet` may have."""
    base, _, length = subnet.partition("/")
    network = address_to_number(base)
    return network + 1, network + (1 << 32 - int(length)) - 2


def address_to_number(address: str) -> int:
    """`10.88.0.1` as a number. Raises InvalidInput for what is not an IPv4 address."""
    parts = address.split(".")
    if len(parts) != 4 or not all(part.isdigit() and int(part) < 256 for part in parts):
        raise InvalidInput(f"invalid IPv4 address: {address}")
    return int.from_bytes(bytes(map(int, parts)), "big")


def number_to_address(number: int) -> str:
    """The inverse of `address_to_number`."""
    return ".".join(str(byte) for byte in number.to_bytes(4, "big"))


def _new_id() -> str:
    return os.urandom(32).hex()
