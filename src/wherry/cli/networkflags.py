"""What `--network` and its like mean."""

from __future__ import annotations

from wherry.base.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from wherry.engine.request import EndpointRequest

__all__ = ["parse_networks"]


def parse_networks(values: Sequence[str], first: EndpointRequest) -> tuple[str, tuple[EndpointRequest, ...] | None]:
    """The mode, and the places on networks where they are more than the mode says.

    Each value is a name or `name=NAME,alias=...,ip=...,mac-address=...`; `first` has what other flags say of the first.
    """
    if not values:
        values = ("bridge",)
    endpoints = [_parse(value, first) for value in values]
    mode = endpoints[0].network
    is_network = mode not in ("host", "none") and not mode.startswith("container:")
    wanted = endpoints[0]._replace(
        aliases=(*endpoints[0].aliases, *first.aliases),
        links=first.links,
        ip_address=endpoints[0].ip_address or first.ip_address,
        mac_address=endpoints[0].mac_address or first.mac_address,
    )
    if not is_network:
        _check_mode(mode, wanted, len(endpoints))
        return mode, None
    for other in endpoints[1:]:
        if other.network in ("host", "none") or other.network.startswith("container:"):
            raise InvalidInput(f"conflicting options: cannot attach both to {mode} and to {other.network}")
    names = [each.network for each in endpoints]
    if len(set(names)) != len(names):
        raise InvalidInput(f"network {max(names, key=names.count)} is specified multiple times")
    plain = wanted == type(first)(mode, (), wanted.links, wanted.ip_address, wanted.mac_address)
    return mode, None if plain and len(endpoints) == 1 else (wanted, *endpoints[1:])


def _check_mode(mode: str, wanted: EndpointRequest, count: int) -> None:
    if mode == "container:":
        raise InvalidInput("invalid container format container:<name|id>")
    if count > 1:
        raise InvalidInput(f"conflicting options: cannot attach both to {mode} and to other networks")
    if wanted.aliases:
        raise InvalidInput("network-scoped alias is supported only for containers in user defined networks")
    if wanted.links and mode != "none":
        raise InvalidInput(f"conflicting options: {mode.partition(':')[0]} type networking can't be used with links")
    if wanted.ip_address:
        raise InvalidInput("user specified IP address is supported on user defined networks only")


def _parse(value: str, kind: EndpointRequest) -> EndpointRequest:
    endpoint = kind._replace(network=value, aliases=(), links=(), ip_address="", mac_address="")
    if "=" not in value:
        if not value:
            raise InvalidInput("invalid empty network name")
        return endpoint._replace(network="bridge") if value == "default" else endpoint
    endpoint = endpoint._replace(network="")
    for part in value.split(","):
        key, equals, text = part.partition("=")
        if not equals or not text:
            raise InvalidInput(f"invalid field {part}", hint="write name=NETWORK,alias=NAME,ip=ADDRESS")
        if key == "name":
            endpoint = endpoint._replace(network=text)
        elif key == "alias":
            endpoint = endpoint._replace(aliases=(*endpoint.aliases, text))
        elif key == "ip":
            endpoint = endpoint._replace(ip_address=text)
        elif key == "mac-address":
            endpoint = endpoint._replace(mac_address=text)
        else:
            raise InvalidInput(f"invalid field key {key}", hint="there are: name, alias, ip, mac-address")
    if not endpoint.network:
        raise InvalidInput(f"network name is not specified: {value}")
    return endpoint
