"""A container's end of the network: its namespace, its cable to the bridge, its address."""

from __future__ import annotations

import os
from typing import NamedTuple

from wherry.base.errors import WherryError
from wherry.base.files import remove_if_exists
from wherry.base.programs import require, run
from wherry.kernel.mounts import MS_BIND, mount, unmount
from wherry.network.bridge import interface

__all__ = ["Endpoint", "connect", "disconnect"]

_CLONE_NEWNET = 0x40000000


class Endpoint(NamedTuple):
    """What a container gets: `namespace` is the file that will name its network namespace."""

    container_id: str
    namespace: str
    bridge: str = ""  # empty for a network of its own with nothing but the loopback interface
    address: str = ""
    prefix: int = 0
    gateway: str = ""
    mac: str = ""
    tag: str = ""
    sysctls: tuple[tuple[str, str], ...] = ()


def connect(endpoint: Endpoint) -> None:
    """Make the namespace and, with a bridge, the cable and the address in it.

    A child enters a new namespace, gives it its name and waits; once the host has laid the cable into it, the child
    becomes the `ip` that configures its end. So the whole takes two runs of `ip`.
    """
    ip = require("ip")
    os.makedirs(os.path.dirname(endpoint.namespace), mode=0o711, exist_ok=True)
    os.close(os.open(endpoint.namespace, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o400))
    ready_read, ready_write = os.pipe2(os.O_CLOEXEC)
    go_read, go_write = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if not child:
        _inside(ip, endpoint, ready_write, go_read)
    try:
        os.close(ready_write)
        os.close(go_read)
        if os.read(ready_read, 1) != b"1":
            raise WherryError("cannot make a network namespace", hint="this needs root (CAP_SYS_ADMIN)")
        if endpoint.bridge:
            run((ip, "-batch", "-"), stdin=_outer(endpoint, child).encode())
        os.write(go_write, _inner(endpoint).encode())
    finally:
        os.close(ready_read)
        os.close(go_write)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        raise WherryError(f"cannot configure the network of {endpoint.container_id[:12]}: ip failed with {status}")


def _outer(endpoint: Endpoint, child: int) -> str:
    cable = interface(endpoint.tag, endpoint.container_id)
    return (
        f"link add {cable} type veth peer name eth0 address {endpoint.mac} netns {child}\n"
        f"link set {cable} master {endpoint.bridge} up\n"
        f"link set {cable} type bridge_slave hairpin on\n"  # a container may use its own published port
    )


def _inner(endpoint: Endpoint) -> str:
    lines = ["link set lo up"]
    if endpoint.bridge:
        lines += [
            f"addr add {endpoint.address}/{endpoint.prefix} dev eth0",
            "link set eth0 up",
            f"route add default via {endpoint.gateway}",
        ]
    return "\n".join(lines) + "\n"


def _inside(ip: str, endpoint: Endpoint, ready: int, go: int) -> None:
    """The child: never returns. Its end without a word on `ready` tells the parent that it failed."""
    import ctypes

    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_CLONE_NEWNET):
            os._exit(1)
        mount("/proc/self/ns/net", endpoint.namespace, "", MS_BIND)
        for name, value in endpoint.sysctls:
            with open(f"/proc/sys/{name.replace('.', '/')}", "w", encoding="ascii") as file:
                file.write(value)
        os.write(ready, b"1")
        os.dup2(go, 0)
        os.execv(ip, (ip, "-batch", "-"))  # noqa: S606 (a fixed program, without a shell)
    finally:
        os._exit(1)


def disconnect(namespace: str) -> None:
    """Let go of the namespace; its end of the cable, and so the other, goes with it. Harmless where it is gone."""
    if os.path.exists(namespace):
        unmount(namespace, lazy=True)
        remove_if_exists(namespace)
