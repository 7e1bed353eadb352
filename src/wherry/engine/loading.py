"""`load`: the images of an archive, whichever of the two kinds it is, into the store."""

from __future__ import annotations

import os

from wherry.base.errors import Corrupt, InvalidInput
from wherry.engine.exchange import Loaded
from wherry.engine.pulling import StoreDestination
from wherry.oci.platform import host_platform
from wherry.oci.reference import parse_reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from wherry.base.progress import Sink
    from wherry.oci.descriptor import Descriptor
    from wherry.oci.reference import Reference
    from wherry.store import Store
    from wherry.transfer.endpoints import Source
    from wherry.transfer.tarfiles import Archive

__all__ = ["layout_in", "load_archive"]


def load_archive(store: Store, file: BinaryIO, where: str, spool: str, progress: Sink) -> list[Loaded]:
    """Everything in the archive, one image after another. Raises Corrupt for what is no archive of images."""
    from wherry.transfer.tarfiles import open_archive

    with open_archive(file, where, spool) as archive:
        return [_load(store, source, names, progress) for source, names in _images(archive)]


def _load(store: Store, source: Source, names: Sequence[Reference], progress: Sink) -> Loaded:
    from wherry.transfer import copy_image

    before = [(name, store.images.find(name)) for name in names]
    with store.leases.process() as lease:
        destination = StoreDestination(store, lease, names)
        copy_image(source, destination, progress, platform=host_platform(os.uname().machine))
    assert destination.taken is not None
    displaced = [(name.familiar(), old.id) for name, old in before if old and old.id != destination.taken.id]
    return Loaded(destination.taken, tuple(name.familiar() for name in names), tuple(displaced))


def _images(archive: Archive) -> Iterator[tuple[Source, list[Reference]]]:
    if "manifest.json" in archive or "repositories" in archive:
        from wherry.transfer.dockerarchive import DockerArchiveSource, archived_images

        for image in archived_images(archive):
            yield DockerArchiveSource(archive, image), [parse_reference(name) for name in image.names]
    elif "index.json" in archive:
        from wherry.transfer.layout import LayoutSource

        every = LayoutSource(archive.open, "", archive.where).images().manifests
        for digest in dict.fromkeys(each.digest for each in every):
            names = [name for each in every if each.digest == digest for name in _names(each)]
            yield layout_in(archive, digest), list(dict.fromkeys(names))
    else:
        raise Corrupt(
            f"{archive.where} is neither a docker archive nor an OCI archive",
            hint="a mere tree becomes an image with FROM scratch and ADD",
        )


def layout_in(archive: Archive, name: str) -> Source:
    """An image of the layout that the archive holds, by name or digest."""
    from wherry.transfer.layout import LayoutSource

    return LayoutSource(archive.open, name, archive.where)


def _names(descriptor: Descriptor) -> list[Reference]:
    """What a layout calls the image, where that is a whole name and not a mere tag."""
    from wherry.transfer.layout import CONTAINERD_NAME, NAME

    annotations = descriptor.annotations or {}
    whole = annotations.get(CONTAINERD_NAME) or annotations.get(NAME) or ""
    if not whole or (CONTAINERD_NAME not in annotations and not {"/", ":"} & set(whole)):
        return []
    try:
        return [parse_reference(whole)]
    except InvalidInput:
        return []
