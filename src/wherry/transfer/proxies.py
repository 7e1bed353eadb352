"""Which proxy leads to a host: HTTP_PROXY, HTTPS_PROXY and NO_PROXY as Go's programs, and so Docker, read them."""

from __future__ import annotations

from urllib.parse import SplitResult, unquote, urlsplit

from wherry.base.errors import InvalidInput, Unsupported
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Proxy", "find_proxy", "is_loopback"]


class Proxy(NamedTuple):
    """Where the proxy listens (`host:port`), and the `Proxy-Authorization` that it wants, if any."""

    address: str
    authorization: str = ""


def is_loopback(host: str) -> bool:
    """Whether `host` (with a port or not) is this machine by its very address; names that look like one are not."""
    from ipaddress import ip_address

    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def find_proxy(scheme: str, host: str, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy for `scheme://host`, or None for the direct way; loopback is always reached directly.

    Raises InvalidInput for an address that is none, Unsupported for proxies that are not spoken to over plain HTTP.
    """
    name = f"{scheme}_proxy"
    text = environ.get(name.upper()) or environ.get(name) or ""
    if not text or is_loopback(host) or _is_exempt(host, scheme, environ):
        return None
    try:
        address = urlsplit(text if "://" in text else f"http://{text}")
        port = address.port or 80
    except ValueError:
        raise InvalidInput(f"{name.upper()} is not the address of a proxy") from None
    if address.scheme != "http" or not address.hostname:
        raise Unsupported(
            f"{name.upper()} names a proxy of a kind that is not supported: {address.scheme}://{address.hostname}",
            hint="proxies that speak plain HTTP are supported, for https:// registries too",
        )
    shown = f"[{address.hostname}]" if ":" in address.hostname else address.hostname
    return Proxy(f"{shown}:{port}", _authorization(address))


def _authorization(address: SplitResult) -> str:
    if address.username is None:
        return ""
    import base64

    pair = f"{unquote(address.username)}:{unquote(address.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _is_exempt(host: str, scheme: str, environ: Mapping[str, str]) -> bool:
    """Whether NO_PROXY lists the host: `*`, a name and those below it, `.name`, an address, a network; with a port."""
    target = urlsplit(f"//{host}")
    name, port = (target.hostname or "").lower(), target.port or (443 if scheme == "https" else 80)
    for entry in (environ.get("NO_PROXY") or environ.get("no_proxy") or "").lower().split(","):
        if entry.strip() and _matches(entry.strip(), name, port):
            return True
    return False


def _matches(entry: str, name: str, port: int) -> bool:
    from ipaddress import ip_address, ip_network

    if entry == "*":
        return True
    try:
        return ip_address(name) in ip_network(entry, strict=False)
    except ValueError:
        pass
    wanted, colon, wanted_port = entry.rpartition(":")
    if colon and wanted_port.isdecimal() and not (":" in wanted and not wanted.endswith("]")):
        if int(wanted_port) != port:
            return False
        entry = wanted.strip("[]")
    entry = entry.removeprefix("*")
    return name.endswith(entry) if entry.startswith(".") else name == entry or name.endswith(f".{entry}")
