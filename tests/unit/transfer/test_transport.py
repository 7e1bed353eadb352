"""Whom a connection belongs to, and giving up a transfer: no request goes on, whatever moment it is caught in."""

import socket
import threading

import pytest

from wherry.base.errors import Unavailable
from wherry.transfer.transport import Cut, Origin, Transport


@pytest.fixture
def server():
    """Answers each request with half of what it announces, and waits."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        kept = []

        def serve():
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                kept.append(connection)
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10\r\n\r\nhalf.")

        threading.Thread(target=serve, daemon=True).start()
        yield Origin("http", f"127.0.0.1:{listening.getsockname()[1]}")
        listening.shutdown(socket.SHUT_RDWR)
        for connection in kept:
            connection.close()


def test_a_last_answer_of_its_connection_is_given_up_too(server):
    transport = Transport("/nowhere", {})
    answer = transport.send("GET", server, "/", {})
    assert answer.read(5) == b"half."
    threading.Timer(0.05, transport.abort).start()
    with pytest.raises(Cut):
        answer.read(5)


def test_a_connection_that_opens_while_all_is_given_up_is_not_used(server):
    class Slow(Transport):
        def _connect(self, origin):
            connection = super()._connect(origin)
            self.abort()
            return connection

    with pytest.raises(Unavailable, match="given up"):
        Slow("/nowhere", {}).send("GET", server, "/", {})


def test_an_answer_that_was_read_to_its_end_does_not_close_the_connection_of_the_next():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        transport, origin = Transport("/nowhere", {}), Origin("http", f"127.0.0.1:{listening.getsockname()[1]}")

        def serve():
            connection, _ = listening.accept()
            with connection:
                for _ in range(2):
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf.")
                    connection.sendall(b"whole")

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        first = transport.send("GET", origin, "/", {})
        assert first.all(100) == b"half.whole"
        second = transport.send("GET", origin, "/", {})
        first.close()
        assert second.all(100) == b"half.whole"
        serving.join(10)
        transport.close()
