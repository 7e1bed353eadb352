import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.base.errors import Conflict, InvalidInput, Unavailable, Unsupported
from wherry.engine.connecting import default_gateway
from wherry.engine.networks import (
    NetworkRequest,
    address_to_number,
    choose_addresses,
    choose_number,
    next_free,
    number_to_address,
    usable,
)
from wherry.engine.records import NetworkState


@given(st.integers(0, 2**32 - 1))
def test_addresses_round_trip(number):
    assert address_to_number(number_to_address(number)) == number


@pytest.mark.parametrize("text", ["", "1.2.3", "1.2.3.4.5", "256.1.1.1", "a.b.c.d", "1.2.3.-4", "::1"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(InvalidInput, match="invalid IPv4 address"):
        address_to_number(text)


def test_usable_leaves_out_network_and_broadcast():
    assert [number_to_address(one) for one in usable("10.88.4.0/29")] == ["10.88.4.1", "10.88.4.6"]


@given(st.sets(st.integers(10, 20)), st.integers(0, 30))
def test_next_free_is_free_and_found_whenever_there_is_one(taken, after):
    if len(taken) == 11:
        with pytest.raises(Unavailable, match="no available IPv4 addresses"):
            next_free(10, 20, taken, after)
    else:
        found = next_free(10, 20, taken, after)
        assert 10 <= found <= 20
        assert found not in taken


def test_an_address_just_given_back_is_the_last_to_be_reused():
    assert next_free(10, 20, set(), 15) == 16
    assert next_free(10, 20, set(range(16, 21)), 15) == 10


def test_a_container_gets_the_address_again_that_it_had():
    former = {"one": 12, "other": 13}
    assert choose_number((10, 20), {11}, former, "one", 11) == 12
    assert choose_number((10, 20), {11}, former, "new", 11) == 14
    assert choose_number((10, 20), {12}, former, "one", 11) == 14
    assert choose_number((10, 13), {10, 11, 12}, former, "new", 11) == 13


def chosen(others=(), used=(), **wanted):
    return choose_addresses(NetworkRequest("n", **wanted), list(others), list(used), "00ff00")


def test_a_subnet_that_is_asked_for_has_its_first_address_as_gateway():
    assert chosen(subnet="10.5.0.9/24") == ("10.5.0.0/24", "10.5.0.1")
    assert chosen(subnet="10.5.0.0/24", gateway="10.5.0.254") == ("10.5.0.0/24", "10.5.0.254")


def test_a_subnet_that_is_chosen_overlaps_no_other():
    first, _ = chosen()
    second, gateway = chosen(others=[first])
    assert second != first
    assert gateway == second.replace("0/20", "1")


@pytest.mark.parametrize(
    ("wanted", "error", "words"),
    [
        ({"subnet": "10.0.0.0/99"}, InvalidInput, "Invalid subnet 10.0.0.0/99 : invalid CIDR address: 10.0.0.0/99"),
        ({"subnet": "10.0.0.0"}, InvalidInput, "invalid CIDR address"),
        ({"subnet": "10.0.0.0/31"}, InvalidInput, "no room"),
        ({"subnet": "fd00::/64"}, Unsupported, "IPv6"),
        ({"subnet": "10.9.0.0/16"}, Conflict, "Pool overlaps"),
        ({"subnet": "10.1.0.0/24", "gateway": "10.2.0.1"}, InvalidInput, "no matching subnet for gateway 10.2.0.1"),
        ({"subnet": "10.1.0.0/24", "ip_range": "10.2.0.0/25"}, InvalidInput, "no matching subnet for range"),
        ({"subnet": "10.1.0.0/24", "ip_range": "10.1.0.0/16"}, InvalidInput, "no matching subnet for range"),
        ({"subnet": "10.1.0.0/24", "gateway": "x"}, InvalidInput, "invalid address"),
    ],
)
def test_addresses_that_do_not_fit_are_refused(wanted, error, words):
    with pytest.raises(error, match=words):
        chosen(others=["10.9.5.0/24"], **wanted)


def test_the_default_route_leads_through_the_first_network_by_name_that_leads_out():
    states = [
        NetworkState("1", "10.1.0.2", 24, "10.1.0.1", name="zebra"),
        NetworkState("2", "10.2.0.2", 24, "", name="ant"),
        NetworkState("3", "10.3.0.2", 24, "10.3.0.1", name="bee"),
    ]
    assert default_gateway(states) == "10.3.0.1"
    assert default_gateway(states[1:2]) == ""
