import pytest

from wherry.base.errors import InvalidInput
from wherry.cli.networkflags import parse_networks
from wherry.engine.request import ContainerRequest, EndpointRequest, decode_request, encode_request, endpoints_of

NONE = EndpointRequest("")


def test_one_plain_network_is_a_mode():
    assert parse_networks([], NONE) == ("bridge", None)
    assert parse_networks(["default"], NONE) == ("bridge", None)
    assert parse_networks(["host"], NONE) == ("host", None)
    assert parse_networks(["container:web"], NONE) == ("container:web", None)
    assert parse_networks(["blue"], EndpointRequest("", (), ("db:d",), "10.0.0.5")) == ("blue", None)


def test_flags_speak_of_the_first_and_fields_of_their_own():
    mode, endpoints = parse_networks(
        ["name=blue,alias=a", "name=red,alias=r,alias=s,ip=10.0.0.9"],
        EndpointRequest("", ("web",), ("db",), "10.1.0.5"),
    )
    assert mode == "blue"
    assert endpoints == (
        EndpointRequest("blue", ("a", "web"), ("db",), "10.1.0.5"),
        EndpointRequest("red", ("r", "s"), (), "10.0.0.9"),
    )


@pytest.mark.parametrize(
    ("values", "first", "words"),
    [
        (["host", "blue"], NONE, "conflicting options"),
        (["blue", "none"], NONE, "conflicting options"),
        (["blue", "blue"], NONE, "network blue is specified multiple times"),
        (["host"], EndpointRequest("", ("a",)), "network-scoped alias"),
        (["none"], EndpointRequest("", ip_address="10.0.0.1"), "user specified IP address"),
        (["alias=a"], NONE, "network name is not specified"),
        (["name=a,colour=red"], NONE, "invalid field key colour"),
        ([""], NONE, "invalid empty network name"),
    ],
)
def test_what_makes_no_sense_is_refused(values, first, words):
    with pytest.raises(InvalidInput, match=words):
        parse_networks(values, first)


def test_where_a_container_is_to_be():
    assert endpoints_of(ContainerRequest("i")) == (EndpointRequest("bridge"),)
    assert endpoints_of(ContainerRequest("i", network="host")) == ()
    assert endpoints_of(ContainerRequest("i", endpoints=())) == ()
    request = ContainerRequest("i", network="a", endpoints=(EndpointRequest("a", ("x",)), EndpointRequest("b")))
    assert decode_request(encode_request(request)) == request
    assert endpoints_of(request) == request.endpoints
