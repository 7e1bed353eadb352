"""Being attached to a container: its streams through conmon's socket, signals and the terminal's size passed on.

conmon's attach socket is a SOCK_SEQPACKET: each packet from it begins with the stream (2 output, 3 error), what is sent
to it is input, and shutting down the sending side ends the input.
"""

from __future__ import annotations

import os
import select
import socket

from wherry.base.errors import Unavailable
from wherry.base.files import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["DETACH_KEYS", "Attachment"]

DETACH_KEYS = b"\x10\x11"  # ctrl-p ctrl-q
_PACKET = 65536
_ERROR_STREAM = 3


class Attachment:
    """One connection to a container's streams; `resize` may be called while `stream` runs (from a signal handler)."""

    def __init__(self, connection: socket.socket, control: str) -> None:
        self._connection = connection
        self._control = control

    @classmethod
    def connect(cls, bundle: str) -> Attachment:
        """By way of a descriptor, because a socket's path may have at most 107 bytes. Raises Unavailable."""
        directory = os.open(bundle, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        try:
            connection.connect(f"/proc/self/fd/{directory}/attach")
        except OSError as error:
            connection.close()
            raise Unavailable(f"cannot attach to the container: {error.strerror}") from None
        finally:
            os.close(directory)
        return cls(connection, f"{bundle}/ctl")

    def close(self) -> None:
        """Let go; the container goes on."""
        self._connection.close()

    def resize(self, rows: int, columns: int) -> None:
        """Tell the container's terminal its size in characters."""
        try:
            fd = os.open(self._control, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return  # the container has ended
        try:
            os.write(fd, b"1 %d %d\n" % (rows, columns))
        finally:
            os.close(fd)

    def stream(
        self,
        stdin: int | None,
        stdout: int,
        stderr: int,
        *,
        detach_keys: bytes = b"",
        on_input: Callable[[bytes], None] | None = None,
    ) -> bool:
        """Copy until the container closes its streams. True where it did, False where the user pressed `detach_keys`.

        Without `stdin`, the container's input is ended at once.
        """
        poll = select.poll()
        poll.register(self._connection, select.POLLIN | select.POLLHUP)
        if stdin is None:
            self._end_input()
        else:
            poll.register(stdin, select.POLLIN | select.POLLHUP)
        keys = _KeyWatch(detach_keys)
        outputs = {2: stdout, _ERROR_STREAM: stderr}
        while True:
            for fd, _ in _poll(poll):
                if fd == self._connection.fileno():
                    if not self._receive(outputs):
                        return True
                elif not self._send(fd, poll, keys, on_input):
                    return False

    def _receive(self, outputs: dict[int, int]) -> bool:
        try:
            packet = self._connection.recv(_PACKET)
        except ConnectionResetError:
            return False
        if not packet:
            return False
        target = outputs.get(packet[0])
        if target is not None:
            try:
                write_all(target, packet[1:])
            except BrokenPipeError:
                outputs.pop(packet[0])  # nobody reads any more; the container is not to hang for that
        return True

    def _send(self, fd: int, poll: select.poll, keys: _KeyWatch, on_input: Callable[[bytes], None] | None) -> bool:
        """Pass input on; False where the detach keys were in it."""
        try:
            data = os.read(fd, 8192)
        except OSError:
            data = b""
        if not data:
            poll.unregister(fd)
            self._end_input()
            return True
        passed, detached = keys.filter(data)
        if on_input is not None:
            on_input(passed)
        if passed:
            try:
                self._connection.sendall(passed)
            except OSError:
                poll.unregister(fd)  # the container reads no more
        return not detached

    def _end_input(self) -> None:
        try:
            self._connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class _KeyWatch:
    """Finds a key sequence in input that comes in pieces, holding back what may become it."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._matched = 0

    def filter(self, data: bytes) -> tuple[bytes, bool]:
        """What to pass on, and whether the sequence was completed."""
        if not self._keys:
            return data, False
        passed = bytearray()
        for byte in data:
            if byte == self._keys[self._matched]:
                self._matched += 1
                if self._matched == len(self._keys):
                    return bytes(passed), True
                continue
            passed += self._keys[: self._matched]
            self._matched = 1 if byte == self._keys[0] else 0
            if not self._matched:
                passed.append(byte)
        return bytes(passed), False


def _poll(poll: select.poll) -> Sequence[tuple[int, int]]:
    return poll.poll()
