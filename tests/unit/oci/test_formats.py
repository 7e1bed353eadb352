import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.base.errors import Corrupt, InvalidInput, NotFound, Unsupported
from wherry.oci.config import (
    ContainerDefaults,
    Healthcheck,
    History,
    ImageConfig,
    chain_id,
    chain_ids,
    encode_config,
    parse_config,
)
from wherry.oci.descriptor import Descriptor, Index, Manifest, parse_document
from wherry.oci.digest import parse_digest, sha256_digest
from wherry.oci.media_types import MANIFEST
from wherry.oci.platform import Platform, parse_platform
from wherry.oci.reference import Reference, parse_reference

digests = st.binary(min_size=32, max_size=32).map(lambda data: "sha256:" + data.hex())
words = st.text(min_size=1, max_size=8)
some = st.lists(words, max_size=3).map(tuple)
descriptors = st.builds(Descriptor, words, digests, st.integers(0, 2**40), st.none() | st.just({"a": "b"}))
configs = st.builds(
    ImageConfig,
    architecture=words,
    os=st.just("linux"),
    config=st.builds(
        ContainerDefaults,
        user=st.text(max_size=5),
        env=some,
        cmd=st.none() | some,
        entrypoint=st.none() | some,
        exposed_ports=st.lists(words, max_size=3, unique=True).map(lambda ports: tuple(sorted(ports))),
        volumes=st.lists(words, max_size=3, unique=True).map(lambda paths: tuple(sorted(paths))),
        labels=st.dictionaries(words, words, max_size=2),
        healthcheck=st.none() | st.builds(Healthcheck, st.just(("CMD", "x")), st.integers(0, 10**9)),
    ),
    rootfs=st.lists(digests, max_size=3).map(tuple),
    history=st.lists(st.builds(History, st.integers(0, 10**18), words), max_size=2).map(tuple),
    created=st.integers(0, 10**18),
)


@given(configs)
def test_a_configuration_survives(config):
    assert parse_config(encode_config(config)) == config


@given(descriptors, st.lists(descriptors, max_size=3).map(tuple))
def test_a_manifest_survives(config, layers):
    manifest = Manifest(config, layers)
    assert parse_document(manifest.encode()) == manifest


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(data):
    for parse in (parse_document, parse_config):
        try:
            parse(data)
        except (Corrupt, Unsupported):
            pass


@pytest.mark.parametrize(
    "text",
    [
        '{"schemaVersion":2,"manifests":[],"layers":[],"config":{}}',
        "[]",
        '{"schemaVersion":2}',
        '{"schemaVersion":2,"config":{"digest":"sha256:../../x","size":1},"layers":[]}',
        '{"schemaVersion":2,"config":{"digest":"sha256:' + "a" * 64 + '","size":-1},"layers":[]}',
    ],
)
def test_ambiguous_and_malformed_manifests_are_refused(text):
    with pytest.raises(Corrupt):
        parse_document(text.encode())


def test_a_manifest_is_what_its_transport_says():
    with pytest.raises(Corrupt, match="transport says"):
        parse_document(Index(()).encode(), "application/vnd.oci.image.manifest.v1+json")


def test_platforms_are_chosen_by_variant():
    digest = sha256_digest(b"")
    entries = [Descriptor("m", digest, 1, platform=Platform("linux", "arm", variant)) for variant in ("v6", "v7")]
    assert Index(tuple(entries)).select(Platform("linux", "arm", "v7")).platform.variant == "v7"
    assert Index(tuple(entries)).select(Platform("linux", "arm", "v6")).platform.variant == "v6"
    with pytest.raises(NotFound, match="no matching manifest for linux/amd64"):
        Index(tuple(entries)).select(Platform("linux", "amd64"))
    assert parse_platform("x86_64") == Platform("linux", "amd64")


def test_chain_ids_are_the_specifications():
    first, second = sha256_digest(b"1"), sha256_digest(b"2")
    assert chain_ids((first, second)) == [first, sha256_digest(f"{first} {second}".encode())]
    assert chain_id(()) == ""


