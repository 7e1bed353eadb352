"""A tar archive of an OCI image layout, as a destination; the same image gives the same bytes."""

from __future__ import annotations

import os
import shutil
from tempfile import mkdtemp

from wherry.transfer.dockerarchive import refuse_present, write_file
from wherry.transfer.layout import LayoutDestination

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.base.progress import Sink
    from wherry.oci.descriptor import Manifest
    from wherry.transfer.client import Document
    from wherry.transfer.endpoints import Source

__all__ = ["LayoutArchiveDestination"]


class LayoutArchiveDestination:
    """A new archive at `path`, which appears when it is whole; until then a layout beside it holds what has come."""

    def __init__(self, path: str, name: str) -> None:
        refuse_present(path)
        self._path = path
        self._name = name
        self._directory = ""

    def _layout(self) -> LayoutDestination:
        if not self._directory:
            self._directory = mkdtemp(prefix=".wherry-", dir=os.path.dirname(self._path) or ".")
        return LayoutDestination(self._directory, self._name)

    def image(self, document: Document, manifest: Manifest, source: Source, progress: Sink) -> Document:
        """As a layout takes it."""
        return self._layout().image(document, manifest, source, progress)

    def index(self, document: Document) -> None:
        """As a layout takes it."""
        self._layout().index(document)

    def name(self, document: Document) -> None:
        """The last: the archive is written."""
        self._layout().name(document)
        write_file(self._path, self._write, 0o644)
        self.close()

    def _write(self, write: Callable[[bytes], object]) -> None:
        from wherry.layer.packing import pack_tree

        pack_tree(self._directory, write, clamp_mtime=0)

    def close(self) -> None:
        """Remove what waited beside the archive."""
        if self._directory:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = ""
