"""Sockets: who takes nothing of an answer is cut off by the kernel."""

import socket

import pytest

from wherry.registry.server import cut_stalled_readers


def send_without_end(connection):
    for _ in range(1000):
        connection.sendall(bytes(1 << 20))


def test_who_reads_nothing_is_cut_off():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        cut_stalled_readers(listening.getsockname()[1], 1)
        with socket.create_connection(listening.getsockname()):
            accepted, _ = listening.accept()
            with accepted, pytest.raises(TimeoutError, match="timed out"):
                send_without_end(accepted)
