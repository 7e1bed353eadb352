import json

from hypothesis import given
from hypothesis import strategies as st

from wherry.engine.request import (
    ContainerRequest,
    DeviceRequest,
    HealthRequest,
    LimitsRequest,
    MountRequest,
    PortRequest,
    RestartPolicy,
    UlimitRequest,
    decode_request,
    encode_request,
)

words = st.text(min_size=1, max_size=8)
some = st.lists(words, max_size=3).map(tuple)
requests = st.builds(
    ContainerRequest,
    image=words,
    command=st.none() | some,
    entrypoint=st.none() | some,
    environment=some,
    labels=st.dictionaries(words, words, max_size=2),
    tty=st.booleans(),
    restart=st.builds(RestartPolicy, name=words, maximum=st.integers(0, 9)),
    stop_timeout=st.none() | st.integers(-1, 99),
    ports=st.lists(st.builds(PortRequest, st.integers(1, 65535)), max_size=2).map(tuple),
    mounts=st.lists(st.builds(MountRequest, kind=words, target=words, options=some), max_size=2).map(tuple),
    devices=st.lists(st.builds(DeviceRequest, words, words), max_size=2).map(tuple),
    health=st.builds(HealthRequest, test=some, disabled=st.booleans()),
    limits=st.builds(
        LimitsRequest,
        memory=st.integers(0, 9),
        ulimits=st.lists(st.builds(UlimitRequest, words, st.integers(), st.integers()), max_size=2).map(tuple),
    ),
)


@given(requests)
def test_a_request_survives_being_stored(request):
    assert decode_request(json.loads(json.dumps(encode_request(request)))) == request


def test_defaults_are_not_stored():
    assert encode_request(ContainerRequest("busybox")) == {"image": "busybox"}


def test_fields_of_a_newer_version_are_ignored():
    assert decode_request({"image": "a", "from_the_future": 1}) == ContainerRequest("a")
