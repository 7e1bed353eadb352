"""The configuration file, and the document that describes it."""

import os
import re

import pytest

from wherry.base.errors import InvalidInput, NotFound
from wherry.registry.configuration import (
    Configuration,
    is_loopback,
    load_configuration,
    parse_configuration,
    parse_span,
    split_address,
)


def test_the_documented_example_is_valid_and_names_every_key():
    path = os.path.join(os.path.dirname(__file__), "../../../docs/registry.md")
    with open(path) as file:
        text = re.search(r"```toml\n(.*?)```", file.read(), re.DOTALL)[1]
    found = parse_configuration(text)
    assert all(value != Configuration._field_defaults[field] for field, value in found._asdict().items()), found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("liste = '127.0.0.1:1'", "unknown key liste"),
        ("[tls]\ncerts = 'x'", "unknown key tls.certs"),
        ("listen = 5000", "listen: it has to be a text"),
        ("listen = 'x:y'", "not an address"),
        ("[ecr]\naccount = '1'", "twelve digits"),
        ("[ecr]\nregion = 'mars'", "a region"),
        ("[gc]\ngrace = '1 day'", "not a span of time"),
        ("[access]\nopen = 'yes'", "true or false"),
        ("public-url = 'registry.example.com'", "a URL without a path"),
        ("[tls]\ncert = 'x'", "both cert and key"),
        ("listen", "not TOML"),
    ],
)
def test_mistakes_are_told_with_their_key(text, said):
    with pytest.raises(InvalidInput, match=said):
        parse_configuration(text)


def test_a_missing_file():
    with pytest.raises(NotFound):
        load_configuration("/no/such/file")


def test_spans_and_addresses():
    assert [parse_span(text) for text in ("0", "90s", "2m", "24h", "7d")] == [0, 90, 120, 86_400, 604_800]
    assert split_address(":80") == ("0.0.0.0", 80)
    assert split_address("[::1]:80") == ("::1", 80)
    assert is_loopback("127.0.0.1:1")
    assert is_loopback("localhost:1")
    assert not is_loopback(":1")
    assert not is_loopback("127.0.0.1.example.com:1")
    assert not Configuration(listen="0.0.0.0:5000").is_open
    assert Configuration().is_open
