"""Which networks there are and who has which address on them. The kernel's side is `wherry.network`.

Addresses are rows with a unique key, taken in the transaction that looks for a free one, so two commands at once never
hand out the same; a container's rows go when it is taken apart.
"""

from __future__ import annotations

from wherry.base.errors import NotFound, Unavailable
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.base.paths import Layout
    from wherry.network import Bridge
    from wherry.store import Database

__all__ = ["Network", "Networks", "address_to_number", "next_free", "number_to_address"]

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
)


class Network(NamedTuple):
    """One network: `subnet` is `10.88.0.0/16`, `gateway` the bridge's own address."""

    id: str
    name: str
    bridge: str
    subnet: str
    gateway: str
    created: int

    @property
    def prefix(self) -> int:
        """The length of the network part of an address, in bits."""
        return int(self.subnet.partition("/")[2])


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
        row = (_new_id(), "bridge", bridge.name, bridge.subnet, bridge.gateway, 0, self._clock())
        with self._database.write() as connection:
            connection.execute("INSERT OR IGNORE INTO networks VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        return self.resolve("bridge")

    def all(self) -> list[Network]:
        """All networks by name, the default one included."""
        self.default()
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT id, name, bridge, subnet, gateway, created FROM networks ORDER BY name"
            ).fetchall()
        return [Network(*row) for row in rows]

    def bridges(self) -> list[Bridge]:
        """What the kernel has to know of every network that has been made."""
        from wherry.network import Bridge

        return [Bridge(one.bridge, one.subnet, one.gateway) for one in self.all()]

    def resolve(self, text: str) -> Network:
        """By name or identifier (or its unique beginning). Raises NotFound in Docker's words."""
        found = self._find(text)
        if found is None:
            raise NotFound(f"network {text} not found", hint="`wherry network ls` shows all networks")
        return found

    def _find(self, text: str) -> Network | None:
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT id, name, bridge, subnet, gateway, created FROM networks"
                " WHERE name = ? OR id = ? OR (length(?) >= 3 AND substr(id, 1, length(?)) = ?)"
                " ORDER BY name = ? DESC",
                (text,) * 6,
            ).fetchall()
        return Network(*rows[0]) if rows else None

    def take_address(self, network: Network, owner: str, wanted: str = "") -> str:
        """Give `owner` an address: the one it has, the one it wants, or the next free one.

        Raises Unavailable where there is none left, or where the wanted one is taken or outside the network.
        """
        first, last = usable(network.subnet)
        gateway = address_to_number(network.gateway)
        with self._database.write() as connection:
            rows = connection.execute(
                "SELECT address, owner FROM addresses WHERE network = ?", (network.id,)
            ).fetchall()
            own = [address for address, holder in rows if holder == owner]
            if own:
                return number_to_address(own[0])
            taken = {address for address, _ in rows} | {gateway}
            if wanted:
                number = address_to_number(wanted)
                if number in taken or not first <= number <= last:
                    raise Unavailable(f"Address already in use or outside {network.subnet}: {wanted}")
            else:
                after = int(connection.execute("SELECT last FROM networks WHERE id = ?", (network.id,)).fetchone()[0])
                number = next_free(first, last, taken, after)
            connection.execute("INSERT INTO addresses VALUES (?, ?, ?)", (network.id, number, owner))
            connection.execute("UPDATE networks SET last = ? WHERE id = ?", (number, network.id))
        return number_to_address(number)

    def free_addresses(self, owner: str) -> None:
        """Give back all that `owner` has; harmless where it has none."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM addresses WHERE owner = ?", (owner,))

    def owners(self) -> set[str]:
        """Who has an address on any network."""
        with self._database.read() as connection:
            return {row[0] for row in connection.execute("SELECT DISTINCT owner FROM addresses")}


def next_free(first: int, last: int, taken: set[int], after: int) -> int:
    """The first free number above `after`, going round once. An address just given back is the last to be reused."""
    start = after + 1 if first <= after < last else first
    for numbers in (range(start, last + 1), range(first, start)):
        for number in numbers:
            if number not in taken:
                return number
    raise Unavailable("no available IPv4 addresses on this network", hint="remove containers that are not needed")


def usable(subnet: str) -> tuple[int, int]:
    """The first and the last number that a host of `subnet` may have."""
    base, _, length = subnet.partition("/")
    network = address_to_number(base)
    return network + 1, network + (1 << 32 - int(length)) - 2


def address_to_number(address: str) -> int:
    """`10.88.0.1` as a number. Raises InvalidInput for what is not an IPv4 address."""
    from wherry.base.errors import InvalidInput

    parts = address.split(".")
    if len(parts) != 4 or not all(part.isdigit() and int(part) < 256 for part in parts):
        raise InvalidInput(f"invalid IPv4 address: {address}")
    return int.from_bytes(bytes(map(int, parts)), "big")


def number_to_address(number: int) -> str:
    """The inverse of `address_to_number`."""
    return ".".join(str(byte) for byte in number.to_bytes(4, "big"))


def _new_id() -> str:
    import os

    return os.urandom(32).hex()
