import pytest

from wherry.base.errors import Conflict, Unsupported
from wherry.compose import ProjectOptions, load_project
from wherry.compose.attaching import attached, network_names, network_request
from wherry.compose.engine import Attachment, NetworkWish
from wherry.compose.readers import MemorySource
from wherry.compose.requests import Making, check_supported, container_wish
from wherry.engine.networks import NetworkRequest
from wherry.engine.records import Container, ContainerState, NetworkState
from wherry.engine.request import ContainerRequest, EndpointRequest


def load(text):
    return load_project(ProjectOptions({}, "/p"), MemorySource({"/p/compose.yaml": text}))


def wanted(network):
    project = load(f"services: {{a: {{image: i, networks: [n]}}}}\nnetworks: {{n: {{{network}}}}}")
    return network_request(NetworkWish("p_n", project.networks["n"], {"own": "label"}))


def test_a_network_of_the_model_as_the_engines():
    assert wanted("") == NetworkRequest("p_n", labels={"own": "label"})
    opts = "{com.docker.network.driver.mtu: 1400, com.docker.network.bridge.enable_icc: false}"
    pool = "{config: [{subnet: 10.1.0.0/16, gateway: 10.1.0.9, ip_range: 10.1.2.0/24}]}"
    assert wanted(f"internal: true, driver: bridge, driver_opts: {opts}, ipam: {pool}") == NetworkRequest(
        "p_n",
        subnet="10.1.0.0/16",
        gateway="10.1.0.9",
        ip_range="10.1.2.0/24",
        internal=True,
        labels={"own": "label"},
        options={"com.docker.network.driver.mtu": "1400", "com.docker.network.bridge.enable_icc": "false"},
    )


@pytest.mark.parametrize(
    ("network", "key"),
    [
        ("enable_ipv6: true", "enable_ipv6"),
        ("enable_ipv4: false", "enable_ipv4"),
        ("ipam: {driver: dhcp}", "ipam.driver: dhcp"),
        ("ipam: {options: {a: b}}", "ipam.options"),
        ("ipam: {config: [{subnet: 10.1.0.0/16}, {subnet: 10.2.0.0/16}]}", "several subnets"),
        ("ipam: {config: [{subnet: 10.1.0.0/16, aux_addresses: {a: 10.1.0.2}}]}", "aux_addresses"),
    ],
)
def test_what_the_engines_networks_have_not_is_refused_by_its_key(network, key):
    with pytest.raises(Unsupported, match=key):
        wanted(network)


@pytest.mark.parametrize("key", ["gw_priority: 1", "interface_name: e", "ipv6_address: '::1'", "driver_opts: {a: b}"])
def test_what_an_endpoint_has_not_is_refused_by_its_key(key):
    project = load(f"services: {{a: {{image: i, networks: {{n: {{{key}}}}}}}}}\nnetworks: {{n: }}")
    with pytest.raises(Unsupported, match=r"services\.a\.networks\.n\." + key.partition(":")[0]):
        check_supported(project.services["a"])


def test_links_are_names_on_networks_of_the_project_only():
    project = load(
        "services: {a: {image: i, links: [b]}, b: {image: i, links: ['c:x']},"
        " c: {image: i, network_mode: bridge, links: [d]}, d: {image: i}}"
    )
    assert check_supported(project.services["a"]) == []
    for name in "bc":
        with pytest.raises(Unsupported, match=rf"services\.{name}\.links"):
            check_supported(project.services[name])


def attachments(service, networks, *, use_aliases=True):
    project = load(f"services: {{a: {{image: i, {service}}}}}\nnetworks: {{{networks}}}")
    making = Making("p-a-1", 1, {}, lambda name: name, use_aliases=use_aliases)
    return container_wish(project, project.services["a"], making).attachments


def test_names_and_hardware_addresses_on_each_network():
    service = "mac_address: '02:00:00:00:00:07', networks: {n: {aliases: [z, a]}, m: {priority: 1}}"
    first, second = attachments(service, "n: , m: ")
    assert first == Attachment("p_m", ("a",), "", "02:00:00:00:00:07")
    assert second == Attachment("p_n", ("a", "z"))
    assert [one.aliases for one in attachments(service, "n: , m: ", use_aliases=False)] == [(), ()]
    assert attachments("", "default: {external: true, name: bridge}") == (Attachment("bridge"),)


def test_a_container_is_asked_for_with_all_its_networks():
    request = ContainerRequest("i", name="c")
    assert attached(request, []) is request
    both = attached(request, [Attachment("one", ("a",), "10.1.1.1"), Attachment("two")])
    assert both.network == "one"
    assert both.endpoints == (EndpointRequest("one", ("a",), (), "10.1.1.1"), EndpointRequest("two"))
    host = attached(request, [Attachment("host")])
    assert (host.network, host.endpoints) == ("host", None)
    with pytest.raises(Conflict, match="host and on others"):
        attached(request, [Attachment("host"), Attachment("one")])


def test_networks_are_seen_whether_the_container_runs_or_not():
    request = attached(ContainerRequest("i"), [Attachment("one"), Attachment("two")])
    container = Container("1", "c", "i", "", "", request, 0, ContainerState("exited"), NetworkState())
    assert network_names(container) == ("one", "two")
    others = (NetworkState("y", "10.2.0.2", name="three"),)
    joined = NetworkState("x", "10.1.0.2", name="one", others=others)
    assert network_names(container._replace(network=joined)) == ("one", "three")
    assert network_names(container._replace(request=ContainerRequest("i", network="none"))) == ("none",)
