"""Published ports: reserved on the host by sockets that nobody else can bind.

On IPv4 nft leads to the container (see `firewall`). Containers have no IPv6 address, so for a port that was published
on an IPv6 address a relay listens on the reserved socket and passes on what comes, as Docker's proxy does; it lives as
long as the container's monitor.
"""

from __future__ import annotations

import os

from wherry.base.errors import Conflict, InvalidInput
from wherry.base.files import read_text
from wherry.network.ruleset import PortMapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

__all__ = ["Reservation", "reserve", "stop_relay"]

_ANY = "0.0.0.0"  # noqa: S104 (what Docker publishes on unless told otherwise)


class Reservation:
    """The sockets that hold published ports: `ports` have their numbers filled in.

    `kept` are for the container's monitor; as long as any copy of them is open, the ports are taken and the relay, if
    there is one, lives. `close` lets go of ours.
    """

    def __init__(self) -> None:
        self.ports: list[PortMapping] = []
        self.kept: list[int] = []
        self._relayed: list[tuple[int, PortMapping]] = []
        self._watched = -1

    def add(self, port: PortMapping, fd: int) -> None:
        """Take over the socket of one port."""
        self.ports.append(port)
        if ":" not in port.host_ip:
            self.kept.append(fd)
            return
        if self._watched < 0:
            self._watched, alive = os.pipe2(os.O_CLOEXEC)
            self.kept.append(alive)
        self._relayed.append((fd, port))

    def relay(self, address: str, note: str) -> None:
        """Let a process of its own pass on to `address` what comes by IPv6; `note` is the file to know it by."""
        if not self._relayed:
            return
        import subprocess
        import sys

        from wherry.base.processes import process_identity
        from wherry.network import relay

        what = [f"{fd}:{port.protocol}:{address}:{port.container_port}" for fd, port in self._relayed]
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", str(relay.__file__), str(self._watched), *what],
            pass_fds=(self._watched, *(fd for fd, _ in self._relayed)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
        child.returncode = 0  # nobody waits for it here: it outlives this process
        with open(note, "w", encoding="ascii") as file:
            file.write(process_identity(child.pid))

    def close_relayed(self) -> None:
        """Let go of what the relay has by now."""
        for fd in [fd for fd, _ in self._relayed] + ([self._watched] if self._watched >= 0 else []):
            os.close(fd)
        self._relayed, self._watched = [], -1

    def close(self) -> None:
        """Let go of everything that is still ours."""
        self.close_relayed()
        for fd in self.kept:
            os.close(fd)
        self.kept = []


def stop_relay(note: str) -> None:
    """End the relay that `note` tells of and wait until its ports are free; harmless where there is none."""
    from wherry.base.processes import is_living, wait_for_end

    identity = read_text(note)
    if not is_living(identity):
        return
    import signal

    try:
        os.kill(int(identity.partition(".")[0]), signal.SIGKILL)
    except ProcessLookupError:
        return
    wait_for_end(identity, 10)


def reserve(ports: Sequence[PortMapping]) -> Reservation:
    """Bind each host port.

    Raises Conflict in Docker's words where one is taken; then none is held.
    """
    held = Reservation()
    try:
        for port in ports:
            held.add(*_bind(port))
    except BaseException:
        held.close()
        raise
    return held


def _bind(port: PortMapping) -> tuple[PortMapping, int]:
    import socket

    if port.protocol not in ("tcp", "udp"):
        raise InvalidInput(f"cannot publish the protocol {port.protocol}", hint="tcp and udp can be published")
    is_v6 = ":" in port.host_ip
    address = port.host_ip or _ANY
    kind = socket.SOCK_STREAM if port.protocol == "tcp" else socket.SOCK_DGRAM
    bound = socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET, kind)
    try:
        if is_v6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if is_v6 and kind == socket.SOCK_STREAM:  # the relay before may have left connections in TIME_WAIT
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _take_port(bound, address, port)
        if is_v6 and kind == socket.SOCK_STREAM:
            bound.listen(1024)
    except BaseException:
        bound.close()
        raise
    number = int(bound.getsockname()[1])
    return port._replace(host_port=number, host_port_end=0), bound.detach()


def _take_port(bound: socket.socket, address: str, port: PortMapping) -> None:
    """The port, or the first of its range that is free."""
    import errno

    shown = f"[{address}]" if ":" in address else address
    last = port.host_port_end or port.host_port
    for candidate in range(port.host_port, last + 1):
        try:
            bound.bind((address, candidate))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise InvalidInput(f"cannot publish on {shown}:{candidate}: {error.strerror}") from None
            if candidate == last:
                wanted = f"{port.host_port}-{last}" if last > port.host_port else f"{last}"
                raise Conflict(
                    f"Bind for {shown}:{wanted} failed: port is already allocated",
                    hint="another container or program has it: choose another host port",
                ) from None
        else:
            return
