"""Published ports, on a machine of its own with an outside to come from."""

import sys

import pytest

ANSWER = (
    "use Socket; socket(my $s, PF_INET, SOCK_DGRAM, 17); bind($s, sockaddr_in(53, INADDR_ANY));"
    ' while (my $from = recv($s, my $d, 9000, 0)) { send($s, "$ENV{NAME} $d", 0, $from) }'
)
ASK = (
    "import socket, sys; family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET;"
    " s = socket.socket(family, socket.SOCK_DGRAM); s.settimeout(0.2); s.connect((sys.argv[1], int(sys.argv[2])))\n"
    "for line in sys.stdin:\n"
    "    try:\n        s.send(line.strip().encode()); print(s.recv(9000).decode(), flush=True)\n"
    "    except OSError:\n        print('nothing', flush=True)\n"
)


@pytest.fixture
def there(wherry_there, name):
    yield wherry_there
    for identifier in wherry_there("ps", "-aq").out.split():
        wherry_there("rm", "-f", identifier)


@pytest.fixture
def name(request):
    return request.node.name.replace("[", "-").replace("]", "")[:60]


@pytest.mark.parametrize("policy", ["ACCEPT", "DROP"])
def test_a_port_is_reached_from_everywhere(there, name, machine, serve, eventually, policy):
    machine("iptables", "-P", "FORWARD", policy)
    ports = ("-p", "8080:80", "-p", "[::]:8080:80")
    there("run", "-d", "--name", name, *ports, "-e", "NAME=web", "tiny", "perl", "-e", serve)
    eventually(lambda: machine.get("127.0.0.1", 8080) == "hello web\n")
    for address in (machine.address, "[::1]", machine.address6, "localhost"):
        assert machine.get(address, 8080) == "hello web\n", address
    assert machine.outside.get(machine.address, 8080) == "hello web\n"
    assert machine.outside.get(machine.address6, 8080) == "hello web\n"
    client = (
        f'use IO::Socket::INET; my $s = IO::Socket::INET->new(PeerAddr=>"{machine.address}:8080", Timeout=>3) or exit;'
        ' print $s "GET / HTTP/1.0\\r\\n\\r\\n"; print <$s>;'
    )
    assert "hello web" in there("run", "--rm", "tiny", "perl", "-e", client).out
    assert "hello web" in there("exec", name, "perl", "-e", client).out
    machine("iptables", "-P", "FORWARD", "ACCEPT")


def test_a_port_on_ipv6_alone(there, name, machine, serve, eventually):
    there("run", "-d", "--name", name, "-p", "[::1]:8081:80", "tiny", "perl", "-e", serve)
    eventually(lambda: machine.get("[::1]", 8081) == "hello tiny\n")
    assert machine.get("127.0.0.1", 8081) == ""
    assert machine.outside.get(machine.address6, 8081) == ""
    assert there.inspect(name)["NetworkSettings"]["Ports"]["80/tcp"] == [{"HostIp": "::1", "HostPort": "8081"}]


def test_what_is_published_is_told_and_given_back(there, name, machine, serve, eventually):
    for _ in range(3):  # at once after each other: nothing of the relay before holds the port
        ports = ("-p", "8082:80", "-p", "[::]:8082:80")
        there("run", "-d", "--name", name, *ports, "tiny", "perl", "-e", serve)
        eventually(lambda: machine.get("[::1]", 8082) == "hello tiny\n")
        assert there("port", name).out == "80/tcp -> 0.0.0.0:8082\n80/tcp -> :::8082\n"
        there("restart", "-t", "0", name)
        eventually(lambda: machine.get("[::1]", 8082) == "hello tiny\n")
        there("rm", "-f", name)
        assert machine.get("[::1]", 8082) == ""
    listening = machine("ss", "-ltn")
    assert ":8082" not in listening


def test_a_port_that_is_taken_on_ipv6_is_a_conflict(there, name, machine, eventually):
    other = machine.start("perl", "-MSocket", "-e", (
        "socket(S, PF_INET6, SOCK_STREAM, 6); setsockopt(S, 41, 26, 1);"
        " bind(S, sockaddr_in6(8083, Socket::IN6ADDR_ANY)); listen(S, 1); sleep 60"
    ))  # fmt: skip
    try:
        eventually(lambda: ":8083" in machine("ss", "-ltn"))
        refused = there("run", "--name", name, "-p", "[::]:8083:80", "tiny", "true", check=False)
        assert refused.returncode == 125
        assert "Bind for [::]:8083 failed: port is already allocated" in refused.err
    finally:
        other.kill()
        other.wait()


def test_udp_is_answered_on_both_protocols(there, name, machine, eventually):
    ports = ("-p", "5300:53/udp", "-p", "[::]:5300:53/udp")
    there("run", "-d", "--name", name, *ports, "-e", "NAME=dns", "tiny", "perl", "-e", ANSWER)
    for address in ("127.0.0.1", "::1", machine.address):
        eventually(lambda at=address: machine(sys.executable, "-c", ASK, at, "5300", stdin="hello\n") == "dns hello\n")
    assert machine.outside(sys.executable, "-c", ASK, "2001:db8:1::1", "5300", stdin="hello\n") == "dns hello\n"


def test_a_udp_client_that_was_sending_before_reaches_what_is_published(there, name, machine, eventually):
    import subprocess

    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    there("run", "--rm", "tiny", "true")  # from now on flows are remembered
    client = machine.outside.start(sys.executable, "-c", ASK, machine.address, "5301", **pipes)

    def ask():
        client.stdin.write("x\n")
        client.stdin.flush()
        return client.stdout.readline()

    try:
        assert ask() == "nothing\n"
        for chosen in ("one", "two"):
            there(
                "run", "-d", "--name", name, "-p", "5301:53/udp", "-e", f"NAME={chosen}", "tiny", "perl", "-e", ANSWER
            )
            eventually(lambda expected=f"{chosen} x\n": ask() == expected)
            there("rm", "-f", name)
            assert ask() == "nothing\n"
    finally:
        client.kill()
        client.wait()


def test_an_element_that_was_left_behind_is_replaced(there, name, machine, serve, eventually):
    there("run", "--rm", "tiny", "true")
    table = f"wherry-{there.tag()}"
    machine("nft", "add", "element", "ip", table, "tcp_any", "{ 8084 : 10.1.2.3 . 80 }")
    there("run", "-d", "--name", name, "-p", "8084:80", "tiny", "perl", "-e", serve)
    eventually(lambda: machine.outside.get(machine.address, 8084) == "hello tiny\n")
    machine("nft", "flush", "map", "ip", table, "tcp_any")
    machine("nft", "add", "element", "ip", table, "tcp_any", "{ 8084 : 10.1.2.3 . 80 }")
    there("rm", "-f", name)
    assert "elements" not in machine("nft", "list", "table", "ip", table)


def test_a_great_deal_passes_through_the_relay(there, name, machine, eventually):
    program = (
        "use Socket; socket(S, PF_INET, SOCK_STREAM, 6); bind(S, sockaddr_in(80, INADDR_ANY)); listen(S, 5);"
        " while (accept(C, S)) { print C 'x' x 20000000; close C }"
    )
    there("run", "-d", "--name", name, "-p", "[::1]:8085:80", "tiny", "perl", "-e", program)
    count = (
        "import socket; s = socket.create_connection(('::1', 8085));"
        " print(sum(map(len, iter(lambda: s.recv(65536), b''))))"
    )
    eventually(lambda: machine(sys.executable, "-c", count, check=False) == "20000000\n")
