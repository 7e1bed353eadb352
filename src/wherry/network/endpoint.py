"""A container's end of the network: its namespace, its cable to the bridge, its address."""

from __future__ import annotations

import os

from wherry.base.errors import WherryError
from wherry.base.files import read_text, remove_if_exists
from wherry.base.programs import require, run
from wherry.base.values import NamedTuple
from wherry.kernel.mounts import MS_BIND, mount, unmount
from wherry.network.bridge import interface

__all__ = ["Cable", "Endpoint", "Namespace", "connect", "disconnect", "open_namespace", "plug", "set_gateway", "unplug"]

_CLONE_NEWNET = 0x40000000


class Cable(NamedTuple):
    """One way to a bridge: `eth0` for number 0, and so on. Isolated ones reach the bridge and not each other."""

    number: int
    bridge: str
    address: str
    prefix: int
    mac: str
    isolated: bool = False


class Endpoint(NamedTuple):
    """What a container gets: `namespace` is the file that will name its network namespace."""

    container_id: str
    namespace: str
    cables: tuple[Cable, ...] = ()  # none for a network of its own with nothing but the loopback interface
    gateway: str = ""  # where the default route leads; empty for none
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
        """Lay the cables, where there are any, and configure the inside. Raises ProgramFailed or WherryError."""
        endpoint = self._endpoint
        try:
            if endpoint.cables:
                for each in endpoint.cables:
                    _clear_place(endpoint.container_id, endpoint.tag, each)
                lines = [
                    _outer(endpoint.container_id, endpoint.tag, each, str(self._child)) for each in endpoint.cables
                ]
                run((require("ip"), "-batch", "-"), stdin="".join(lines).encode())
            os.write(self._instructions, _inside_all(endpoint).encode())
        finally:
            status = self.abandon()
        if status:
            raise WherryError(f"cannot configure the network of {endpoint.container_id[:12]}: ip failed with {status}")

    def abandon(self) -> int:
        """Let the program inside go; its exit code."""
        os.close(self._instructions)
        return os.waitstatus_to_exitcode(os.waitpid(self._child, 0)[1])


def connect(endpoint: Endpoint) -> None:
    """Make the namespace and, with bridges, the cables and the addresses in it."""
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


def plug(container_id: str, tag: str, namespace: str, cable: Cable) -> None:
    """Lay a further cable into a namespace that is in use."""
    _clear_place(container_id, tag, cable)
    run((require("ip"), "-batch", "-"), stdin=_outer(container_id, tag, cable, namespace).encode())
    run((*_inside_of(namespace), "-batch", "-"), stdin=_inner(cable).encode())


def unplug(container_id: str, tag: str, number: int) -> None:
    """Take a cable out, with its routes; harmless where it is gone."""
    run((require("ip"), "link", "delete", interface(tag, container_id, number)), check=False)


def _clear_place(container_id: str, tag: str, cable: Cable) -> None:
    """Remove the cable of an earlier start: the kernel does so later, or not while somebody is in its namespace."""
    if os.path.exists(f"/sys/class/net/{interface(tag, container_id, cable.number)}"):
        unplug(container_id, tag, cable.number)


def set_gateway(namespace: str, gateway: str) -> None:
    """Let the default route of a namespace in use lead to `gateway`; empty takes it away."""
    command = ("replace", "default", "via", gateway) if gateway else ("delete", "default")
    run((*_inside_of(namespace), "route", *command), check=bool(gateway))


def _inside_of(namespace: str) -> tuple[str, ...]:
    return (require("nsenter"), f"--net={namespace}", require("ip"))


def _outer(container_id: str, tag: str, cable: Cable, namespace: str) -> str:
    """`namespace` is a process in it, or its file. Both ends carry as much at once as the bridge does."""
    host = interface(tag, container_id, cable.number)
    mtu = read_text(f"/sys/class/net/{cable.bridge}/mtu").strip() or "1500"
    # Hairpin: a container may use its own published port.
    return (
        f"link add {host} mtu {mtu} type veth"
        f" peer name eth{cable.number} address {cable.mac} mtu {mtu} netns {namespace}\n"
        f"link set {host} master {cable.bridge} up\n"
        f"link set {host} type bridge_slave hairpin on{' isolated on' if cable.isolated else ''}\n"
    )


def _inner(cable: Cable) -> str:
    name = f"eth{cable.number}"
    return f"addr add {cable.address}/{cable.prefix} dev {name}\nlink set {name} up\n"


def _inside_all(endpoint: Endpoint) -> str:
    route = f"route add default via {endpoint.gateway}\n" if endpoint.gateway else ""
    return "link set lo up\n" + "".join(map(_inner, endpoint.cables)) + route


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
