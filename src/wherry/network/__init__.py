"""Floor 3: bridges, addresses on the wire, published ports, and the files that names are resolved by.

Who has which address is the engine's to remember; here is only what the kernel is told.
"""

from wherry.network.bridge import Bridge, default_bridge, destroy_bridge, ensure_bridge
from wherry.network.endpoint import Endpoint, Namespace, connect, disconnect, open_namespace
from wherry.network.ports import PortMapping, publish, reserve, unpublish

__all__ = [
    "Bridge",
    "Endpoint",
    "Namespace",
    "PortMapping",
    "connect",
    "default_bridge",
    "destroy_bridge",
    "disconnect",
    "ensure_bridge",
    "open_namespace",
    "publish",
    "reserve",
    "unpublish",
]
