"""Networks of users: names, addresses, isolation, joining and leaving, and nothing left behind."""

import json
import os
import random
import signal
import subprocess

import pytest

RESOLVE = (
    "use Socket; for (@ARGV) { my @a = gethostbyname($_);"
    ' print "$_=", join(",", sort map { inet_ntoa($_) } @a[4..$#a]), "\\n" }'
)
REACH = 'use IO::Socket::INET; IO::Socket::INET->new(PeerAddr=>"%s:80", Timeout=>2) or exit 1; print "reached"'


@pytest.fixture
def there(wherry_there, machine, eventually):
    yield wherry_there
    for identifier in wherry_there("ps", "-aq").out.split():
        wherry_there("rm", "-f", identifier)
    wherry_there("network", "prune", "-f")
    assert not os.path.exists(f"{wherry_there.run}/network/names")
    tag = f"wh{wherry_there.tag()}"

    def only_the_bridge():  # the kernel takes a container's cable away in its own time
        links = {link["ifname"] for link in json.loads(machine("ip", "-j", "link"))}
        return {link for link in links if link.startswith(tag)} <= {f"{tag}0"}

    eventually(only_the_bridge)
    rules = machine("nft", "list", "table", "ip", f"wherry-{wherry_there.tag()}")
    assert f"wh{wherry_there.tag()}n" not in rules


def sleeper(there, name, *flags):
    there("run", "-d", "--name", name, *flags, "tiny", "sleep", "300")
    return there.inspect(name)["NetworkSettings"]["Networks"]


def resolve(there, container, *names):
    lines = there("exec", container, "perl", "-e", RESOLVE, *names).out.splitlines()
    return dict(line.split("=") for line in lines)


def test_containers_of_a_network_know_each_other_by_name_identifier_and_alias(there):
    there("network", "create", "blue")
    one = sleeper(there, "one", "--network", "blue", "--network-alias", "app", "--network-alias", "First")["blue"]
    two = sleeper(there, "two", "--network", "blue", "--network-alias", "app", "--hostname", "twohost")["blue"]
    short = there.inspect("one")["Id"][:12]
    assert one["Aliases"] == ["app", "First", short]
    assert two["Aliases"] == ["app", there.inspect("two")["Id"][:12], "twohost"]
    assert resolve(there, "one", "twohost") == {"twohost": two["IPAddress"]}
    found = resolve(there, "two", "one", "two", "app", "first", short, "three")
    assert found == {
        "one": one["IPAddress"],
        "two": two["IPAddress"],
        "app": ",".join(sorted([one["IPAddress"], two["IPAddress"]])),
        "first": one["IPAddress"],
        short: one["IPAddress"],
        "three": "",
    }
    there("rm", "-f", "one")
    assert resolve(there, "two", "app")["app"] == two["IPAddress"]


def test_a_new_name_is_known_and_the_old_one_is_not(there, eventually):
    there("network", "create", "blue")
    sleeper(there, "one", "--network", "blue")
    there("rename", "one", "other")
    eventually(lambda: resolve(there, "other", "other", "one") == {"one": "", "other": address(there, "other")})


def address(there, name):
    return there.inspect(name)["NetworkSettings"]["Networks"]["blue"]["IPAddress"]


def test_a_name_is_there_when_the_command_begins(there):
    there("network", "create", "blue")
    sleeper(there, "one", "--network", "blue")
    for _ in range(3):
        done = there("run", "--rm", "--network", "blue", "--name", "asks", "tiny", "perl", "-e", RESOLVE, "one", "asks")
        assert all(line.rpartition("=")[2] for line in done.out.splitlines())


def test_other_names_are_asked_of_the_hosts_servers_but_not_from_an_internal_network(there):
    there("network", "create", "blue")
    assert resolve_once(there, "blue", "somewhere.test") == "198.51.100.7"
    there("network", "create", "--internal", "vault")
    asked = there.start(
        "run", "--rm", "--name", "asks", "--network", "vault", "tiny", "perl", "-e", RESOLVE, "somewhere.test",
        stdout=subprocess.PIPE,
    )  # fmt: skip
    with pytest.raises(subprocess.TimeoutExpired):
        asked.communicate(timeout=2)
    there("rm", "-f", "asks", check=False)
    assert asked.communicate()[0] in (b"", b"somewhere.test=\n")


def test_the_default_network_has_no_names(there):
    sleeper(there, "one")
    assert resolve(there, "one", "one") == {"one": ""}
    there("run", "--rm", "tiny", "true")
    assert not os.path.exists(f"{there.run}/network/names")


