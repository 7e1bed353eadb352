"""An image of the store as a source: what is pushed, saved and copied."""

from __future__ import annotations

from wherry.base.errors import NotFound
from wherry.transfer.client import Document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from wherry.oci.descriptor import Descriptor
    from wherry.store import Image, Store

__all__ = ["StoreSource"]


class StoreSource:
    """One image, its manifest as it is stored: the registry's for a pulled image, of plain layers for a built one."""

    def __init__(self, store: Store, image: Image) -> None:
        self._store = store
        self._image = image

    def top(self) -> Document:
        """The stored manifest."""
        data = self._store.content.read(self._image.manifest_digest)
        manifest = self._store.images.manifest(self._image)
        return Document(manifest.media_type, self._image.manifest_digest, data)

    def document(self, descriptor: Descriptor) -> Document:
        """There is only the one."""
        raise NotFound(f"the store holds no manifest {descriptor.digest}")

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """The stored blob."""
        return self._store.content.open(descriptor.digest)

    def places(self, digest: str, registry: str) -> Sequence[str]:
        """None of its own: what was pushed and pulled is in the memory of forms."""
        del digest, registry
        return ()

    def stop(self) -> None:
        """Files need no stopping."""
