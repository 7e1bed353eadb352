"""Names, tags and digests as they come in a URL: checked before anything is looked up or any path is built."""

from __future__ import annotations

import re

from wherry.registry.errors import Refusal

__all__ = ["ALGORITHMS", "check_digest", "check_repository", "check_tag", "is_any_digest", "is_tag"]

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_MAX_NAME = 255  # distribution-spec v1.1: clients may limit host and name together to that
ALGORITHMS = {"sha256": 64, "sha512": 128}
_HEX = frozenset("0123456789abcdef")


def check_repository(name: str) -> str:
    """`name` itself. Raises NAME_INVALID."""
    if len(name) > _MAX_NAME or not _REPOSITORY.fullmatch(name):
        raise Refusal("NAME_INVALID", f"invalid repository name: {name!r:.300}")
    return name


def is_tag(text: str) -> bool:
    """Whether `text` is a tag."""
    return _TAG.fullmatch(text) is not None


def check_tag(text: str) -> str:
    """`text` itself. Raises TAG_INVALID."""
    if not is_tag(text):
        raise Refusal("TAG_INVALID", f"invalid tag: {text!r:.200}")
    return text


def is_any_digest(text: str) -> bool:
    """Whether `text` is a well-formed digest of an algorithm that is kept here."""
    algorithm, colon, value = text.partition(":")
    return bool(colon) and ALGORITHMS.get(algorithm) == len(value) and _HEX.issuperset(value)


def check_digest(text: str) -> str:
    """`text` itself. Raises DIGEST_INVALID."""
    if not is_any_digest(text):
        raise Refusal("DIGEST_INVALID", f"invalid digest: {text!r:.200}")
    return text