def test_networks_do_not_meet_but_published_ports_do(there, machine, serve, eventually):
    there("network", "create", "blue")
    there("network", "create", "red")
    there("run", "-d", "--name", "web", "--network", "blue", "-p", "8080:80", "tiny", "perl", "-e", serve)
    eventually(lambda: machine.outside.get(machine.address, 8080) == "hello tiny\n")
    address = there.inspect("web")["NetworkSettings"]["Networks"]["blue"]["IPAddress"]
    assert there("run", "--rm", "--network", "blue", "tiny", "perl", "-e", REACH % "web").out == "reached"
    for network in ("red", "bridge"):
        done = there("run", "--rm", "--network", network, "tiny", "perl", "-e", REACH % address, check=False)
        assert (done.out, done.returncode) == ("", 1)
        published = (REACH % machine.address).replace(":80", ":8080")
        assert there("run", "--rm", "--network", network, "tiny", "perl", "-e", published).out == "reached"
        assert resolve_once(there, network, "web") == ""


def resolve_once(there, network, name):
    return there("run", "--rm", "--network", network, "tiny", "perl", "-e", RESOLVE, name).out.strip().partition("=")[2]


def test_an_internal_network_leads_nowhere(there, machine, serve, eventually):
    there("network", "create", "--internal", "vault")
    there("run", "-d", "--name", "web", "--network", "vault", "tiny", "perl", "-e", serve)
    settings = there.inspect("web")["NetworkSettings"]["Networks"]["vault"]
    eventually(lambda: machine.get(settings["IPAddress"], 80) == "hello tiny\n")  # from the machine itself
    assert settings["Gateway"] == ""
    assert there("run", "--rm", "--network", "vault", "tiny", "perl", "-e", REACH % "web").out == "reached"
    server = machine.outside.start("perl", "-MIO::Socket::INET", "-e", (
        "my $s = IO::Socket::INET->new(LocalPort=>80, Listen=>9); while ($s->accept) {}"
    ))  # fmt: skip
    try:
        assert there("run", "--rm", "tiny", "perl", "-e", REACH % "203.0.113.2").out == "reached"
        privileged = ("--cap-add", "NET_ADMIN", "--network", "vault")
        assert there("run", "--rm", *privileged, "tiny", "perl", "-e", REACH % "203.0.113.2", check=False).out == ""
    finally:
        server.kill()
        server.wait()


def test_joining_and_leaving_while_it_runs(there, machine, serve, eventually):
    there("network", "create", "blue")
    there("network", "create", "--subnet", "10.77.0.0/24", "red")
    there("run", "-d", "--name", "web", "--network", "blue", "-p", "8081:80", "tiny", "perl", "-e", serve)
    sleeper(there, "asks", "--network", "red")
    there("network", "connect", "--alias", "www", "--ip", "10.77.0.9", "red", "web")
    red = there.inspect("web")["NetworkSettings"]["Networks"]["red"]
    assert (red["IPAddress"], red["MacAddress"], red["IPAMConfig"]) == (
        "10.77.0.9", "02:42:0a:4d:00:09", {"IPv4Address": "10.77.0.9"},
    )  # fmt: skip
    assert resolve(there, "asks", "web", "www") == {"web": "10.77.0.9", "www": "10.77.0.9"}
    assert resolve(there, "web", "asks")["asks"]
    there("network", "disconnect", "blue", "web")
    assert list(there.inspect("web")["NetworkSettings"]["Networks"]) == ["red"]
    eventually(lambda: machine.outside.get(machine.address, 8081) == "hello tiny\n")
    assert resolve(there, "web", "asks")["asks"]
    there("restart", "-t", "0", "web")
    assert list(there.inspect("web")["NetworkSettings"]["Networks"]) == ["red"]
    assert there.inspect("web")["NetworkSettings"]["Networks"]["red"]["IPAddress"] == "10.77.0.9"
    eventually(lambda: machine.outside.get(machine.address, 8081) == "hello tiny\n")
    there("network", "disconnect", "red", "web")
    assert machine.outside.get(machine.address, 8081) == ""
    there("network", "connect", "bridge", "web")
    assert there.inspect("web")["NetworkSettings"]["IPAddress"]


