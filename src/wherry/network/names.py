"""The files by which a container resolves names: resolv.conf, hosts. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["hosts_file", "resolv_conf"]

_FALLBACK = ("8.8.8.8", "8.8.4.4")


def resolv_conf(
    host: str, servers: Sequence[str], search: Sequence[str], options: Sequence[str], *, own_network: bool
) -> str:
    """The container's resolv.conf from the host's and the user's wishes, by Docker's rules.

    In a network of its own the host's loopback servers cannot be reached: they are left out, and where none is left,
    public ones take their place.
    """
    lines = [line.split() for line in host.splitlines() if line.strip() and line[0] not in "#;"]
    found = [line[1] for line in lines if line[0] == "nameserver" and len(line) > 1]
    if own_network:
        found = [server for server in found if not server.startswith("127.") and server != "::1"] or list(_FALLBACK)
    domains = next((line[1:] for line in reversed(lines) if line[0] in ("search", "domain")), [])
    wanted = [option for line in lines if line[0] == "options" for option in line[1:]]
    domains = [] if list(search) == ["."] else list(search) or domains
    text = f"search {' '.join(domains)}\n" if domains else ""
    text += "".join(f"nameserver {server}\n" for server in servers or found)
    chosen = list(options) or wanted
    return text + (f"options {' '.join(chosen)}\n" if chosen else "")


def hosts_file(addresses: Iterable[str], hostname: str, domainname: str, extra: Iterable[tuple[str, str]]) -> str:
    """The container's hosts; `addresses` are its own, `extra` are names with their addresses."""
    lines = [
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::0\tip6-localnet",
        "ff00::0\tip6-mcastprefix",
        "ff02::1\tip6-allnodes",
        "ff02::2\tip6-allrouters",
        *(f"{where}\t{name}" for name, where in extra),
    ]
    full = f"{hostname}.{domainname} {hostname}" if domainname else hostname
    lines += [f"{address}\t{full}" for address in addresses]
    return "\n".join(lines) + "\n"
