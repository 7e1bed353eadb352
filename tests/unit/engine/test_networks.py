import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.base.errors import InvalidInput, Unavailable
from wherry.engine.networks import address_to_number, next_free, number_to_address, usable


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