def test_what_dies_and_is_started_again_keeps_its_address(there, eventually):
    """Whoever asks it by its address, as a load balancer does, finds it again, and nobody else there meanwhile."""
    there("network", "create", "blue")
    there("run", "-d", "--name", "one", "--network", "blue", "--restart", "always", "tiny", "sleep", "300")
    before = there.inspect("one")

    def address():
        return there.inspect("one")["NetworkSettings"]["Networks"]["blue"]["IPAddress"]

    os.kill(before["State"]["Pid"], signal.SIGKILL)
    eventually(lambda: there.inspect("one")["RestartCount"] == 1 and address())
    assert address() == before["NetworkSettings"]["Networks"]["blue"]["IPAddress"]
    there("stop", "-t", "0", "one")
    there("run", "-d", "--name", "other", "--network", "blue", "tiny", "sleep", "300")
    there("start", "one")
    assert address() == before["NetworkSettings"]["Networks"]["blue"]["IPAddress"]


def test_a_restart_does_not_wait_for_the_kernel_or_for_who_is_in_the_old_namespace(there):
    sleeper(there, "one")
    inside = f"--net=/proc/{there.inspect('one')['State']['Pid']}/ns/net"
    with subprocess.Popen(["nsenter", inside, "sleep", "300"]) as somebody:
        try:
            there("exec", "one", "true")
            there("restart", "-t", "0", "one")
            assert there("exec", "one", "cat", "/sys/class/net/eth0/operstate").out == "up\n"
        finally:
            somebody.kill()


def test_joining_before_it_runs_and_several_at_once(there):
    for network in ("blue", "red", "green"):
        there("network", "create", network)
    flags = ("--network", "name=red,alias=r", "--network", "blue")
    there("create", "--name", "one", *flags, "tiny", "sleep", "300")
    there("network", "connect", "--alias", "g", "green", "one")
    there("start", "one")
    joined = there.inspect("one")["NetworkSettings"]["Networks"]
    assert list(joined) == ["red", "blue", "green"]
    assert there("exec", "one", "ls", "/sys/class/net").out.split() == ["eth0", "eth1", "eth2", "lo"]
    routes = there("exec", "one", "cat", "/proc/net/route").out
    assert "eth1\t00000000" in routes  # Docker's choice: the first by name, which is blue
    assert resolve_once(there, "red", "r") == joined["red"]["IPAddress"]
    assert resolve_once(there, "green", "g") == joined["green"]["IPAddress"]
    assert resolve_once(there, "green", "r") == ""
    assert there("ps", "--format", "{{.Networks}}").out == "blue,green,red\n"


def test_a_link_is_a_name_for_one_container_alone(there):
    there("network", "create", "blue")
    db = sleeper(there, "db", "--network", "blue")["blue"]["IPAddress"]
    sleeper(there, "one", "--network", "blue", "--link", "db:database")
    sleeper(there, "two", "--network", "blue")
    assert resolve(there, "one", "database", "db") == {"database": db, "db": db}
    assert resolve(there, "two", "database") == {"database": ""}
    plain = sleeper(there, "old")["bridge"]["IPAddress"]
    sleeper(there, "linked", "--link", "old:ancient")
    assert resolve(there, "linked", "ancient", "old") == {"ancient": plain, "old": plain}


def test_addresses_are_of_the_range_and_the_gateway_is_left_out(there):
    flags = ("--subnet", "10.78.0.0/24", "--ip-range", "10.78.0.128/30", "--gateway", "10.78.0.129")
    there("network", "create", *flags, "--label", "a=b", "blue")
    seen = {sleeper(there, f"c{number}", "--network", "blue")["blue"]["IPAddress"] for number in range(3)}
    assert seen == {"10.78.0.128", "10.78.0.130", "10.78.0.131"}
    full = there("run", "--rm", "--network", "blue", "tiny", "true", check=False)
    assert full.returncode == 125
    assert "no available IPv4 addresses" in full.err
    shown = json.loads(there("network", "inspect", "blue").out)[0]
    assert shown["IPAM"]["Config"] == [
        {"Subnet": "10.78.0.0/24", "IPRange": "10.78.0.128/30", "Gateway": "10.78.0.129"}
    ]
    assert len(shown["Containers"]) == 3
    assert shown["Labels"] == {"a": "b"}
    assert there("network", "ls", "-q", "-f", "label=a=b").out.strip() == shown["Id"][:12]
    assert there("network", "ls", "--no-trunc", "-q", "-f", "type=custom", "-f", "name=bl").out.strip() == shown["Id"]


