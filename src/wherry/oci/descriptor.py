"""Descriptors, manifests and indexes (image-spec v1.1 descriptor.md, manifest.md, image-index.md)."""

from __future__ import annotations

from wherry.base.errors import Corrupt, NotFound, Unsupported
from wherry.base.jsontext import decode
from wherry.base.values import NamedTuple
from wherry.oci import media_types
from wherry.oci.digest import Digest, is_digest
from wherry.oci.platform import Platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["MAX_MANIFEST_SIZE", "Descriptor", "Index", "Manifest", "encode_json", "parse_document"]

MAX_MANIFEST_SIZE = 4 * 1024 * 1024  # distribution-spec v1.1: at least this much is accepted


class Descriptor(NamedTuple):
    """What a blob is, how many bytes it has and what they hash to."""

    media_type: str
    digest: Digest
    size: int
    annotations: dict[str, str] | None = None
    platform: Platform | None = None
    artifact_type: str = ""
    urls: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, value: Any) -> Descriptor:
        """Raises Corrupt where a required field is missing or malformed."""
        if not isinstance(value, dict):
            raise Corrupt(f"not a descriptor: {value!r:.80}")
        digest, size = value.get("digest"), value.get("size")
        if not isinstance(digest, str) or not is_digest(digest):
            raise Corrupt(f"a descriptor has the invalid digest {digest!r:.100}")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise Corrupt(f"the descriptor of {digest} has the invalid size {size!r:.40}")
        platform, urls = value.get("platform"), value.get("urls")
        return cls(
            str(value.get("mediaType", "")),
            digest,
            size,
            value.get("annotations"),
            Platform.from_json(platform) if isinstance(platform, dict) else None,
            str(value.get("artifactType", "")),
            tuple(str(url) for url in urls) if isinstance(urls, list) else (),
        )

    def to_json(self) -> dict[str, Any]:
        """The JSON object, without absent fields."""
        value: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.artifact_type:
            value["artifactType"] = self.artifact_type
        if self.annotations:
            value["annotations"] = self.annotations
        if self.platform:
            value["platform"] = self.platform.to_json()
        if self.urls:
            value["urls"] = list(self.urls)
        return value


class Manifest(NamedTuple):
    """One image: its configuration and its layers, the base first."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    media_type: str = media_types.MANIFEST
    annotations: dict[str, str] | None = None
    subject: Descriptor | None = None
    artifact_type: str = ""

    def encode(self) -> bytes:
        """The bytes that are stored and hashed; the same value gives the same bytes."""
        value: dict[str, Any] = {"schemaVersion": 2, "mediaType": self.media_type}
        if self.artifact_type:
            value["artifactType"] = self.artifact_type
        value |= {"config": self.config.to_json(), "layers": [layer.to_json() for layer in self.layers]}
        if self.subject:
            value["subject"] = self.subject.to_json()
        if self.annotations:
            value["annotations"] = self.annotations
        return encode_json(value)


class Index(NamedTuple):
    """Several manifests, usually one for each platform."""

    manifests: tuple[Descriptor, ...]
    media_type: str = media_types.INDEX
    annotations: dict[str, str] | None = None

    def select(self, platform: Platform) -> Descriptor:
        """The manifest for `platform`: the closest variant that runs there. Raises NotFound naming what there is."""
        ranked = [(platform.rank(each.platform), each) for each in self.images() if each.platform]
        fitting = [pair for pair in ranked if pair[0] >= 0]
        if not fitting:
            present = ", ".join(sorted({str(each.platform) for each in self.images() if each.platform})) or "none"
            raise NotFound(
                f"no matching manifest for {platform} in the manifest list entries", hint=f"it has: {present}"
            )
        return min(fitting, key=lambda pair: pair[0])[1]

    def images(self) -> list[Descriptor]:
        """The manifests that are images: without attestations, which builders put beside them as `unknown/unknown`."""
        return [each for each in self.manifests if not (each.platform and each.platform.os == "unknown")]

    def encode(self) -> bytes:
        """The bytes that are stored and hashed."""
        value: dict[str, Any] = {"schemaVersion": 2, "mediaType": self.media_type}
        value["manifests"] = [each.to_json() for each in self.manifests]
        if self.annotations:
            value["annotations"] = self.annotations
        return encode_json(value)


def encode_json(value: Any) -> bytes:
    """Compact UTF-8 JSON in the order of the fields."""
    import json

    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def parse_document(data: bytes, media_type: str = "") -> Manifest | Index:
    """The manifest or index that `data` is; `media_type` is what the transport said it was.

    Raises Corrupt for what is neither, or could be read as both (CVE-2021-41190), or disagrees with `media_type`.
    """
    value = _json_object(data, media_type)
    declared = str(value.get("mediaType") or media_type or "")
    if media_type and value.get("mediaType") and value["mediaType"] != media_type:
        raise Corrupt(f"the manifest says it is {value['mediaType']}, its transport says {media_type}")
    has_index, has_manifest = "manifests" in value, "config" in value or "layers" in value
    if has_index and has_manifest:
        raise Corrupt("the manifest is ambiguous: it has the fields of an index too")
    if has_index and (not declared or declared in media_types.INDEXES):
        return _index(value, declared or media_types.INDEX)
    if has_manifest and (not declared or declared in media_types.MANIFESTS):
        return _manifest(value, declared or media_types.MANIFEST)
    raise Corrupt(f"neither an image manifest nor an index: {declared or 'no media type'}")


def _json_object(data: bytes, media_type: str) -> dict[str, Any]:
    if len(data) > MAX_MANIFEST_SIZE:
        raise Corrupt(f"the manifest has {len(data)} bytes, more than the {MAX_MANIFEST_SIZE} that are accepted")
    try:
        value = decode(data)
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"the manifest is not JSON: {error}") from None
    if media_type in media_types.SCHEMA_1 or (isinstance(value, dict) and value.get("schemaVersion") == 1):
        raise Unsupported(
            "the image is in Docker's image format of schema version 1, which is not read any more",
            hint="have it pushed again by a current tool",
        )
    if not isinstance(value, dict) or value.get("schemaVersion") != 2:
        raise Corrupt("the manifest is not of schema version 2")
    return value


def _manifest(value: dict[str, Any], media_type: str) -> Manifest:
    layers = value.get("layers")
    if not isinstance(layers, list):
        raise Corrupt("the manifest has no list of layers")
    subject = value.get("subject")
    return Manifest(
        Descriptor.from_json(value.get("config")),
        tuple(Descriptor.from_json(layer) for layer in layers),
        media_type,
        value.get("annotations"),
        Descriptor.from_json(subject) if subject else None,
        str(value.get("artifactType", "")),
    )


def _index(value: dict[str, Any], media_type: str) -> Index:
    manifests = value["manifests"]
    if not isinstance(manifests, list):
        raise Corrupt("the index has no list of manifests")
    return Index(tuple(Descriptor.from_json(each) for each in manifests), media_type, value.get("annotations"))
