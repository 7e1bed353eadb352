"""The relay of one container: passes on what comes to its published ports by IPv6, to its IPv4 address.

A program of its own, run by path without anything of Wherry's: `relay.py WATCHED FD:PROTOCOL:ADDRESS:PORT ...`, where
the FDs are sockets bound already (TCP ones listen) and WATCHED is a pipe that ends with the container's monitor, and
so does the relay. A connection whose other side is slow is read no faster than it is written.
"""

from __future__ import annotations

import select
import socket
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["main"]

_READ, _WRITE = select.EPOLLIN, select.EPOLLOUT
_CHUNK = 1 << 16
_IDLE_SECONDS = 90.0  # after which a UDP client counts as gone, as with Docker's proxy


class Relay:
    """Every socket has a handler by descriptor; one loop serves all."""

    def __init__(self) -> None:
        self.poll = select.epoll()
        self.handlers: dict[int, Any] = {}
        self.datagrams: list[Datagrams] = []

    def watch(self, one: socket.socket, handler: Any, events: int) -> None:
        """Call `handler.ready(fd, events)` when `one` is ready."""
        self.handlers[one.fileno()] = handler
        self.poll.register(one.fileno(), events)

    def forget(self, one: socket.socket) -> None:
        """Close it."""
        fd = one.fileno()
        if fd >= 0:
            self.ignore(fd)
        one.close()

    def ignore(self, fd: int) -> None:
        """Hear no more of it."""
        if self.handlers.pop(fd, None) is not None:
            self.poll.unregister(fd)

    def serve(self, watched: int) -> None:
        """Until the pipe ends."""
        self.poll.register(watched, 0)
        while True:
            for fd, events in self.poll.poll(30.0 if self.datagrams else None):
                if fd == watched:
                    return
                handler = self.handlers.get(fd)
                if handler is not None:
                    handler.ready(fd, events)
            for each in self.datagrams:
                each.expire()


class Listener:
    """A TCP port."""

    def __init__(self, relay: Relay, listening: socket.socket, target: tuple[str, int]) -> None:
        self.relay, self.listening, self.target = relay, listening, target
        listening.setblocking(False)
        relay.watch(listening, self, _READ)

    def ready(self, _: int, __: int) -> None:
        """Take a connection; where no descriptor is left, it waits."""
        try:
            client, _peer = self.listening.accept()
        except OSError:
            return
        client.setblocking(False)
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        server.setblocking(False)
        server.connect_ex(self.target)
        Connection(self.relay, client, server)


class Connection:
    """Two sockets whose bytes go across; an end of one side is passed on when all before it has been."""

    def __init__(self, relay: Relay, client: socket.socket, server: socket.socket) -> None:
        self.relay = relay
        self.ends = (client, server)
        self.pending = [b"", b""]  # to be written to the end of that number
        self.ended = [False, False]  # whether that end has been read to its end
        self.told = [False, False]  # whether that end knows that nothing more comes
        self.hung_up = [False, False]  # whether the kernel has nothing more to say of that end
        self.connected = False
        self.events = [0, _WRITE]
        relay.watch(client, self, 0)
        relay.watch(server, self, _WRITE)

    def ready(self, fd: int, events: int) -> None:
        """Move what can be moved."""
        number = 0 if fd == self.ends[0].fileno() else 1
        try:
            if not self.connected:
                if number == 0:  # the client went before anybody answered
                    raise ConnectionResetError
                failure = self.ends[1].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if failure:
                    raise OSError(failure, "")
                self.connected = True
            if events & (select.EPOLLERR | select.EPOLLHUP):
                self.hung_up[number] = True
                self.relay.ignore(fd)
            elif events & _READ:
                self.read(number)
            self.move()
        except OSError:
            self.close()

    def move(self) -> None:
        """Write what waits; an end that has hung up is read whenever there is room."""
        self.write(0)
        self.write(1)
        for number in (0, 1):
            while self.hung_up[number] and not self.ended[number] and not self.pending[1 - number]:
                self.read(number)
                self.write(1 - number)
        if all(self.told):
            self.close()
        else:
            self.rearm()

    def read(self, number: int) -> None:
        """Take what has come, unless what came before still waits."""
        if self.ended[number] or self.pending[1 - number]:
            return
        data = self.ends[number].recv(_CHUNK)
        self.ended[number] = not data
        self.pending[1 - number] = data

    def write(self, number: int) -> None:
        """Pass on what waits."""
        if self.pending[number]:
            try:
                sent = self.ends[number].send(self.pending[number])
            except BlockingIOError:
                return
            self.pending[number] = self.pending[number][sent:]
        if self.ended[1 - number] and not self.pending[number] and not self.told[number]:
            self.told[number] = True
            if not self.hung_up[number]:
                self.ends[number].shutdown(socket.SHUT_WR)

    def rearm(self) -> None:
        """Ask for what can be done next."""
        for number, end in enumerate(self.ends):
            reads = not self.ended[number] and not self.pending[1 - number]
            events = (_READ if reads else 0) | (_WRITE if self.pending[number] else 0)
            if events != self.events[number] and not self.hung_up[number]:
                self.events[number] = events
                self.relay.poll.modify(end.fileno(), events)

    def close(self) -> None:
        """Both at once; a connection that failed is reset, so that the client does not take it for an end."""
        if not all(self.told):
            try:
                self.ends[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            except OSError:
                pass
        for end in self.ends:
            self.relay.forget(end)


class Datagrams:
    """A UDP port: a socket to the container for each client."""

    def __init__(self, relay: Relay, bound: socket.socket, target: tuple[str, int]) -> None:
        self.relay, self.bound, self.target = relay, bound, target
        self.clients: dict[tuple[Any, ...], tuple[socket.socket, float]] = {}
        self.peers: dict[int, tuple[Any, ...]] = {}
        bound.setblocking(False)
        relay.watch(bound, self, _READ)
        relay.datagrams.append(self)

    def ready(self, fd: int, _: int) -> None:
        """Pass one datagram on, or an answer back."""
        try:
            if fd == self.bound.fileno():
                data, client = self.bound.recvfrom(_CHUNK)
                self.towards(client).send(data)
            else:
                client = self.peers[fd]
                self.bound.sendto(self.clients[client][0].recv(_CHUNK), client)
        except OSError:
            return

    def towards(self, client: tuple[Any, ...]) -> socket.socket:
        """The socket that speaks for `client`."""
        known = self.clients.get(client)
        server = known[0] if known else socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if not known:
            server.setblocking(False)
            server.connect(self.target)
            self.peers[server.fileno()] = client
            self.relay.watch(server, self, _READ)
        self.clients[client] = (server, time.monotonic())
        return server

    def expire(self) -> None:
        """Forget clients that have been silent."""
        now = time.monotonic()
        for client, (server, last) in list(self.clients.items()):
            if now - last > _IDLE_SECONDS:
                del self.clients[client], self.peers[server.fileno()]
                self.relay.forget(server)


def main(arguments: list[str]) -> None:
    """Serve the sockets that the command line names."""
    relay = Relay()
    for argument in arguments[1:]:
        fd, protocol, address, port = argument.split(":")
        handler = Listener if protocol == "tcp" else Datagrams
        handler(relay, socket.socket(fileno=int(fd)), (address, int(port)))
    relay.serve(int(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