def test_options_of_the_bridge(there, machine):
    options = ("bridge.name=harbour0", "driver.mtu=1300", "bridge.enable_icc=false")
    there("network", "create", *(f"--opt=com.docker.network.{option}" for option in options), "blue")
    assert "mtu 1300" in machine("ip", "link", "show", "harbour0")
    sleeper(there, "one", "--network", "blue")
    assert there("exec", "one", "cat", "/sys/class/net/eth0/mtu").out == "1300\n"
    done = there("run", "--rm", "--network", "blue", "tiny", "perl", "-e", REACH % "one", check=False)
    assert done.out == ""
    there("rm", "-f", "one")
    there("network", "rm", "blue")
    assert "harbour0" not in machine("ip", "-o", "link")


def test_the_name_server_comes_back_and_goes(there, eventually):
    there("network", "create", "blue")
    sleeper(there, "one", "--network", "blue")
    with open(f"{there.run}/network/names/aardvark.pid") as file:
        os.kill(int(file.read()), signal.SIGKILL)
    there("ps")
    assert resolve(there, "one", "one")["one"]
    with open(f"{there.run}/network/names/aardvark.pid") as file:
        pid = file.read()
    there("rm", "-f", "one")
    with pytest.raises(FileNotFoundError), open(f"/proc/{pid}/exe", "rb"):
        pass


def test_what_docker_refuses_is_refused(there, machine):
    there("network", "create", "--subnet", "10.79.0.0/24", "blue")
    sleeper(there, "one", "--network", "blue", "--ip", "10.79.0.5")
    machine("ip", "link", "add", "taken0", "type", "bridge")
    option = "com.docker.network.bridge.name=taken0"
    refused = {
        ("network", "create", "-o", option, "x"): "the machine has an interface taken0 already",
        ("network", "create", "blue"): "network with name blue already exists",
        ("network", "create", "bridge"): "operation is not permitted on predefined bridge network",
        ("network", "create", "--ipv6", "x"): "--ipv6 is not supported",
        ("network", "create", "-d", "macvlan", "x"): 'plugin "macvlan" not found',
        ("network", "create", "--subnet", "10.79.0.0/25", "x"): "Pool overlaps with other one on this address space",
        (
            "network",
            "create",
            "--gateway",
            "10.1.1.1",
            "x",
        ): "every ip-range or gateway must have a",
        ("network", "create", "--subnet", "10.0.0.0/99", "x"): "Invalid subnet 10.0.0.0/99",
        ("network", "rm", "bridge"): "bridge is a pre-defined network and cannot be removed",
        ("network", "rm", "blue"): "has active endpoints",
        ("network", "rm", "none-such"): "No such network: none-such",
        ("network", "connect", "blue", "one"): "endpoint with name one already exists in network blue",
        ("network", "connect", "none-such", "one"): "network none-such not found",
        ("network", "connect", "host", "one"): "cannot be disconnected from host network or connected to host",
        ("network", "disconnect", "bridge", "one"): "is not connected to network bridge",
        ("run", "--network", "none-such", "tiny"): "network none-such not found",
        ("run", "--network", "blue", "--ip", "10.79.0.5", "tiny"): "Address already in use",
        ("run", "--network", "blue", "--ip", "10.80.0.5", "tiny"): "does not belong to any of this network's subnets",
        (
            "run",
            "--network-alias",
            "a",
            "tiny",
        ): "network-scoped alias is supported only for containers in user",
        ("run", "--network", "host", "--network", "blue", "tiny"): "conflicting options",
    }
    for command, words in refused.items():
        done = there(*command, check=False)
        assert done.returncode == (125 if command[0] == "run" else 1), command
        assert words in done.err, (command, done.err)


@pytest.mark.slow
def test_a_kill_at_any_moment_is_repaired_by_the_next_command(there, machine):
    random.seed(20261125)
    for number in range(24):
        what = number % 4
        if what == 0:
            arguments = ("network", "create", f"net{number}")
        elif what == 1:
            arguments = ("run", "-d", "--name", f"c{number}", "--network", f"net{number - 1}", "tiny", "sleep", "300")
        elif what == 2:
            arguments = ("network", "connect", "bridge", f"c{number - 1}")
        else:
            there("rm", "-f", f"c{number - 2}", check=False)
            arguments = ("network", "rm", f"net{number - 3}")
        child = there.start(*arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            child.wait(random.uniform(0.05, 0.35))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        there("network", "create", "after")
        done = there("run", "--rm", "--network", "after", "--name", "works", "tiny", "perl", "-e", RESOLVE, "works")
        assert done.out.startswith("works=1")
        there("network", "rm", "after")
    for identifier in there("ps", "-aq").out.split():
        there("rm", "-f", identifier)
    there("network", "prune", "-f")
    assert there("network", "ls", "-q", "-f", "type=custom").out == ""
