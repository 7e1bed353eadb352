"""A container's end of the network: its namespace, its cable to the bridge, its address."""

from __future__ import annotations

import os

from wherry.base.errors import WherryError
from wherry.base.files import remove_if_exists
from wherry.base.programs import require, run
from wherry.base.values import NamedTuple
from wherry.kernel.mounts import MS_BIND, mount, unmount
from wherry.network.bridge import interface

__all__ = ["Endpoint", "Namespace", "connect", "disconnect", "open_namespace"]

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


class Namespace:
    """A network namespace that exists, and whose inside is still to be configured by the program that waits in it.

    Exactly one of `wire` and `abandon` is to be called. Should the caller die first, the program finds its input
    ended and leaves.
    """

    def __init__(self, endpoint: Endpoint, child: int, instructions: int) -> None:
        self._endpoint = endpoint
        self._child = child
        self._instructions = instructions

    def wire(self) -> None:
        """Lay the cable, if there is a bridge, and configure the inside. Raises ProgramFailed or WherryError."""
        endpoint = self._endpoint
        try:
            if endpoint.bridge:
                run((require("ip"), "-batch", "-"), stdin=_outer(endpoint, self._child).encode())
            os.write(self._instructions, _inner(endpoint).encode())
        finally:
            status = self.abandon()
        if status:
            raise WherryError(f"cannot configure the network of {endpoint.container_id[:12]}: ip failed with {status}")

    def abandon(self) -> int:
        """Let the program inside go; its exit code."""
        os.close(self._instructions)
        return os.waitstatus_to_exitcode(os.waitpid(self._child, 0)[1])


def connect(endpoint: Endpoint) -> None:
    """Make the namespace and, with a bridge, the cable and the address in it."""
    open_namespace(endpoint).wire()


def open_namespace(endpoint: Endpoint) -> Namespace:
    """Make the namespace under its name; a process can be put into it before it is wired.

    A child enters a new namespace, gives it its name and becomes the `ip` that waits for its instructions, so that
    the whole takes two runs of `ip`, whose starts overlap.
    """
    ip = require("ip")
    os.makedirs(os.path.dirname(endpoint.namespace), mode=0o711, exist_ok=True)
    os.close(os.open(endpoint.namespace, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o400))
    ready_read, ready_write = os.pipe2(os.O_CLOEXEC)
    go_read, go_write = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if not child:
        _inside(ip, endpoint, ready_write, go_read)
    os.close(ready_write)
    os.close(go_read)
    namespace = Namespace(endpoint, child, go_write)
    try:
        if os.read(ready_read, 1) != b"1":
            namespace.abandon()
            raise WherryError("cannot make a network namespace", hint="this needs root (CAP_SYS_ADMIN)")
    finally:
        os.close(ready_read)
    return namespace


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
