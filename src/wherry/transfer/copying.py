"""From a source to a destination: one image for a platform, or an index with all that it names."""

from __future__ import annotations

from wherry.base.errors import Corrupt
from wherry.oci.descriptor import Descriptor, Index, parse_document
from wherry.oci.digest import sha256_digest
from wherry.transfer.client import Document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.base.progress import Sink
    from wherry.oci.platform import Platform
    from wherry.transfer.endpoints import Destination, Reader, Source

__all__ = ["checked_document", "choose", "copy_image", "read_blob"]

_MAX_DEPTH = 3  # of indexes that name indexes
_MOST_MANIFESTS = 1000
_MOST_CONFIG = 8 << 20


def copy_image(
    source: Source, destination: Destination, progress: Sink, *, platform: Platform, everything: bool = False
) -> Document:
    """Copy what `source` names: the image that fits `platform` best, or with `everything` all of an index.

    The manifest or index as the destination keeps it. Raises NotFound where no image fits.
    """
    top = source.top()
    if not everything:
        top = choose(source, top, platform)
    taken = _Copy(source, destination, progress).take(top, 0)
    destination.name(taken)
    return taken


def choose(source: Source, top: Document, platform: Platform) -> Document:
    """`top` itself, or of an index the manifest that fits the platform. Raises NotFound, or Corrupt for nested ones."""
    for _ in range(_MAX_DEPTH):
        parsed = parse_document(top.data, top.media_type)
        if not isinstance(parsed, Index):
            return top
        top = source.document(parsed.select(platform))
    raise Corrupt(f"the index names indexes, more than {_MAX_DEPTH} deep")


class _Copy:
    def __init__(self, source: Source, destination: Destination, progress: Sink) -> None:
        self._source = source
        self._destination = destination
        self._progress = progress
        self._manifests = 0

    def take(self, document: Document, depth: int) -> Document:
        self._manifests += 1
        if depth > _MAX_DEPTH or self._manifests > _MOST_MANIFESTS:
            raise Corrupt(f"the index is deeper than {_MAX_DEPTH} or names more than {_MOST_MANIFESTS} manifests")
        parsed = parse_document(document.data, document.media_type)
        if not isinstance(parsed, Index):
            return self._destination.image(document, parsed, self._source, self._progress)
        for each in parsed.manifests:
            self.take(self._source.document(each), depth + 1)
        self._destination.index(document)
        return document


def checked_document(data: bytes, descriptor: Descriptor) -> Document:
    """The document that `descriptor` names. Raises Corrupt where the bytes are others."""
    if len(data) != descriptor.size or sha256_digest(data) != descriptor.digest:
        raise Corrupt(f"the manifest {descriptor.digest} is not what its index says", hint="fetch it again")
    return Document(descriptor.media_type, descriptor.digest, data)


def read_blob(source: Source, descriptor: Descriptor, limit: int = _MOST_CONFIG) -> bytes:
    """The whole of a small blob, such as a configuration. Raises Corrupt where it is too large or another."""
    if descriptor.size > limit:
        raise Corrupt(f"the blob {descriptor.digest} has {descriptor.size} bytes, more than the {limit} accepted here")
    with source.open(descriptor) as reader:
        data = _all(reader, descriptor.size)
    if len(data) != descriptor.size or sha256_digest(data) != descriptor.digest:
        raise Corrupt(f"the bytes of {descriptor.digest} hash to {sha256_digest(data)}", hint="fetch it again")
    return data


def _all(reader: Reader, size: int) -> bytes:
    data = b""
    while len(data) <= size and (piece := reader.read(size + 1 - len(data))):
        data += piece
    return data
