"""The files in a container by which it resolves names: hosts, hostname, resolv.conf.

They are written in place, because a running container has them mounted.
"""

from __future__ import annotations

from wherry.base.errors import InvalidInput
from wherry.base.files import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from wherry.engine.request import ContainerRequest

__all__ = ["write_name_files"]


def write_name_files(
    directory: str,
    request: ContainerRequest,
    hostname: str,
    *,
    addresses: Sequence[str],
    gateway: str,
    name_server: str,
    links: Sequence[tuple[str, str]] = (),
) -> None:
    """Write them into `directory`; `name_server` is a network's, empty where names are asked of the host's servers."""
    from wherry.network.names import hosts_file, resolv_conf

    extra = [_add_host(entry, gateway or "127.0.0.1") for entry in request.add_hosts]
    host = read_text("/etc/resolv.conf")
    servers, options = request.dns, request.dns_options
    if name_server:
        servers, options = (name_server,), options or ("ndots:0",)
    files = {
        "hosts": hosts_file(addresses, hostname, request.domainname, [*extra, *links]),
        "hostname": hostname + "\n",
        "resolv.conf": resolv_conf(host, servers, request.dns_search, options, own_network=request.network != "host"),
    }
    for name, text in files.items():
        with open(f"{directory}/{name}", "w", encoding="utf-8") as file:
            file.write(text)


def _add_host(entry: str, gateway: str) -> tuple[str, str]:
    name, separator, address = entry.partition(":")
    if not separator or not name or not address:
        raise InvalidInput(f'bad format for add-host: "{entry}"', hint="write name:address")
    return name, gateway if address == "host-gateway" else address.strip("[]")
