"""A real Docker on the same machine, started after our containers: both go on working, and do not meet."""

import os
import shutil
import signal

import pytest

REACH = 'use IO::Socket::INET; IO::Socket::INET->new(PeerAddr=>"%s:%d", Timeout=>2) or exit 1; print "reached"'
CLIENT = "/usr/bin/docker"
PLACE = (
    "{{with .NetworkSettings.Networks.same}}{{.IPAMConfig.IPv4Address}} {{.IPAddress}}/{{.IPPrefixLen}}"
    " {{.MacAddress}} {{index .Aliases 0}} {{len .Aliases}}{{end}}"
)
POOL = (
    "{{.Name}} {{.Driver}} {{.Scope}} {{.Internal}} {{json .IPAM.Config}} {{json .Labels}}"
    " {{len .Containers}} {{.EnableIPv6}}"
)
LISTED = "{{.Name}} {{.Driver}} {{.Scope}} {{.Labels}} {{.Internal}}"


class Docker:
    """A daemon of its own on the tests' machine."""

    def __init__(self, machine, directory, rootfs):
        self.machine = machine
        self.socket = f"unix://{directory}/docker.sock"
        self.log = open(f"{directory}/log", "wb")
        self.daemon = machine.start(
            shutil.which("dockerd"), "--data-root", f"{directory}/data", "--exec-root", f"{directory}/exec",
            "-p", f"{directory}/pid", "-H", self.socket, stdout=self.log, stderr=self.log,
        )  # fmt: skip
        self.rootfs = rootfs

    def __call__(self, *arguments, check=True):
        return self.machine(CLIENT, "-H", self.socket, *arguments, check=check).strip()

    def run(self, *arguments):
        limits = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000")
        return self("run", *limits, *arguments, check=False)

    def load(self):
        self("import", self.rootfs, "tiny")

    def end(self):
        for identifier in self("ps", "-aq", check=False).split():
            self("rm", "-f", identifier, check=False)
        self("network", "prune", "-f", check=False)
        self.daemon.send_signal(signal.SIGTERM)
        self.daemon.wait(30)
        self.log.close()


@pytest.fixture(scope="module")
def docker(machine, wherry_there, tmp_path_factory, rootfs, eventually_module):
    if not shutil.which("dockerd") or not os.access(CLIENT, os.X_OK):
        pytest.skip("no Docker daemon is installed")
    directory = tmp_path_factory.mktemp("docker")
    archive = shutil.make_archive(str(directory / "rootfs"), "tar", rootfs / "rootfs")
    machine("sysctl", "-qw", "net.ipv4.ip_forward=0")  # Docker sets FORWARD to DROP only where it switches this on
    started = Docker(machine, directory, archive)
    eventually_module(lambda: started("version", "--format", "{{.Server.Version}}", check=False), 60)
    started.load()
    yield started
    started.end()


@pytest.fixture(scope="module")
def eventually_module():
    from installation import eventually

    return eventually


def test_both_go_on_working_and_do_not_meet(wherry_there, machine, docker, serve, eventually):
    """Docker is there before ours; its network has a bridge with a name of its own."""
    assert "-P FORWARD DROP" in machine("iptables", "-S", "FORWARD")
    ports = ("-p", "8080:80", "-p", "[::]:8080:80")
    wherry_there("run", "-d", "--name", "ours", *ports, "-e", "NAME=ours", "tiny", "perl", "-e", serve)
    docker("network", "create", "-o", "com.docker.network.bridge.name=custom0", "theirs")
    place = ("--network", "theirs", "-p", "8081:80", "-e", "NAME=theirs")
    docker.run("-d", "--name", "theirs", *place, "tiny", "perl", "-e", serve)
    docker.run("-d", "--name", "plain", "-e", "NAME=plain", "tiny", "perl", "-e", serve)
    for address in ("127.0.0.1", "[::1]", machine.address, machine.address6):
        eventually(lambda at=address: machine.get(at, 8080) == "hello ours\n")
        eventually(lambda at=address: machine.get(at, 8081) == "hello theirs\n")
    assert machine.outside.get(machine.address, 8080) == "hello ours\n"
    assert machine.outside.get(machine.address, 8081) == "hello theirs\n"
    ours = wherry_there.inspect("ours")["NetworkSettings"]["IPAddress"]
    theirs = docker("inspect", "-f", "{{.NetworkSettings.Networks.theirs.IPAddress}}", "theirs")
    plain = docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "plain")
    for address in (theirs, plain):
        assert wherry_there("run", "--rm", "tiny", "perl", "-e", REACH % (address, 80), check=False).out == ""
    for network in ("theirs", "bridge"):
        assert docker.run("--rm", "--network", network, "tiny", "perl", "-e", REACH % (ours, 80)) == ""
        published = REACH % (machine.address, 8080)
        assert docker.run("--rm", "--network", network, "tiny", "perl", "-e", published) == "reached"
    published = REACH % (machine.address, 8081)
    assert wherry_there("run", "--rm", "tiny", "perl", "-e", published).out == "reached"


def test_networks_are_told_in_the_same_words(wherry_there, docker):
    """What scripts read of a network and of a container on it, from both."""
    flags = ("--subnet", "192.168.213.0/24", "--ip-range", "192.168.213.64/26", "--label", "a=b")
    place = ("--network", "same", "--network-alias", "www", "--ip", "192.168.213.70")
    told = []
    for tool, run in (
        (lambda *words: wherry_there(*words).out.strip(), lambda *words: wherry_there("run", *words).out),
        (docker, docker.run),
    ):
        tool("network", "create", *flags, "same")
        run("-d", "--name", "member", *place, "tiny", "sleep", "99")
        told.append(
            (
                tool("inspect", "-f", PLACE, "member"),
                tool("inspect", "-f", "{{.HostConfig.NetworkMode}} [{{.NetworkSettings.IPAddress}}]", "member"),
                tool("network", "inspect", "-f", POOL, "same"),
                tool("network", "ls", "-f", "name=same", "--format", LISTED),
                tool("ps", "--filter", "name=member", "--format", "{{.Networks}}"),
            )
        )
        tool("rm", "-f", "member")
        assert tool("network", "prune", "-f").splitlines()[0] == "Deleted Networks:"
    assert told[0] == told[1]
