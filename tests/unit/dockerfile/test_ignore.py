import re

import pytest

from wherry.base.errors import InvalidInput
from wherry.dockerfile.ignore import IgnorePatterns, match_to_regex


@pytest.mark.parametrize(
    ("patterns", "path", "excluded"),
    [
        ("*.log", "a.log", True),
        ("*.log", "d/a.log", False),
        ("**/*.log", "d/e/a.log", True),
        ("**/*.log", "a.log", True),
        ("d", "d/e/f", True),
        ("/d/", "d/e", True),
        ("# d\nx", "d", False),
        ("  x  ", "x", True),
        ("*\n!keep", "keep", False),
        ("d\n!d/keep", "d/keep", False),
        ("d\n!d/keep", "d/other", True),
        ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", True),
        ("*.md\n!README*.md\nREADME-secret.md", "README-x.md", False),
        ("a?c", "abc", True),
        ("[a-c]x", "bx", True),
        ("./x", "x", True),
        (".", "anything", False),
    ],
)
def test_patterns(patterns, path, excluded):
    assert IgnorePatterns.parse(patterns).excludes(path) is excluded


def test_a_walker_knows_where_exceptions_may_be():
    ignore = IgnorePatterns.parse("d\n!d/e/keep\n")
    assert ignore.may_hold_exceptions("d")
    assert not ignore.may_hold_exceptions("other")


@pytest.mark.parametrize(
    ("pattern", "name", "fits"), [("*", "a/b", False), ("a*", "abc", True), ("\\*", "*", True), ("**/x", "x", True)]
)
def test_gos_match(pattern, name, fits):
    assert bool(re.fullmatch(match_to_regex(pattern), name)) is fits


def test_malformed_patterns_are_refused():
    for text in ("!", "[a"):
        with pytest.raises(InvalidInput):
            IgnorePatterns.parse(text)
