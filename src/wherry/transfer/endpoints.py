"""Where images come from and where they go to: the contract of registries, layouts, archives and the store.

A source gives bytes as it has them; whoever takes them checks digests and sizes. A destination decides how an image
gets there: what is there already, what is sent as it is, what in another form.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Any, Protocol

    from wherry.base.progress import Sink
    from wherry.oci.descriptor import Descriptor, Manifest
    from wherry.transfer.client import Document

    class Reader(Protocol):
        """The bytes of one blob, as a context."""

        def read(self, count: int, /) -> bytes:
            """At most `count` bytes; empty at the end."""

        def __enter__(self) -> Any: ...

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
        ) -> None: ...

    class Source(Protocol):
        """One image, or an index of several."""

        def top(self) -> Document:
            """What the source was opened for. Raises NotFound."""

        def document(self, descriptor: Descriptor) -> Document:
            """A manifest or index that another names. Raises NotFound."""

        def open(self, descriptor: Descriptor) -> Reader:
            """A configuration or layer. Raises NotFound, here or when it is read."""

        def places(self, digest: str, registry: str) -> Sequence[str]:
            """Repositories of that registry that are known to hold the blob."""

        def stop(self) -> None:
            """Make readers that other threads wait for fail."""

    class Destination(Protocol):
        """A place for images; what it shows is whole at any time."""

        def image(self, document: Document, manifest: Manifest, source: Source, progress: Sink) -> Document:
            """Take the blobs of one image and its manifest; the manifest as it is kept here."""

        def index(self, document: Document) -> None:
            """Take an index whose manifests were all taken before. Raises Unsupported where there are none here."""

        def name(self, document: Document) -> None:
            """Give what was taken last the name that the destination was opened for."""

    class LayerMemory(Protocol):
        """What is known of layers that were compressed, sent or fetched before. Safe for several threads."""

        def form(self, diff_id: str, compression: str) -> Descriptor | None:
            """What the layer was when it was compressed like that before."""

        def remember(self, diff_id: str, descriptor: Descriptor) -> None:
            """That the layer becomes `descriptor` when it is compressed."""

        def places(self, digest: str, registry: str) -> Sequence[str]:
            """Repositories of that registry that hold the blob, the latest first."""

        def placed(self, digest: str, registry: str, repository: str) -> None:
            """That a repository holds the blob."""


__all__ = ["Forgetful"]
if TYPE_CHECKING:
    __all__ += ["Destination", "LayerMemory", "Reader", "Source"]  # noqa: PLE0605


class Forgetful:
    """The memory of those who have none."""

    def form(self, diff_id: str, compression: str) -> Descriptor | None:  # noqa: ARG002
        """Nothing is known."""
        return None

    def remember(self, diff_id: str, descriptor: Descriptor) -> None:
        """Forgotten at once."""

    def places(self, digest: str, registry: str) -> Sequence[str]:  # noqa: ARG002
        """Nothing is known."""
        return ()

    def placed(self, digest: str, registry: str, repository: str) -> None:
        """Forgotten at once."""
