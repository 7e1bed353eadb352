"""What a pushed manifest is and what it needs: read once, before it is stored as the bytes that came (pure)."""

from __future__ import annotations

import json

from wherry.base.values import NamedTuple
from wherry.oci.media_types import DOCKER_INDEX, DOCKER_MANIFEST, INDEX, MANIFEST
from wherry.registry.errors import Refusal
from wherry.registry.names import is_any_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["MAX_SIZE", "ManifestFacts", "examine"]

MAX_SIZE = 4 << 20  # distribution-spec v1.1: at least that much is accepted
_FOREIGN = ("nondistributable", "foreign")
_KINDS = {MANIFEST: "manifest", DOCKER_MANIFEST: "manifest", INDEX: "index", DOCKER_INDEX: "index"}
_MAX_REFERENCES = 10_000
_MAX_BYTES = 1 << 49  # of one blob; the sum of so many is still a number of SQLite's


class ManifestFacts(NamedTuple):
    """What the registry remembers of a manifest besides its bytes; `image_size` in bytes."""

    media_type: str
    artifact_type: str
    subject: str
    blobs: tuple[str, ...]
    manifests: tuple[str, ...]
    annotations: str  # a JSON object, or empty
    image_size: int
    config_media_type: str


def examine(data: bytes, media_type: str) -> ManifestFacts:
    """Raises MANIFEST_INVALID for what is no manifest, or could be read in two ways (CVE-2021-41190)."""
    value = _parse(data)
    declared = value.get("mediaType")
    if declared is not None and declared != media_type and media_type:
        raise _invalid(f"its mediaType is {declared!r:.100}, its Content-Type {media_type!r:.100}")
    kind = str(declared or media_type or "")
    if kind not in _KINDS:
        raise _invalid(f"unknown media type {kind!r:.100}")
    if ("manifests" in value) and ("config" in value or "layers" in value):
        raise _invalid("it has the fields of a manifest and of an index")
    subject = value.get("subject")
    facts = ManifestFacts(
        kind,
        _media_type(value.get("artifactType"), "artifactType"),
        _descriptor(subject, "subject")[0] if subject is not None else "",
        (),
        (),
        _annotations(value.get("annotations")),
        0,
        "",
    )
    return _index(value, facts) if _KINDS[kind] == "index" else _manifest(value, facts)


def _manifest(value: dict[str, Any], facts: ManifestFacts) -> ManifestFacts:
    config, layers = value.get("config"), value.get("layers")
    if not isinstance(layers, list) or len(layers) > _MAX_REFERENCES:
        raise _invalid("it has no list of layers")
    digest, size, config_type = _descriptor(config, "config")
    blobs, total = [digest], size
    for layer in layers:
        digest, size, layer_type = _descriptor(layer, "layer")
        if not any(word in layer_type for word in _FOREIGN):
            blobs.append(digest)
        total += size
    return facts._replace(blobs=tuple(dict.fromkeys(blobs)), image_size=total, config_media_type=config_type)


def _index(value: dict[str, Any], facts: ManifestFacts) -> ManifestFacts:
    manifests = value.get("manifests")
    if not isinstance(manifests, list) or len(manifests) > _MAX_REFERENCES:
        raise _invalid("it has no list of manifests")
    found = [_descriptor(each, "manifest") for each in manifests]
    return facts._replace(
        manifests=tuple(dict.fromkeys(digest for digest, _, _ in found)), image_size=sum(size for _, size, _ in found)
    )


def _descriptor(value: Any, what: str) -> tuple[str, int, str]:
    if not isinstance(value, dict):
        raise _invalid(f"its {what} is not a descriptor")
    digest, size, media_type = value.get("digest"), value.get("size"), value.get("mediaType")
    if not isinstance(digest, str) or not is_any_digest(digest):
        raise _invalid(f"its {what} has the invalid digest {digest!r:.100}")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _MAX_BYTES:
        raise _invalid(f"its {what} has the invalid size {size!r:.40}")
    return digest, size, _media_type(media_type, f"{what}'s mediaType")


def _media_type(value: Any, what: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not value.isascii():
        raise _invalid(f"its {what} is {value!r:.100}")
    return value


def _annotations(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise _invalid("its annotations are not strings")
    return json.dumps(value, separators=(",", ":")) if value else ""


def _parse(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data.decode())  # RFC 8259 section 8.1: UTF-8, and nothing before it
    except (ValueError, RecursionError):
        raise _invalid("it is not JSON") from None
    if not isinstance(value, dict) or value.get("schemaVersion") != 2:
        raise _invalid("it is not of schema version 2")
    return value


def _invalid(why: str) -> Refusal:
    return Refusal("MANIFEST_INVALID", f"manifest invalid: {why}")
