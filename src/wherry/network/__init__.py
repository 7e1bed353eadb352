"""Floor 3: bridges, addresses on the wire, published ports, firewalls, and the files that names are resolved by.

Who has which address is the engine's to remember; here is only what the kernel is told.
"""

from wherry.network.bridge import Bridge, default_bridge
from wherry.network.endpoint import Cable, Endpoint, Namespace, connect, disconnect, open_namespace
from wherry.network.firewall import Firewall, Wanted
from wherry.network.ports import Reservation, reserve, stop_relay
from wherry.network.ruleset import PortMapping, Publication

__all__ = [
    "Bridge",
    "Cable",
    "Endpoint",
    "Firewall",
    "Namespace",
    "PortMapping",
    "Publication",
    "Reservation",
    "Wanted",
    "connect",
    "default_bridge",
    "disconnect",
    "open_namespace",
    "reserve",
    "stop_relay",
]
