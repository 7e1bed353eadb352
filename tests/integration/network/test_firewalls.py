"""Others change the machine's firewall; the next container puts right what is ours."""

import pytest

REACH = 'use IO::Socket::INET; IO::Socket::INET->new(PeerAddr=>"%s:%d", Timeout=>2) or exit 1; print "reached"'


@pytest.fixture(scope="module")
def web(wherry_there, machine, serve):
    wherry_there("run", "-d", "--name", "web", "-p", "8080:80", "tiny", "perl", "-e", serve)
    outside = machine.outside.start("perl", "-MIO::Socket::INET", "-e", (
        "my $s = IO::Socket::INET->new(LocalPort=>7000, Listen=>9, ReuseAddr=>1); while ($s->accept) {}"
    ))  # fmt: skip
    yield wherry_there
    wherry_there("rm", "-f", "web")
    outside.kill()
    outside.wait()


CHANGES = {
    "forwarding switched off": ["sysctl -qw net.ipv4.ip_forward=0"],
    "everything flushed": ["nft flush ruleset"],
    "our table deleted": ["nft delete table ip wherry-{tag}"],
    "our chain flushed": ["nft flush chain ip wherry-{tag} prerouting"],
    "the policy set to drop": ["iptables -P FORWARD DROP"],
    "the policy set to drop and flushed": ["iptables -P FORWARD DROP", "iptables -F FORWARD"],
    "a rejecting rule in front": ["iptables -I FORWARD -j REJECT"],
    "loopback no longer routed": ["sysctl -qw net.ipv4.conf.wh{tag}0.route_localnet=0"],
    "the bridge taken down": ["ip link set wh{tag}0 down"],
    "Docker come": [
        "iptables -P FORWARD DROP", "iptables -N DOCKER-USER", "iptables -A DOCKER-USER -j RETURN",
        "iptables -I FORWARD -j DOCKER-USER",
    ],
    "Docker gone again": [
        "iptables -D FORWARD -j DOCKER-USER", "iptables -F DOCKER-USER", "iptables -X DOCKER-USER",
    ],
    "the firewall flushed and closed": ["iptables -F", "iptables -P FORWARD DROP"],
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_what_others_change_is_put_right_by_the_next_container(web, machine, eventually, change):
    eventually(lambda: machine.outside.get(machine.address, 8080) == "hello tiny\n")
    for command in CHANGES[change]:
        machine(*command.format(tag=web.tag()).split())
    assert web("run", "--rm", "tiny", "perl", "-e", REACH % ("203.0.113.2", 7000)).out == "reached"
    assert machine.outside.get(machine.address, 8080) == "hello tiny\n"
    assert machine.get("127.0.0.1", 8080) == "hello tiny\n"


def test_nothing_is_sent_where_nothing_has_changed(web, machine):
    web("run", "--rm", "tiny", "true")
    before = machine("nft", "-a", "list", "ruleset")
    web("run", "--rm", "tiny", "true")
    assert machine("nft", "-a", "list", "ruleset") == before


def test_a_network_of_dockers_with_a_name_of_its_own_and_ours_do_not_meet(web, machine, eventually):
    """The chains are what a Docker 20.10 has for `network create -o com.docker.network.bridge.name=custom0`."""
    machine("iptables-restore", "-n", stdin=(
        "*filter\n:DOCKER-USER - [0:0]\n:DOCKER-ISOLATION-STAGE-1 - [0:0]\n:DOCKER-ISOLATION-STAGE-2 - [0:0]\n"
        "-A DOCKER-USER -j RETURN\n"
        "-A DOCKER-ISOLATION-STAGE-1 -i custom0 ! -o custom0 -j DOCKER-ISOLATION-STAGE-2\n"
        "-A DOCKER-ISOLATION-STAGE-2 -o custom0 -j DROP\n"
        "-I FORWARD 1 -j DOCKER-USER\n-I FORWARD 2 -j DOCKER-ISOLATION-STAGE-1\n"
        "-A FORWARD -o custom0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
        "-A FORWARD -i custom0 ! -o custom0 -j ACCEPT\nCOMMIT\n"
    ))  # fmt: skip
    from machine import _OUTSIDE, Namespace

    theirs = Namespace(_OUTSIDE, mounts=False)
    machine("ip", "-batch", "-", stdin=(
        "link add custom0 type bridge\naddr add 10.200.0.1/24 dev custom0\nlink set custom0 up\n"
        f"link add cable0 type veth peer name eth0 netns {theirs.pid}\nlink set cable0 master custom0 up\n"
    ))  # fmt: skip
    theirs("ip", "-batch", "-", stdin=(
        "addr add 10.200.0.2/24 dev eth0\nlink set eth0 up\nroute add default via 10.200.0.1\n"
    ))  # fmt: skip
    server = theirs.start("perl", "-MIO::Socket::INET", "-e", (
        "my $s = IO::Socket::INET->new(LocalPort=>7000, Listen=>9); while ($s->accept) {}"
    ))  # fmt: skip
    try:
        eventually(lambda: "7000" in theirs("ss", "-ltn"))
        assert web("run", "--rm", "tiny", "perl", "-e", REACH % ("10.200.0.2", 7000), check=False).out == ""
        address = web.inspect("web")["NetworkSettings"]["IPAddress"]
        assert theirs.get(address, 80) == ""
        assert theirs.get(machine.address, 8080) == "hello tiny\n"
        assert web("run", "--rm", "tiny", "perl", "-e", REACH % ("203.0.113.2", 7000)).out == "reached"
        assert machine.get(address, 80) == "hello tiny\n"
    finally:
        server.kill()
        server.wait()
        theirs.end()
