"""Digests as plain strings, `sha256:<64 hexadecimal digits>` (image-spec v1.1 descriptor.md#digests).

A digest is checked by `parse_digest` where it enters, before any path is built from it.
"""

from __future__ import annotations

from wherry.base.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Digest", "encoded", "is_digest", "parse_digest", "sha256_digest"]

Digest = str
_HEX = frozenset("0123456789abcdef")
_LARGE = 1 << 20  # bytes


def is_digest(text: str) -> bool:
    """Whether `text` is a well-formed digest of the one algorithm that Wherry stores."""
    return len(text) == 71 and text.startswith("sha256:") and _HEX.issuperset(text[7:])


def parse_digest(text: str) -> Digest:
    """`text` itself. Raises InvalidInput where it is not a well-formed sha256 digest."""
    if not is_digest(text):
        raise InvalidInput(f"invalid digest: {text!r}", hint="a digest is sha256: and 64 lower-case hexadecimal digits")
    return text


def encoded(digest: Digest) -> str:
    """The hexadecimal part."""
    return digest[7:]


def sha256_digest(data: bytes) -> Digest:
    """The digest of `data`."""
    return f"sha256:{_sha256(len(data))(data).hexdigest()}"


def _sha256(size: int) -> Any:
    """For little data the interpreter's own implementation, as `random` takes it: `hashlib`, which is faster, loads a
    library for 6 ms."""
    try:
        if size < _LARGE:
            from _sha256 import sha256  # type: ignore[import-not-found]

            return sha256
    except ImportError:
        pass
    from hashlib import sha256

    return sha256