@pytest.mark.parametrize(
    ("text", "canonical", "familiar"),
    [
        ("nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("a/b:1", "docker.io/a/b:1", "a/b:1"),
        ("localhost/a", "localhost/a:latest", "localhost/a:latest"),
        ("host:5000/a/b", "host:5000/a/b:latest", "host:5000/a/b:latest"),
        ("index.docker.io/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
        ("a@" + sha256_digest(b""), "docker.io/library/a@" + sha256_digest(b""), "a@" + sha256_digest(b"")),
    ],
)
def test_references(text, canonical, familiar):
    reference = parse_reference(text)
    assert (str(reference), reference.familiar()) == (canonical, familiar)
    assert parse_reference(str(reference)) == reference


@pytest.mark.parametrize(
    "text",
    ["", "A", "a:", "a/", "/a", "a:b:c", "a@sha256:x", "a b", "-a", "a" * 300, "../a", "a:" + "t" * 129, "f" * 64],
)
def test_what_is_no_reference_is_refused(text):
    with pytest.raises(InvalidInput):
        parse_reference(text)


@given(st.text(max_size=40))
def test_any_text_is_a_reference_or_refused(text):
    try:
        reference = parse_reference(text)
    except InvalidInput:
        return
    assert parse_reference(str(reference)) == reference


@pytest.mark.parametrize("text", ["sha256:" + "A" * 64, "sha256:../../../etc/passwd", "md5:" + "a" * 32, "sha256:"])
def test_hostile_digests_are_refused(text):
    with pytest.raises(InvalidInput):
        parse_digest(text)


def _index(*platforms):
    entries = []
    for number, (os, architecture, variant) in enumerate(platforms):
        digest = "sha256:" + f"{number:064x}"
        entries.append(Descriptor(MANIFEST, digest, 1, platform=Platform(os, architecture, variant)))
    return Index(tuple(entries))


@pytest.mark.parametrize(
    ("wanted", "present", "chosen"),
    [
        ("linux/amd64", [("linux", "arm64", "v8"), ("linux", "amd64", "")], 1),
        ("linux/arm64", [("linux", "arm64", "")], 0),
        ("linux/arm64/v8", [("linux", "arm64", "")], 0),
        ("linux/arm/v7", [("linux", "arm", "v5"), ("linux", "arm", "v6"), ("linux", "arm", "v8")], 1),
        ("linux/arm/7", [("linux", "arm", "v7")], 0),
        ("linux/arm64", [("linux", "arm", "v6"), ("linux", "arm", "v7")], 1),
        ("linux/amd64/v3", [("linux", "amd64", "v4"), ("linux", "amd64", "v2"), ("linux", "amd64", "v3")], 2),
        ("linux/amd64", [("linux", "386", "")], 0),
        ("linux/amd64", [("unknown", "unknown", ""), ("linux", "amd64", "")], 1),
        ("linux/s390x", [("linux", "s390x", "")], 0),
        ("linux/amd64", [("linux", "amd64", "v2")], None),
        ("linux/amd64", [("windows", "amd64", "")], None),
        ("linux/386", [("linux", "amd64", "")], None),
        ("unknown/unknown", [("unknown", "unknown", "")], None),
    ],
)
def test_the_image_that_fits_a_platform_best(wanted, present, chosen):
    index = _index(*present)
    if chosen is None:
        with pytest.raises(NotFound, match="no matching manifest"):
            index.select(parse_platform(wanted))
    else:
        assert index.select(parse_platform(wanted)) == index.manifests[chosen]


def test_schema_version_1_is_refused_and_named():
    with pytest.raises(Unsupported, match="schema version 1"):
        parse_document(b'{"schemaVersion":1}')


# distribution reference/regexp.go
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_GRAMMAR = re.compile(
    rf"(?:(?P<registry>(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?)/)"
    rf"(?P<repository>{_COMPONENT}(?:/{_COMPONENT})*)(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}}))?"
)
_PIECES = st.lists(
    st.sampled_from([*"aZ0._-/:[]@ \t\u0660", "__", "--", "a.b/", ":5000", "[::1]", "a" * 126]), max_size=9
)


def _by_grammar(text):
    match = _GRAMMAR.fullmatch(text)
    if match is None or len(match["registry"]) + 1 + len(match["repository"]) > 255:
        return None
    return Reference(match["registry"], match["repository"], match["tag"] or "")


def _parsed(text):
    try:
        return parse_reference(text, default_tag=False)
    except InvalidInput:
        return None


@given(_PIECES.map("".join))
def test_a_name_on_a_registry_is_what_the_grammar_says(text):
    assert _parsed(f"host.example/{text}") == _by_grammar(f"host.example/{text}")


@given(_PIECES.map(lambda pieces: "".join(pieces).replace("/", "")))
def test_the_name_of_a_registry_is_what_the_grammar_says(text):
    assert _parsed(f"{text}.example/name") == _by_grammar(f"{text}.example/name")
