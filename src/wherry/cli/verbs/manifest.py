"""`manifest inspect`."""

from __future__ import annotations

import json

from wherry.cli.context import engine
from wherry.cli.flags import Command, Flag
from wherry.cli.group import dispatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.oci.descriptor import Manifest
    from wherry.oci.reference import Reference
    from wherry.transfer import Document
    from wherry.transfer.endpoints import Source

__all__ = ["run"]

_FLAGS = (
    Flag("insecure", "bool", "Speak to the registry without TLS where it has none"),
    Flag("verbose", "bool", "Show digests, platforms and layers", short="v"),
)


def run(argv: list[str]) -> int:
    """The one word."""
    return dispatch("manifest", argv, {}, {"inspect": _inspect})


def _inspect(argv: list[str]) -> int:
    summary = "Show what a registry has under a name: a manifest or an index"
    parsed = Command("wherry manifest inspect", "[OPTIONS] NAME", summary, _FLAGS, least=1, most=1).parse(argv)
    reference, source, top = engine(repair=False).exchange.documents(parsed.args[0], insecure=parsed["insecure"])
    value: Any = json.loads(top.data)
    if parsed["verbose"]:
        value = _verbose(reference, source, top)
    print(json.dumps(value, indent="\t", ensure_ascii=False))
    return 0


def _verbose(reference: Reference, source: Source, top: Document) -> Any:
    """As Docker shows it: one object for an image, a list of them for an index."""
    from wherry.oci.descriptor import Index, parse_document

    parsed = parse_document(top.data, top.media_type)
    if not isinstance(parsed, Index):
        return _one(reference, source, top, None)
    found = []
    for each in parsed.manifests:
        name = reference._replace(tag="", digest=each.digest)
        platform = each.platform.to_json() if each.platform else None
        found.append(_one(name, source, source.document(each), platform))
    return found


def _one(reference: Reference, source: Source, document: Document, platform: dict[str, str] | None) -> dict[str, Any]:
    from wherry.oci.descriptor import Manifest, parse_document
    from wherry.oci.media_types import DOCKER_MANIFEST

    parsed = parse_document(document.data, document.media_type)
    if platform is None and isinstance(parsed, Manifest):
        platform = _platform(source, parsed)
    kind = "SchemaV2Manifest" if document.media_type == DOCKER_MANIFEST else "OCIManifest"
    descriptor = document.descriptor.to_json() | ({"platform": platform} if platform else {})
    return {"Ref": str(reference), "Descriptor": descriptor, kind: json.loads(document.data)}


def _platform(source: Source, manifest: Manifest) -> dict[str, str] | None:
    """What the configuration says the image is for."""
    from wherry.oci.config import parse_config
    from wherry.oci.platform import Platform
    from wherry.transfer.copying import read_blob

    config = parse_config(read_blob(source, manifest.config))
    return Platform(config.os, config.architecture, config.variant).to_json() if config.architecture else None
