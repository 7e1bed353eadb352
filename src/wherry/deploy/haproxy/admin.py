"""HAProxy's runtime socket: commands, their answers, and what it holds. (management.txt#9.3)"""

from __future__ import annotations

import os

from wherry.base.errors import Unavailable, WherryError
from wherry.deploy.haproxy.configuration import CERTIFICATES, map_path
from wherry.deploy.haproxy.difference import Command
from wherry.deploy.haproxy.observed import (
    Observed,
    parse_certificates,
    parse_map,
    parse_servers,
    parse_statistics,
)
from wherry.deploy.haproxy.wanted import MAPS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Iterator

    from wherry.deploy.haproxy.difference import Replacement, Step
    from wherry.deploy.haproxy.observed import Statistics

__all__ = ["Admin"]

_SECONDS = 10.0  # HAProxy answers within milliseconds, or something is wrong with it
_BLOCK = 1 << 16


class Admin:
    """The socket in `directory`. Every method raises Unavailable where no HAProxy listens there."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def answers(self) -> bool:
        """Whether HAProxy is there."""
        try:
            return bool(self.ask("show version"))
        except WherryError:
            return False

    def ask(self, command: str) -> str:
        """What HAProxy answers to a command (several, where separated by `;`)."""
        with self._connect() as connection:
            connection.settimeout(_SECONDS)
            connection.sendall(command.encode() + b"\n")
            return b"".join(_blocks(connection)).decode(errors="replace")

    def carry_out(self, steps: Iterable[Step]) -> None:
        """Do the steps in order. Raises WherryError with HAProxy's own words for one that fails."""
        for step in steps:
            if isinstance(step, Command):
                self._command(step)
            else:
                self._replace(step)

    def observe(self, *, tls: bool) -> Observed:
        """All that is there to be compared."""
        maps = {name: parse_map(self.ask(f"show map {map_path(name)}")) for name in MAPS}
        certificates = parse_certificates(self.ask(f"show ssl crt-list {CERTIFICATES}")) if tls else []
        return Observed(parse_servers(self.ask("show servers state")), maps, certificates)

    def statistics(self) -> list[Statistics]:
        """Every server's counters."""
        return parse_statistics(self.ask("show stat -1 4 -1"))

    def events(self, ring: str, *, follow: bool) -> Iterator[bytes]:
        """The lines that are in a ring, oldest first; with `follow` also those that come, until HAProxy ends."""
        with self._connect() as connection:
            connection.settimeout(None if follow else _SECONDS)
            connection.sendall(f"show events {ring}{' -w' if follow else ''}\n".encode())
            pending = b""
            for block in _blocks(connection):
                *lines, pending = (pending + block).split(b"\n")
                yield from lines
            if pending:
                yield pending

    def _command(self, command: Command) -> None:
        answer = self.ask(f"set severity-output number;{command.text}").strip()
        if ("[3]:" in answer or answer.endswith("Failed!")) and not command.optional:
            first = command.text.splitlines()[0]
            raise WherryError(
                f"the load balancer refuses `{first}`: {answer.partition(']:')[2].strip()}",
                hint="applying the same again repairs what was left half done",
            )

    def _replace(self, replacement: Replacement) -> None:
        from wherry.deploy.haproxy.difference import pieces

        answer = self.ask(f"prepare map {replacement.path}")
        version = answer.rpartition(":")[2].strip()
        if not version.isdigit():
            raise WherryError(f"the load balancer refuses to replace {replacement.path}: {answer.strip()}")
        for piece in pieces([f"{key} {value}" for key, value in replacement.entries.items()]):
            self._command(Command(f"add map @{version} {replacement.path} <<\n{piece}"))
        self._command(Command(f"commit map @{version} {replacement.path}"))

    def _connect(self) -> socket.socket:
        """Through the directory's descriptor, since a socket's address takes 107 bytes and a path may have more."""
        import socket

        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            directory = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                connection.connect(f"/proc/self/fd/{directory}/admin.sock")
            finally:
                os.close(directory)
        except OSError as error:
            connection.close()
            raise Unavailable(
                f"the load balancer does not answer: {error.strerror}", hint="it is started by the next deployment"
            ) from None
        return connection


def _blocks(connection: socket.socket) -> Iterator[bytes]:
    try:
        while block := connection.recv(_BLOCK):
            yield block
    except TimeoutError:
        raise Unavailable("the load balancer does not answer within ten seconds") from None
    except ConnectionResetError:
        return
