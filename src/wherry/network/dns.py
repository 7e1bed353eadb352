"""Names between containers: aardvark-dns, one process for an installation, on the gateways of its networks.

Its configuration (aardvark-dns config.md) is a directory with a file for each network: the first line has the address
to listen on, each further one a container's identifier, address and names. A container that is in several files sees
the names of all of them. The process is started when the first file comes, told of changes by SIGHUP, and ended with
the last file.
"""

from __future__ import annotations

import os

from wherry.base.errors import Unavailable
from wherry.base.files import atomic_write, ensure_directory, read_text, remove_if_exists, remove_tree
from wherry.base.locks import FileLock
from wherry.base.programs import require
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wherry.base.paths import Layout

__all__ = ["Entry", "NameServer", "Zone", "zone_file"]

DIRECTORIES = ("/usr/lib/podman", "/usr/libexec/podman")
"""Where distributions keep aardvark-dns."""

_NOWHERE = "240.0.0.1"  # a reserved address (RFC 1112): what asks an internal network for other names gets no answer
_SECONDS = 5.0


class Entry(NamedTuple):
    """A container on a network; `servers` are asked for what is not a container's name, or the host's where empty."""

    container_id: str
    address: str
    names: tuple[str, ...]
    servers: tuple[str, ...] = ()


class Zone(NamedTuple):
    """The names of one network, answered at its `gateway`."""

    id: str
    gateway: str
    entries: tuple[Entry, ...]
    internal: bool = False


def zone_file(zone: Zone) -> str:
    """The network's file. Pure."""
    lines = [zone.gateway]
    for entry in zone.entries:
        servers = (_NOWHERE,) if zone.internal else tuple(one for one in entry.servers if ":" not in one)
        names = ",".join(dict.fromkeys(name.lower() for name in entry.names))
        lines.append(f"{entry.container_id} {entry.address}  {names}{' ' if servers else ''}{','.join(servers)}")
    return "\n".join(lines) + "\n"


class NameServer:
    """`wanted` tells which names there are; it is asked under the lock."""

    def __init__(self, layout: Layout, wanted: Callable[[], Sequence[Zone]]) -> None:
        self._lock = f"{layout.locks}/names"
        self._staging = f"{layout.run}/network"
        self._directory = f"{layout.run}/network/names"
        self._wanted = wanted

    def sync(self) -> None:
        """Let the process know what is wanted now: started, told or ended as need be.

        Raises Unavailable where aardvark-dns is not installed or does not start.
        """
        with FileLock(self._lock):
            files = {zone.id: zone_file(zone) for zone in self._wanted() if zone.entries}
            if not files:
                self._stop()
                return
            changed = self._write(files)
            pid = self.pid()
            if not pid:
                self._start()
            elif changed:
                _signal(pid, "SIGHUP")

    def repair(self) -> None:
        """Start it again where it died; cheap where no network has names."""
        if os.path.isdir(self._directory) and not self.pid():
            try:
                self.sync()
            except Unavailable:
                return  # the next container that needs it says so

    def _write(self, files: dict[str, str]) -> bool:
        """Whether anything is different now. Files are whole from the first moment that they can be seen."""
        ensure_directory(self._directory)
        changed = False
        for name in os.listdir(self._directory):
            if name not in files and name != "aardvark.pid":
                remove_if_exists(f"{self._directory}/{name}")
                changed = True
        for name, text in files.items():
            if read_text(f"{self._directory}/{name}") != text:
                atomic_write(f"{self._staging}/zone-{name}", text.encode(), durable=False)
                os.rename(f"{self._staging}/zone-{name}", f"{self._directory}/{name}")
                changed = True
        return changed

    def pid(self) -> int:
        """The living process of this installation; 0 where there is none."""
        text = read_text(f"{self._directory}/aardvark.pid").strip()
        if not text.isdigit():
            return 0
        try:
            command = read_text(f"/proc/{text}/cmdline")
        except ProcessLookupError:
            return 0
        return int(text) if f"\0{self._directory}\0" in command else 0

    def _start(self) -> None:
        import subprocess

        program = require("aardvark-dns", DIRECTORIES)
        remove_if_exists(f"{self._directory}/aardvark.pid")
        with open(f"{self._staging}/names.log", "wb") as log:
            done = subprocess.run(
                [program, "--config", self._directory, "-p", "53", "run"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True, check=False,
            )  # fmt: skip
        if done.returncode or not self.pid():
            raise Unavailable(f"aardvark-dns does not start: {self._last_words()}", hint="see `wherry doctor`")

    def _last_words(self) -> str:
        lines = read_text(f"{self._staging}/names.log").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def _stop(self) -> None:
        from wherry.base.processes import process_identity, wait_for_end

        pid = self.pid()
        if pid:
            identity = process_identity(pid)
            _signal(pid, "SIGKILL")  # it has nothing to save
            wait_for_end(identity, _SECONDS)
        if os.path.isdir(self._directory):
            remove_tree(self._directory)
        remove_if_exists(f"{self._staging}/names.log")

    def wait_for(self, gateway: str, name: str, address: str) -> None:
        """Block until the process answers `name` with `address`. Raises Unavailable where it does not."""
        from time import monotonic

        deadline = monotonic() + _SECONDS
        while monotonic() < deadline:
            if address in _ask(gateway, name):
                return
        raise Unavailable(
            f"aardvark-dns does not answer on {gateway}: {self._last_words()}",
            hint="something else may have port 53 of that address, or a firewall may close it",
        )


def _signal(pid: int, name: str) -> None:
    import signal

    try:
        os.kill(pid, signal.Signals[name])
    except ProcessLookupError:
        return


def _ask(server: str, name: str) -> list[str]:
    """The IPv4 addresses of one question (RFC 1035 section 4), empty after 20 milliseconds without an answer."""
    import socket
    import struct

    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"
    question = struct.pack(">HHHHHH", 1, 0x100, 1, 0, 0, 0) + labels + struct.pack(">HH", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.settimeout(0.02)
        try:
            asked.connect((server, 53))
            asked.send(question)
            answer = asked.recv(4096)
        except OSError:
            _pause()
            return []
    found, offset = [], len(question)
    while offset + 12 <= len(answer):
        offset += 2 if answer[offset] & 0xC0 else answer.index(b"\0", offset) + 1 - offset
        kind, _, _, length = struct.unpack_from(">HHIH", answer, offset)
        offset += 10 + length
        if kind == 1:
            found.append(socket.inet_ntoa(answer[offset - 4 : offset]))
    if not found:
        _pause()
    return found


def _pause() -> None:
    """Between two questions: the process says to nobody that it has read its files."""
    import time

    time.sleep(0.002)
