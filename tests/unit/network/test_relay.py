"""The relay as its own program, between sockets of the loopback network."""

import os
import socket
import subprocess
import sys
import threading

import pytest

from wherry.network import relay


@pytest.fixture
def relayed():
    """Start a relay to `port` on 127.0.0.1; the address to connect to, and the end of the pipe that keeps it alive."""
    running = []

    def start(kind, port):
        front = socket.socket(socket.AF_INET, kind)
        front.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            front.listen(16)
        watched, alive = os.pipe()
        name = "tcp" if kind == socket.SOCK_STREAM else "udp"
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", relay.__file__, str(watched), f"{front.fileno()}:{name}:127.0.0.1:{port}"],
            pass_fds=(watched, front.fileno()),
        )
        os.close(watched)
        running.append((child, alive))
        address = front.getsockname()
        front.close()
        return address

    yield start
    for child, alive in running:
        os.close(alive)
        assert child.wait(10) == 0  # it ends with the pipe


@pytest.fixture
def server():
    """A TCP server whose one connection is given to `serve` in a thread; its port."""
    threads, listening = [], []

    def start(serve):
        one = socket.create_server(("127.0.0.1", 0))
        listening.append(one)

        def run():
            connection, _ = one.accept()
            with connection:
                serve(connection)

        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()
        return one.getsockname()[1]

    yield start
    for thread in threads:
        thread.join(10)
    for one in listening:
        one.close()


def everything(connection):
    return b"".join(iter(lambda: connection.recv(65536), b""))


def test_what_ends_on_one_side_goes_on_on_the_other(relayed, server):
    def upper(connection):
        connection.sendall(everything(connection).upper())

    with socket.create_connection(relayed(socket.SOCK_STREAM, server(upper))) as client:
        client.sendall(b"half " * 100_000)
        client.shutdown(socket.SHUT_WR)
        assert everything(client) == b"HALF " * 100_000


def test_a_server_that_sends_all_and_leaves_is_heard_to_the_end(relayed, server):
    size = 8_000_000
    with socket.create_connection(relayed(socket.SOCK_STREAM, server(lambda one: one.sendall(b"x" * size)))) as client:
        assert len(everything(client)) == size


def test_both_directions_at_once_do_not_block_each_other(relayed, server):
    size = 4_000_000

    def crossing(connection):
        sender = threading.Thread(target=connection.sendall, args=(b"s" * size,))
        sender.start()
        got = 0
        while got < size:
            got += len(connection.recv(65536))
        sender.join()

    with socket.create_connection(relayed(socket.SOCK_STREAM, server(crossing))) as client:
        sender = threading.Thread(target=client.sendall, args=(b"c" * size,))
        sender.start()
        assert len(everything(client)) == size
        sender.join()


def test_where_nobody_listens_the_client_is_told(relayed):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with socket.create_connection(relayed(socket.SOCK_STREAM, port)) as client:
            client.settimeout(10)
            with pytest.raises(ConnectionResetError):
                client.recv(1)


def test_datagrams_of_two_clients_come_back_to_each(relayed):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as answering:
        answering.bind(("127.0.0.1", 0))
        answering.settimeout(10)
        address = relayed(socket.SOCK_DGRAM, answering.getsockname()[1])
        clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for number, client in enumerate(clients):
            client.settimeout(10)
            client.sendto(str(number).encode(), address)
        for _ in clients:
            data, peer = answering.recvfrom(100)
            answering.sendto(b"answer " + data, peer)
        assert [client.recv(100) for client in clients] == [b"answer 0", b"answer 1"]
        for client in clients:
            client.close()
