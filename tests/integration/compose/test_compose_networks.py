"""Networks of Compose projects with real containers: names, addresses, several networks, and nothing left behind."""

import json
import random
import time

import pytest

from composed import Composed, project_of

HEAD = "x-s: &s {image: tiny, stop_grace_period: 0s, command: sleep 1000}\n"
ADDRESSES = (
    "use Socket; for (@ARGV) { my @a = gethostbyname($_);"
    ' print "$_=", join(",", sort map { inet_ntoa($_) } @a[4..$#a]), "\\n" }'
)
REACH = 'use IO::Socket::INET; IO::Socket::INET->new(PeerAddr=>"%s:80", Timeout=>2) or exit 1; print "reached"'


class Project(Composed):
    head = HEAD

    def addresses(self, service, *names):
        lines = self("exec", "-T", service, "perl", "-e", ADDRESSES, *names).out.splitlines()
        return {name: set(filter(None, found.split(","))) for name, found in (line.split("=") for line in lines)}

    def reaches(self, service, name):
        return self("exec", "-T", service, "perl", "-e", REACH % name, check=False).out == "reached"

    def places(self, container):
        return self.wherry.inspect(f"{self.name}-{container}")["NetworkSettings"]["Networks"]

    def networks(self):
        names = self.wherry("network", "ls", "--format", "{{.Name}}").out.splitlines()
        return {name.removeprefix(f"{self.name}_") for name in names if name.startswith(f"{self.name}_")}


@pytest.fixture
def compose(wherry, tmp_path_factory, request):
    with project_of(Project, wherry, tmp_path_factory, request, prefix="n") as project:
        yield project
    assert project.networks() == set()
    assert [line for line in wherry.leftovers() if "/sys/class/net/" in line or "aardvark" in line] == []


def served(compose, service):
    """Wait until the service's program listens."""
    process = compose.wherry.start("logs", "-f", f"{compose.name}-{service}-1", stdout=-1)
    assert b"ready" in process.stdout.readline()
    process.kill()
    process.communicate()


def test_services_reach_each_other_by_name_on_the_default_network(compose, wherry, serve):
    program = json.dumps(serve.replace("$", "$$"))
    compose.write(f"services:\n  web: {{<<: *s, command: [perl, -e, {program}]}}\n  client: {{<<: *s, ports: [80]}}\n")
    first = compose("up", "-d")
    assert f" Network {compose.name}_default  Created" in first.err
    served(compose, "web")
    assert compose.reaches("client", "web")
    assert compose.reaches("client", f"{compose.name}-web-1")
    assert compose("port", "client", "80").out.startswith("0.0.0.0:")
    labels = json.loads(wherry("network", "inspect", f"{compose.name}_default").out)[0]["Labels"]
    assert labels["com.docker.compose.network"] == "default"
    assert labels["com.docker.compose.project"] == compose.name
    again = compose("up", "-d")
    assert again.err.splitlines() == [f" Container {compose.name}-{name}-1  Running" for name in ("client", "web")]
    compose("stop", "-t", "0", "web")
    compose("start", "web")
    served(compose, "web")
    assert compose.reaches("client", "web")
    down = compose("down", "-t", "0")
    assert f" Network {compose.name}_default  Removed" in down.err
    assert compose.networks() == set()


def test_a_service_name_is_all_its_containers(compose):
    compose.write("services: {a: {<<: *s, deploy: {replicas: 2}}, b: {<<: *s}}")
    compose("up", "-d")
    each = {next(iter(compose.places(f"a-{number}").values()))["IPAddress"] for number in (1, 2)}
    assert compose.addresses("b", "a") == {"a": each}
    assert len(each) == 2
    compose("up", "-d", "--scale", "a=1")
    assert len(compose.addresses("b", "a")["a"]) == 1
    run = compose("run", "--rm", "-T", "b", "perl", "-e", ADDRESSES, "a", "b").out.splitlines()
    assert sum("=" in line and len(line.partition("=")[2]) > 0 for line in run) == 2


def test_several_networks_aliases_and_addresses(compose, wherry):
    compose.write(
        """
services:
  front: {<<: *s, networks: [outer]}
  both: {<<: *s, networks: {outer: {aliases: [door]}, inner: {ipv4_address: 10.213.77.9, priority: 5}}}
  back: {<<: *s, networks: [inner]}
networks:
  outer: {driver_opts: {com.docker.network.driver.mtu: 1400}}
  inner: {internal: true, labels: {own: label}, ipam: {config: [{subnet: 10.213.77.0/24, gateway: 10.213.77.5}]}}
"""
    )
    compose("up", "-d")
    assert compose.networks() == {"outer", "inner"}
    outer, inner = (compose.places("both-1")[f"{compose.name}_{name}"] for name in ("outer", "inner"))
    assert inner["IPAddress"] == "10.213.77.9"
    assert inner["Aliases"][:1] == ["both"]
    assert compose.addresses("front", "door", "both", "back") == {
        "door": {outer["IPAddress"]},
        "both": {outer["IPAddress"]},
        "back": set(),
    }
    assert compose.addresses("back", "both", "door", "front") == {
        "both": {"10.213.77.9"}, "door": set(), "front": set()
    }  # fmt: skip
    assert compose("exec", "-T", "front", "cat", "/sys/class/net/eth0/mtu").out == "1400\n"
    shown = json.loads(wherry("network", "inspect", f"{compose.name}_inner").out)[0]
    assert shown["Internal"]
    assert shown["Labels"]["own"] == "label"
    assert shown["IPAM"]["Config"][0]["Gateway"] == "10.213.77.5"
    before = wherry.inspect(f"{compose.name}-both-1")["Id"]
    assert compose("up", "-d").err.count("Running") == 3
    wherry("network", "disconnect", f"{compose.name}_outer", f"{compose.name}-both-1")
    compose("up", "-d")
    assert wherry.inspect(f"{compose.name}-both-1")["Id"] != before
    assert set(compose.places("both-1")) == {f"{compose.name}_outer", f"{compose.name}_inner"}


