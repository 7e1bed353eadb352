"""What is read from a pushed manifest, and names, tags and digests as they come in a URL."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_server import INDEX, MANIFEST, digest_of, index_of, manifest_of
from wherry.registry.errors import Refusal
from wherry.registry.manifests import examine
from wherry.registry.names import check_digest, check_repository, check_tag, is_any_digest


def test_an_image():
    facts = examine(manifest_of(b"config", [b"one", b"two", b"one"], annotations={"a": "b"}), MANIFEST)
    assert facts.blobs == (digest_of(b"config"), digest_of(b"one"), digest_of(b"two"))
    assert (facts.image_size, facts.annotations, facts.subject) == (15, '{"a":"b"}', "")


def test_an_index():
    inner = manifest_of(b"{}", [])
    facts = examine(index_of(inner, inner), INDEX)
    assert (facts.blobs, facts.manifests) == ((), (digest_of(inner),))


def test_the_media_type_is_what_both_say():
    data = json.loads(manifest_of(b"{}", []))
    assert examine(json.dumps(data).encode(), "").media_type == MANIFEST
    del data["mediaType"]
    assert examine(json.dumps(data).encode(), MANIFEST).media_type == MANIFEST
    with pytest.raises(Refusal):
        examine(json.dumps(data).encode(), "")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["schemaVersion", "mediaType", "config", "layers", "manifests", "digest", "size", "subject", "x"]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_understood_or_refused(value):
    if isinstance(value, dict):
        value["schemaVersion"] = 2
    for media_type in (MANIFEST, INDEX, ""):
        with suppress(Refusal):  # and nothing else
            examine(json.dumps(value).encode(), media_type)


@given(st.binary(max_size=50))
def test_any_bytes_are_refused(data):
    with pytest.raises(Refusal):
        examine(data, MANIFEST)


@given(st.text(max_size=40))
def test_a_name_that_is_taken_is_safe_in_a_path_and_in_a_header(text):
    for check in (check_repository, check_tag, check_digest):
        try:
            check(text)
        except Refusal:
            continue
        assert ".." not in text.split("/")
        assert not set(text) & set('"\\\r\n\0 %?#')
        assert text.isascii()
        assert not text.startswith(("/", "-"))


def test_digests():
    assert is_any_digest("sha256:" + "0" * 64)
    assert is_any_digest("sha512:" + "f" * 128)
    for text in ("sha256:" + "F" * 64, "sha256:" + "0" * 65, "sha512:" + "0" * 64, "0" * 64, "sha256:", ":", ""):
        assert not is_any_digest(text)
