"""Which tags of a base image say something true."""

import pytest

from wherry.build.bases.catalog import FAMILIES, is_description


@pytest.mark.parametrize(
    "tag",
    [
        "latest",
        "3",
        "3.11",
        "3.11.2",
        "3.11-slim",
        "3-bookworm",
        "3.11.2-slim-bookworm",
        "slim",
        "bookworm",
        "bookworm-slim",
    ],
)
def test_tags_that_are_true(tag):
    assert is_description(tag, "3.11.2", "bookworm")


@pytest.mark.parametrize(
    "tag",
    [
        "3.8.2-alpine",
        "3.1",
        "3.12",
        "3.11.2.0",
        "4",
        "3.11-alpine",
        "alpine",
        "bullseye",
        "3-slim-slim",
        "slim-3",
        "3.11-",
        "3.11rc1",
        "-slim",
    ],
)
def test_tags_that_are_not(tag):
    assert not is_description(tag, "3.11.2", "bookworm")


def test_a_version_that_is_known_in_part_denies_only_what_contradicts_it():
    assert is_description("20.11.1", "20", "bookworm", partly=True)
    assert not is_description("18", "20", "bookworm", partly=True)
    assert not is_description("20-alpine", "20", "bookworm", partly=True)


def test_ordinary_tags():
    assert FAMILIES["python"].tag("3.11.2") == "3.11"
    assert FAMILIES["debian"].tag("12.5") == "12"
    assert FAMILIES["postgres"].tag("15.16") == "15"
