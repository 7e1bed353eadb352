"""Networks of a project in the engine's words. Pure. What the engine's networks have not is refused by its key."""

from __future__ import annotations

from wherry.base.errors import Conflict, Unsupported
from wherry.engine.networks import NetworkRequest
from wherry.engine.request import EndpointRequest, endpoints_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from wherry.compose.engine import Attachment, NetworkWish
    from wherry.engine.records import Container
    from wherry.engine.request import ContainerRequest

__all__ = ["attached", "network_names", "network_request"]

_MODES = ("host", "none")  # networks by name only: they can be called external, and are joined alone


def network_request(wish: NetworkWish) -> NetworkRequest:
    """The network to make. Raises Unsupported by the key; names, addresses and options are checked by the engine."""
    config = wish.config
    if config.get("enable_ipv6"):
        raise _unsupported(wish, "enable_ipv6", "leave the key out: networks have IPv4 addresses")
    if config.get("enable_ipv4") is False:
        raise _unsupported(wish, "enable_ipv4: false", "leave the key out: networks have IPv4 addresses")
    return NetworkRequest(
        wish.name,
        driver=config.get("driver") or "bridge",
        internal=bool(config.get("internal")),
        labels=wish.labels,
        options={name: _text(value) for name, value in config.get("driver_opts", {}).items()},
        **_pool(wish, config.get("ipam", {})),
    )


def _pool(wish: NetworkWish, ipam: dict[str, Any]) -> dict[str, str]:
    if ipam.get("driver", "default") != "default":
        raise _unsupported(wish, f"ipam.driver: {ipam['driver']}", "there is one, and it is the default")
    if ipam.get("options"):
        raise _unsupported(wish, "ipam.options", "the default driver has none")
    pools = ipam.get("config", [])
    if len(pools) > 1:
        raise _unsupported(wish, "ipam.config with several subnets", "give one subnet")
    pool = pools[0] if pools else {}
    if pool.get("aux_addresses"):
        raise _unsupported(wish, "ipam.config.aux_addresses", "choose an ip_range instead")
    return {key: pool[key] for key in ("subnet", "gateway", "ip_range") if pool.get(key)}


def _unsupported(wish: NetworkWish, key: str, hint: str) -> Unsupported:
    return Unsupported(f"network {wish.name}: {key} is not supported yet", hint=hint)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def attached(request: ContainerRequest, attachments: Sequence[Attachment]) -> ContainerRequest:
    """The request with its networks; as it is where there are none (it has a mode). Raises Conflict for what cannot be
    joined together."""
    if not attachments:
        return request
    names = [one.network for one in attachments]
    mode = next((name for name in names if name in _MODES), "")
    if mode and len(names) > 1:
        raise Conflict(f"container {request.name} cannot be on the network {mode} and on others: {', '.join(names)}")
    if mode:
        return request._replace(network=mode)
    endpoints = [
        EndpointRequest(one.network, one.aliases, (), one.ipv4_address, one.mac_address) for one in attachments
    ]
    return request._replace(network=names[0], endpoints=tuple(endpoints))


def network_names(container: Container) -> tuple[str, ...]:
    """The networks that it is on or, where it does not run, will be on."""
    joined = [one.name or "bridge" for one in container.network.joined()]
    mode = container.request.network
    wanted = [mode] if mode in _MODES else [one.network for one in endpoints_of(container.request)]
    return tuple(joined or wanted)
