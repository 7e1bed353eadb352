"""A machine of our own for tests of the network: a network namespace with an address, and one outside of it.

What tests do to its firewall, and whatever they leave there, is nobody else's and goes with it.
"""

import os
import shutil
import subprocess
import sys

import pytest

from installation import Installation

_INSIDE = """
set -e
mount --make-rprivate /
mkdir -p "$1"
mount --rbind /sys/fs/cgroup "$1"
mount -t sysfs sysfs /sys
mount --rbind "$1" /sys/fs/cgroup
ip link set lo up
echo nameserver 203.0.113.2 > "$1.resolv"
mount --bind "$1.resolv" /etc/resolv.conf
echo ready
exec sleep 3600
"""
_NAMES = """
import socket
asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asked.bind(("203.0.113.2", 53))
while True:
    question, client = asked.recvfrom(4096)
    known = b"\\x09somewhere\\x04test\\x00\\x00\\x01" in question
    end = question.index(b"\\0", 12) + 5
    head = question[:2] + (b"\\x81\\x80\\0\\1\\0\\1" if known else b"\\x81\\x83\\0\\1\\0\\0") + bytes(4)
    answer = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4" + bytes([198, 51, 100, 7]) if known else b""
    asked.sendto(head + question[12:end] + answer, client)
"""
_OUTSIDE = "ip link set lo up; echo ready; exec sleep 3600"


class Namespace:
    """Processes that share a network; `call` runs one more there."""

    def __init__(self, script, *arguments, mounts):
        flags = ["-n", "-m"] if mounts else ["-n"]
        self._holder = subprocess.Popen(
            ["unshare", *flags, "sh", "-c", script, "sh", *arguments], stdout=subprocess.PIPE
        )
        assert self._holder.stdout.readline() == b"ready\n"
        self.pid = self._holder.pid
        self.prefix = ("nsenter", "-t", str(self.pid), *flags)

    def __call__(self, *argv, check=True, timeout=60, stdin=""):
        done = subprocess.run(
            [*self.prefix, *argv], capture_output=True, text=True, check=False, timeout=timeout, input=stdin
        )
        if check:
            assert done.returncode == 0, f"{argv}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, *argv, **options):
        return subprocess.Popen([*self.prefix, *argv], **options)

    def get(self, address, port):
        return self("curl", "-s", "-m", "3", f"http://{address}:{port}/", check=False)

    def end(self):
        self._holder.kill()
        self._holder.wait()
        self._holder.stdout.close()


class Machine(Namespace):
    """Reached at `address` and `address6` from the `outside`, which is 203.0.113.2 there and answers for names."""

    address, address6 = "203.0.113.1", "[2001:db8:1::1]"

    def __init__(self, directory):
        super().__init__(_INSIDE, f"{directory}/cgroup", mounts=True)
        self.outside = Namespace(_OUTSIDE, mounts=False)
        self("ip", "-batch", "-", stdin=(
            f"link add up0 type veth peer name out0 netns {self.outside.pid}\n"
            "addr add 203.0.113.1/24 dev up0\naddr add 2001:db8:1::1/64 dev up0 nodad\nlink set up0 up\n"
            "route add default via 203.0.113.2\n"
        ))  # fmt: skip
        self.outside("ip", "-batch", "-", stdin=(
            "addr add 203.0.113.2/24 dev out0\naddr add 2001:db8:1::2/64 dev out0 nodad\nlink set out0 up\n"
        ))  # fmt: skip
        self._names = self.outside.start(sys.executable, "-c", _NAMES)

    def end(self):
        self._names.kill()
        self._names.wait()
        self.outside.end()
        super().end()


class MachineInstallation(Installation):
    """`wherry` on a machine of its own."""

    def __init__(self, directory, machine):
        super().__init__(directory)
        self.machine = machine
        self.prefix = machine.prefix


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    if os.geteuid():
        pytest.skip("namespaces need root")
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    made = Machine(tmp_path_factory.mktemp("machine"))
    yield made
    made.end()


@pytest.fixture(scope="module")
def wherry_there(machine, tmp_path_factory, rootfs):
    """An installation on that machine; its containers are removed at the end."""
    installation = MachineInstallation(tmp_path_factory.mktemp("there"), machine)
    installation("build", "-q", "-t", "tiny", str(rootfs))
    yield installation
    for identifier in installation("ps", "-aq").out.split():
        installation("rm", "-f", "-v", identifier)
    installation.remove_cgroups()
