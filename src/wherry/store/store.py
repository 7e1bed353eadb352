"""One installation's store as a whole: opening it, unpacking images, collecting garbage, counting bytes."""

from __future__ import annotations

from wherry.base.clock import system_clock
from wherry.base.errors import Corrupt
from wherry.base.processes import boot_id
from wherry.base.progress import Advanced, Finished, Started, nobody
from wherry.base.values import NamedTuple
from wherry.store.content import ContentStore
from wherry.store.database import Database
from wherry.store.forms import LayerForms
from wherry.store.images import ImageStore
from wherry.store.leases import Leases
from wherry.store.snapshots import SnapshotStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wherry.base.paths import Layout
    from wherry.base.progress import Sink
    from wherry.oci.descriptor import Descriptor
    from wherry.store.images import Image

__all__ = ["Collected", "Store", "open_store"]


class Collected(NamedTuple):
    """What a collection removed (or would remove)."""

    blobs: tuple[str, ...]
    snapshots: tuple[str, ...]
    bytes: int


def open_store(layout: Layout, clock: Callable[[], int] = system_clock) -> Store:
    """The store of the installation; made where it is missing."""
    return Store(layout, clock, boot_id())


class Store:
    """Blobs, images, snapshots and leases over one database."""

    def __init__(self, layout: Layout, clock: Callable[[], int], boot: str) -> None:
        self.database = Database(layout.database)
        self.content = ContentStore(layout.content, f"{layout.locks}/content")
        self.content.prepare()
        self.images = ImageStore(self.database, self.content, clock)
        self.snapshots = SnapshotStore(self.database, layout.snapshots, layout.locks, clock, boot)
        self.leases = Leases(self.database)
        self.forms = LayerForms(self.database, clock)

    def unpack(self, image: Image, progress: Sink = nobody) -> str:
        """Make every snapshot of the image that is missing; the chain ID of the topmost."""
        from wherry.oci.config import chain_ids

        config = self.images.config(image)
        chains = chain_ids(config.rootfs)
        if chains and self._is_whole(chains):
            return chains[-1]
        layers = self.images.manifest(image).layers
        if len(layers) != len(config.rootfs):
            raise Corrupt(f"the image {image.id} names {len(config.rootfs)} layers and has {len(layers)}")
        with self.leases.process() as lease:
            parent = ""
            for layer, diff_id, chain in zip(layers, config.rootfs, chains, strict=True):
                lease.add("snapshot", chain)
                with self.snapshots.making(chain) as lock:
                    if self.snapshots.get(chain) is None:
                        self._unpack_layer(layer, diff_id, chain, parent, progress)
                    lock.remove()
                parent = chain
        self.snapshots.settle()
        return parent

    def is_unpacked(self, image: Image) -> bool:
        """Whether no snapshot of the image is missing."""
        from wherry.oci.config import chain_ids

        return self._is_whole(chain_ids(self.images.config(image).rootfs))

    def _is_whole(self, chains: list[str]) -> bool:
        return all(self.snapshots.get(chain) is not None for chain in reversed(chains))

    def _unpack_layer(self, layer: Descriptor, diff_id: str, chain: str, parent: str, progress: Sink) -> None:
        from wherry.layer.unpacking import unpack
        from wherry.oci.media_types import layer_compression

        progress(Started(chain, f"Unpacking {layer.digest[7:19]}"))
        lowers = self.snapshots.lowers(parent)
        with self.snapshots.prepare() as pending, self.content.open(layer.digest) as blob:
            result = unpack(blob, pending.path, compression=layer_compression(layer.media_type), lowers=lowers)
            if result.diff_id != diff_id:
                raise Corrupt(f"the layer {layer.digest} unpacks to {result.diff_id}, not to {diff_id}")
            pending.commit(chain, parent, result.size)
        progress(Advanced(chain, result.size, result.size))
        progress(Finished(chain))

    def collect(self, *, dry_run: bool = False, cached: bool = True) -> Collected:
        """Remove every blob and snapshot that no image or lease needs, and what dead processes left.

        With `cached` off, that the build cache keeps something does not count.
        """
        with self.content.changing(exclusive=True):
            blobs, chains = self._needed(cached=cached)
            garbage = [digest for digest in self.content.digests() if digest not in blobs]
            unused = [snapshot for snapshot in self.snapshots.all() if snapshot.chain_id not in chains]
            freed = sum(snapshot.size for snapshot in unused)
            if dry_run:
                freed += sum(self.content.size(digest) for digest in garbage)
            else:
                freed += sum(self.content.delete(digest) for digest in garbage) + self.content.sweep_ingest()
                for snapshot in unused:
                    self.snapshots.delete(snapshot)
                self.snapshots.sweep()
        return Collected(tuple(garbage), tuple(snapshot.chain_id for snapshot in unused), freed)

    def weigh(self, images: Iterable[Image]) -> int:
        """Bytes of what these images need, as blobs and as snapshots; what several need counts once."""
        blobs: set[str] = set()
        chains: set[str] = set()
        for image in images:
            blobs |= self._image_blobs(image)
            chains |= self._image_chains(image)
        unpacked = sum(snapshot.size for snapshot in self.snapshots.all() if snapshot.chain_id in chains)
        return unpacked + sum(self.content.size(digest) for digest in blobs)

    def _needed(self, *, cached: bool) -> tuple[set[str], set[str]]:
        """The blobs and the chain IDs that are in use."""
        held = self.leases.held(cached=cached)
        blobs = {key for kind, key in held if kind == "blob"}
        chains = {key for kind, key in held if kind == "snapshot"}
        leased = {key for kind, key in held if kind == "image"}
        images = {image.manifest_digest: image for image in self.images.all()}
        for image in images.values():
            blobs |= self._image_blobs(image)
            chains |= self._image_chains(image)
        blobs |= {digest for digest in leased if digest not in images}
        return blobs, self._with_parents(chains)

    def _image_blobs(self, image: Image) -> set[str]:
        manifest = self.images.manifest(image)
        return {image.manifest_digest, manifest.config.digest, *(layer.digest for layer in manifest.layers)}

    def _image_chains(self, image: Image) -> set[str]:
        from wherry.oci.config import chain_ids

        return set(chain_ids(self.images.config(image).rootfs))

    def _with_parents(self, chains: set[str]) -> set[str]:
        parents = {snapshot.chain_id: snapshot.parent for snapshot in self.snapshots.all()}
        whole: set[str] = set()
        for chain in chains:
            while chain and chain not in whole:
                whole.add(chain)
                chain = parents.get(chain, "")  # noqa: PLW2901
        return whole

    def close(self) -> None:
        """Give the database back."""
        self.database.close()
