"""Fetching an image into the store: the registry client's bytes become the store's blobs, names and snapshots."""

from __future__ import annotations

import os

from wherry.base.errors import Corrupt
from wherry.base.progress import Advanced, Finished, Started
from wherry.oci.config import parse_config
from wherry.oci.descriptor import Descriptor, Index, Manifest, parse_document
from wherry.oci.platform import host_platform, parse_platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.base.progress import Sink
    from wherry.oci.reference import Reference
    from wherry.store import Image, Store
    from wherry.store.leases import Lease
    from wherry.transfer import RegistryClient

__all__ = ["pull_image"]


def pull_image(store: Store, reference: Reference, *, platform: str, progress: Sink) -> Image:
    """Fetch the image of `reference` for `platform` (this machine's where empty), name it and unpack it.

    Every size and digest is checked before use; layers that are here already are not fetched.
    """
    from wherry.base.config import load_configuration
    from wherry.transfer import Credentials, RegistryClient

    configuration = load_configuration(os.environ)
    client = RegistryClient(reference, Credentials(os.environ), configuration.insecure_registries)
    wanted = parse_platform(platform) if platform else host_platform(os.uname().machine)
    media_type, digest, data = client.manifest(reference.digest or reference.tag)
    document = parse_document(data, media_type)
    if isinstance(document, Index):
        chosen = document.select(wanted)
        media_type, digest, data = client.manifest(chosen.digest)
        document = parse_document(data, media_type)
    if not isinstance(document, Manifest):
        raise Corrupt(f"{reference.familiar()} is an index of an index")
    with store.leases.process() as lease:
        store.content.add(data, lease)
        for descriptor in (document.config, *document.layers):
            _fetch(store, client, descriptor, lease, progress)
        config = parse_config(store.content.read(document.config.digest))
        image = store.images.put(
            digest, document, config, names=[reference._replace(digest="")] if reference.tag else []
        )
        lease.add("snapshot", store.unpack(image, progress))
    return image


def _fetch(store: Store, client: RegistryClient, descriptor: Descriptor, lease: Lease, progress: Sink) -> None:
    lease.add("blob", descriptor.digest)
    if store.content.exists(descriptor.digest):
        return
    task = f"pull {descriptor.digest}"
    progress(Started(task, f"{descriptor.digest[7:19]}: Pulling"))
    with store.content.writer(expected=descriptor.digest, size=descriptor.size) as writer:
        client.blob(descriptor, writer.write, lambda done: progress(Advanced(task, done, descriptor.size)))
        writer.commit(lease=lease)
    progress(Finished(task))
