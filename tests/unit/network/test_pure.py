import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from wherry.network.bridge import Bridge, free_subnet, interface, mac_of
from wherry.network.names import hosts_file, resolv_conf
from wherry.network.ruleset import PortMapping, publish_ruleset, unpublish_ruleset, whole_ruleset


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(8, 30)), max_size=5), st.integers(0, 2**24))
def test_a_subnet_overlaps_nothing_in_use(used, seed):
    networks = [ipaddress.ip_network((address, length), strict=False) for address, length in used]
    routes = [(int(network.network_address), int(network.netmask)) for network in networks]
    found = ipaddress.ip_network(free_subnet(routes, seed))
    assert not any(found.overlaps(network) for network in networks if network.prefixlen > 8)
    assert found.is_private


def test_a_route_to_all_of_ten_leaves_other_private_networks():
    ten = (int(ipaddress.ip_address("10.0.0.0")), int(ipaddress.ip_address("255.0.0.0")))
    assert free_subnet([ten], 7).startswith("172.")


def test_two_installations_never_share_a_name():
    assert interface("abc123", "f" * 64) == "whabc123ffffff"
    assert all(len(interface(tag, "f" * 64)) <= 15 for tag in ("", "abc123"))


def test_a_port_on_every_address_and_on_one():
    anywhere, one = PortMapping(80, "tcp", "", 8080), PortMapping(53, "udp", "127.0.0.1", 5353)
    assert publish_ruleset("t", "10.0.0.2", [anywhere, one]) == (
        "add element ip wherry-t tcp_any { 8080 : 10.0.0.2 . 80 }\n"
        "add element ip wherry-t udp_addr { 127.0.0.1 . 5353 : 10.0.0.2 . 53 }\n"
    )
    assert unpublish_ruleset("", "10.0.0.2", [anywhere]).splitlines() == [
        "add element ip wherry tcp_any { 8080 : 10.0.0.2 . 80 }",
        "delete element ip wherry tcp_any { 8080 : 10.0.0.2 . 80 }",
    ]


def test_the_base_lets_in_only_what_was_published():
    rules = whole_ruleset("", [Bridge("wherry0", "10.64.0.0/20", "10.64.0.1")], ())
    assert 'oifname { "wherry0" } ct status dnat accept' in rules
    assert 'oifname { "wherry0" } drop' in rules
    assert 'iifname != "lo" ip daddr 127.0.0.0/8 drop' in rules


def test_resolv_conf_leaves_out_what_cannot_be_reached():
    host = "# comment\nnameserver 127.0.0.53\nnameserver 192.0.2.1\nsearch a b\noptions edns0\n"
    assert resolv_conf(host, (), (), (), own_network=True) == "search a b\nnameserver 192.0.2.1\noptions edns0\n"
    assert "127.0.0.53" in resolv_conf(host, (), (), (), own_network=False)
    assert resolv_conf("nameserver ::1\n", (), (), (), own_network=True).startswith("nameserver 8.8.8.8")
    assert (
        resolv_conf(host, ("1.1.1.1",), (".",), ("ndots:1",), own_network=True)
        == "nameserver 1.1.1.1\noptions ndots:1\n"
    )


def test_hosts_and_hardware_addresses():
    text = hosts_file(["10.0.0.2"], "web", "example.org", [("db", "10.0.0.3")])
    assert "10.0.0.3\tdb\n" in text
    assert text.endswith("10.0.0.2\tweb.example.org web\n")
    assert mac_of("10.64.0.2") == "02:42:0a:40:00:02"
