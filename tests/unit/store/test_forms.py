"""What is remembered of layers."""

import itertools

import pytest

from wherry.oci.descriptor import Descriptor
from wherry.oci.digest import sha256_digest
from wherry.oci.media_types import LAYER_GZIP, LAYER_ZSTD
from wherry.store import Database
from wherry.store import forms as forms_module
from wherry.store.forms import LayerForms


@pytest.fixture
def forms(tmp_path):
    return LayerForms(Database(f"{tmp_path}/db"), itertools.count(1).__next__)


def test_one_form_for_each_compression(forms):
    diff_id = sha256_digest(b"plain")
    gzip = Descriptor(LAYER_GZIP, sha256_digest(b"gzip"), 4)
    zstd = Descriptor(LAYER_ZSTD, sha256_digest(b"zstd"), 5)
    forms.remember(diff_id, gzip)
    forms.remember(diff_id, zstd)
    assert (forms.form(diff_id, "gzip"), forms.form(diff_id, "zstd")) == (gzip, zstd)
    assert forms.form(sha256_digest(b"other"), "gzip") is None


def test_places_are_those_of_one_registry_the_latest_first(forms):
    digest = sha256_digest(b"x")
    for registry, repository in (("a", "one"), ("a", "two"), ("b", "three"), ("a", "one")):
        forms.placed(digest, registry, repository)
    assert forms.places(digest, "a") == ["one", "two"]


def test_the_memory_has_an_end(forms, monkeypatch):
    monkeypatch.setattr(forms_module, "_MOST", 10)
    for number in range(50):
        forms.placed(sha256_digest(b"%d" % number), "a", "r")
    known = [number for number in range(50) if forms.places(sha256_digest(b"%d" % number), "a")]
    assert known == list(range(40, 50))