def test_external_networks_are_used_and_left_and_have_to_be_there(compose, wherry):
    own = f"{compose.name}-shared"
    compose.write(
        f"services: {{a: {{<<: *s, networks: [default, x]}}}}\nnetworks: {{x: {{external: true, name: {own}}}}}"
    )
    missing = compose("up", "-d", check=False)
    assert missing.returncode == 1
    assert f"network {own} declared as external, but could not be found" in missing.err
    wherry("network", "create", own)
    try:
        compose("up", "-d")
        assert set(compose.places("a-1")) == {own, f"{compose.name}_default"}
        compose("down", "-t", "0")
        assert own in wherry("network", "ls").out
    finally:
        compose("down", "-t", "0")
        wherry("network", "rm", own)


def test_the_bridge_of_the_engine_can_be_named(compose):
    compose.write("services: {a: {<<: *s}}\nnetworks: {default: {external: true, name: bridge}}")
    compose("up", "-d")
    assert set(compose.places("a-1")) == {"bridge"}
    assert compose("up", "-d").err == f" Container {compose.name}-a-1  Running\n"


def test_a_network_in_use_is_told_and_left(compose, wherry, name):
    compose.write("services: {a: {<<: *s}}")
    compose("up", "-d")
    wherry("run", "-d", "--name", name, "--network", f"{compose.name}_default", "tiny", "sleep", "1000")
    down = compose("down", "-t", "0")
    assert "still in use" in down.err
    assert compose.networks() == {"default"}
    wherry("rm", "-f", name)
    compose("down")
    assert compose.networks() == set()


def test_a_changed_network_is_made_anew_with_its_containers(compose, wherry):
    compose.write("services: {a: {<<: *s}}")
    compose("up", "-d")
    compose.write("services: {a: {<<: *s}}\nnetworks: {default: {internal: true}}")
    compose("up", "-d")
    assert json.loads(wherry("network", "inspect", f"{compose.name}_default").out)[0]["Internal"]
    assert compose("up", "-d").err.count("Running") == 1


@pytest.mark.parametrize(
    ("service", "network", "words"),
    [
        ("", "driver: macvlan", 'plugin "macvlan" not found'),
        ("", "enable_ipv6: true", "enable_ipv6 is not supported yet"),
        ("networks: {default: {gw_priority: 1}}", "", "services.a.networks.default.gw_priority is not supported yet"),
        ("links: ['b:x']", "", "services.a.links: aliases of links are not supported yet"),
    ],
)
def test_what_the_engine_has_not_is_refused_by_name(compose, service, network, words):
    compose.write(f"services: {{a: {{<<: *s, {service}}}, b: {{<<: *s}}}}\nnetworks: {{default: {{{network}}}}}")
    refused = compose("up", "-d", check=False)
    assert refused.returncode == 1
    assert words in refused.err


def test_a_container_made_anew_keeps_its_address_and_its_names(compose):
    text = "services: {a: {<<: *s, networks: {n: {ipv4_address: 10.213.78.9}}}, b: {<<: *s, networks: [n]}}\n"
    pool = "networks: {n: {ipam: {config: [{subnet: 10.213.78.0/24}]}}}\n"
    compose.write(text + pool)
    compose("up", "-d")
    compose("up", "-d", "--force-recreate", "a")
    names = ("a", f"{compose.name}-a-1")
    assert compose.addresses("b", *names) == {name: {"10.213.78.9"} for name in names}


def test_run_makes_the_network_and_down_needs_no_files(compose):
    compose.write("services: {a: {<<: *s}, b: {<<: *s, depends_on: [a]}}\n")
    done = compose("run", "--rm", "-T", "b", "perl", "-e", ADDRESSES, "a").out
    assert done.startswith("a=")
    assert done.strip() != "a="
    assert compose.networks() == {"default"}
    compose.wherry("compose", "-p", compose.name, "down", "-t", "0", cwd="/")
    assert compose.networks() == set()


@pytest.mark.slow
def test_killed_anywhere_the_next_command_goes_on(compose):
    chance = random.Random(11)
    services = "".join(f"  {name}: {{<<: *s, networks: [one, two]}}\n" for name in "abc")
    compose.write(f"services:\n{services}networks: {{one: , two: }}\n")
    for verb in ["up", "down"] * 4:
        command = (verb, "-d") if verb == "up" else (verb, "-t", "0")
        process = compose.wherry.start("compose", *command, cwd=compose.directory, stderr=-3)
        time.sleep(chance.uniform(0.2, 1.5))
        process.kill()
        process.wait()
    compose("up", "-d")
    assert compose.networks() == {"one", "two"}
    assert {len(found) for found in compose.addresses("a", "b", "c").values()} == {2}
    compose("down", "-t", "0")
    assert compose.networks() == set()
