"""Bridges and endpoints of the default network; two installations on one machine."""

import json
import re

import pytest

from machine import MachineInstallation

REACH = 'use IO::Socket::INET; IO::Socket::INET->new(PeerAddr=>"%s:80", Timeout=>2) or exit 1; print "reached"'


@pytest.fixture(scope="module")
def second(machine, tmp_path_factory, rootfs):
    installation = MachineInstallation(tmp_path_factory.mktemp("second"), machine)
    installation("build", "-q", "-t", "tiny", str(rootfs))
    yield installation
    for identifier in installation("ps", "-aq").out.split():
        installation("rm", "-f", "-v", identifier)
    installation.remove_cgroups()


def links(machine):
    return {one["ifname"]: one for one in json.loads(machine("ip", "-d", "-j", "address"))}


def test_the_bridge_has_an_address_and_stays_as_it_is(wherry_there, machine):
    wherry_there("run", "--rm", "tiny", "true")
    before = links(machine)[f"wh{wherry_there.tag()}0"]
    assert before["linkinfo"]["info_kind"] == "bridge"
    assert before["address"].startswith("02:42:")
    address = before["addr_info"][0]["local"]
    assert json.loads(wherry_there("network", "inspect", "bridge").out)[0]["IPAM"]["Config"][0]["Gateway"] == address
    wherry_there("run", "--rm", "tiny", "true")
    after = links(machine)[f"wh{wherry_there.tag()}0"]
    assert (after["address"], after["ifindex"]) == (before["address"], before["ifindex"])


def test_a_container_has_a_cable_an_address_and_a_way_out(wherry_there, machine):
    script = "cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu /proc/net/route; ls /sys/class/net"
    wherry_there("run", "-d", "--name", "wired", "tiny", "sleep", "300")
    settings = wherry_there.inspect("wired")["NetworkSettings"]
    out = wherry_there("exec", "wired", "sh", "-c", script).out
    assert settings["MacAddress"] in out
    assert re.search(r"eth0\t00000000\t", out)
    assert out.split()[-2:] == ["eth0", "lo"]
    cable = [name for name in links(machine) if name.startswith(f"wh{wherry_there.tag()}") and not name.endswith("0")]
    assert len([name for name, one in links(machine).items() if one.get("master") == f"wh{wherry_there.tag()}0"]) == 1
    wherry_there("rm", "-f", "wired")
    assert not [name for name, one in links(machine).items() if one.get("master") == f"wh{wherry_there.tag()}0"], cable


def test_two_installations_do_not_meet(wherry_there, second, machine, serve, eventually):
    wherry_there("run", "-d", "--name", "web", "-p", "8090:80", "-e", "NAME=first", "tiny", "perl", "-e", serve)
    second("run", "-d", "--name", "web", "-p", "8091:80", "-e", "NAME=second", "tiny", "perl", "-e", serve)
    eventually(lambda: machine.outside.get(machine.address, 8090) == "hello first\n")
    eventually(lambda: machine.outside.get(machine.address, 8091) == "hello second\n")
    addresses = [one.inspect("web")["NetworkSettings"]["IPAddress"] for one in (wherry_there, second)]
    assert second("run", "--rm", "tiny", "perl", "-e", REACH % addresses[0], check=False).out == ""
    assert wherry_there("run", "--rm", "tiny", "perl", "-e", REACH % addresses[1], check=False).out == ""
    taken = second("run", "--rm", "-p", "8090:80", "tiny", "true", check=False)
    assert "port is already allocated" in taken.err
    wherry_there("rm", "-f", "web")
    assert machine.outside.get(machine.address, 8091) == "hello second\n"
    assert second("ps", "-q").out.count("\n") == 1
    second("rm", "-f", "web")
