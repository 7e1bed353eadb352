import socket
import threading
from contextlib import contextmanager

import pytest

from wherry.deploy.probing import probe
from wherry.deploy.routing import Check


@contextmanager
def answering(*blocks, family=socket.AF_INET, held=None):
    """A server that takes one request, sends the blocks, and closes (where `held`, only when that is set)."""
    asked = []
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        listener.listen()

        def serve():
            connection, _ = listener.accept()
            with connection:
                request = b""
                while not request.endswith(b"\r\n\r\n"):
                    request += connection.recv(65536)
                asked.append(request)
                try:
                    for block in blocks:
                        connection.sendall(block)
                except OSError:
                    return
                if held:
                    held.wait(10)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], asked
        thread.join()


def ask(*blocks, check=Check(), host="", **how):  # noqa: B008
    with answering(*blocks, **how) as (port, asked):
        found = probe("::1" if how.get("family") == socket.AF_INET6 else "127.0.0.1", port, check, host)
    return found, asked[0]


def test_an_answer_among_the_codes_is_health():
    found, asked = ask(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", check=Check("/health"), host="shop.localhost")
    assert (found.healthy, found.reason) == (True, "/health answered 200")
    assert 0 < found.seconds < 4
    lines = asked.split(b"\r\n")
    assert lines[0] == b"GET /health HTTP/1.1"
    assert b"Host: shop.localhost" in lines
    assert b"Connection: close" in lines


@pytest.mark.parametrize(
    ("status", "codes", "healthy"),
    [
        (302, "200-399", True),
        (399, "200-399", True),
        (400, "200-399", False),
        (503, "200-399", False),
        (401, "200-299,401", True),
        (403, "200-299,401", False),
        (204, "200", False),
    ],
)
def test_codes_decide(status, codes, healthy):
    found, _ = ask(b"HTTP/1.1 %d x\r\nLocation: http://127.0.0.1:1/\r\n\r\n" % status, check=Check("/", codes))
    assert found.healthy is healthy
    assert found.reason == (f"/ answered {status}" if healthy else f"/ answered {status}, which is not among {codes}")


def test_codes_that_no_balancer_takes_are_no_health():
    found, _ = ask(b"HTTP/1.1 500 x\r\n\r\n", check=Check("/", "200-599"))
    assert (found.healthy, found.reason) == (False, "health check: '200-599' is not a list of status codes")


def test_an_answer_in_pieces_and_one_before_the_answer():
    found, _ = ask(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.", b"0 200 OK\r\nA: b\r", b"\n\r\nbody")
    assert found.healthy


def test_an_ipv6_address():
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    try:
        found, asked = ask(b"HTTP/1.1 200 OK\r\n\r\n", family=socket.AF_INET6)
    except OSError as error:
        pytest.skip(f"no IPv6: {error}")
    assert found.healthy
    assert b"\r\nHost: [::1]:" in asked


def test_nobody_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = probe("127.0.0.1", port, Check())
    assert (found.healthy, found.reason) == (False, "Connection refused")


@pytest.mark.parametrize(
    ("blocks", "reason"),
    [
        ((b"SSH-2.0-OpenSSH\r\n\r\n",), "/ answered with what is not HTTP"),
        ((b"HTTP/1.1 \xb2\xb2\xb2\r\n\r\n",), "/ answered with what is not HTTP"),
        ((), "/ closed the connection unanswered"),
        ((b"HTTP/1.1 200 OK\r\n",), "/ closed the connection within its answer"),
        ((b"HTTP/1.1 200 OK\r\nA: ", b"b" * 200_000), "/ answered with a head of more than 64 KiB"),
    ],
)
def test_what_is_no_answer(blocks, reason):
    found, _ = ask(*blocks)
    assert (found.healthy, found.reason) == (False, reason)


def test_the_whole_head_has_one_time_limit():
    """A server that sends a byte now and then does not keep the check for ever."""
    found_all = threading.Event()

    class Dripping:
        def __iter__(self):
            yield b"HTTP/1.1 200 OK\r\n"
            while not found_all.wait(0.02):
                yield b"A: b\r\n"

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve():
            connection, _ = listener.accept()
            with connection:
                try:
                    for block in Dripping():
                        connection.sendall(block)
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        found = probe("127.0.0.1", listener.getsockname()[1], Check("/slow", timeout=0.3))
        found_all.set()
        thread.join()
    assert (found.healthy, found.reason) == (False, "/slow did not answer within 0.3 s")
    assert 0.3 <= found.seconds < 2


def test_a_server_that_says_nothing():
    held = threading.Event()
    with answering(held=held) as (port, _):
        found = probe("127.0.0.1", port, Check(timeout=0.2))
        held.set()
    assert (found.healthy, found.reason) == (False, "/ did not answer within 0.2 s")


def test_nothing_raises():
    assert not probe("not an address", 80, Check()).healthy
    assert not probe("127.0.0.1", 70000, Check()).healthy
    assert probe("127.0.0.1", 1, Check(), "a\r\nb").reason == "/ cannot be asked for by the host name 'a\\r\\nb'"
    assert not probe("127.0.0.1", 1, Check(), "ü" * 80).healthy


def test_a_path_with_other_letters_is_encoded():
    _, asked = ask(b"HTTP/1.1 200 OK\r\n\r\n", check=Check("/gesund/ü?a=b&c=%20"))
    assert asked.startswith(b"GET /gesund/%C3%BC?a=b&c=%20 HTTP/1.1\r\n")
