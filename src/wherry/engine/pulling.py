"""Images into the store: layers are written, checked and unpacked while they arrive, several at once."""

from __future__ import annotations

from threading import Event, Lock

from wherry.base.errors import Corrupt, Unavailable, Unsupported
from wherry.base.progress import Advanced, Finished, Started, Turned
from wherry.oci.config import chain_ids, parse_config
from wherry.oci.media_types import LAYER_GZIP, LAYER_ZSTD, layer_compression, oci_layer
from wherry.transfer.arriving import Ahead
from wherry.transfer.copying import read_blob
from wherry.transfer.parallel import each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wherry.base.progress import Sink
    from wherry.oci.config import ImageConfig
    from wherry.oci.descriptor import Descriptor, Manifest
    from wherry.oci.platform import Platform
    from wherry.oci.reference import Reference
    from wherry.store import Image, Store
    from wherry.store.leases import Lease
    from wherry.transfer.client import Document
    from wherry.transfer.endpoints import Source

__all__ = ["StoreDestination"]

_MOST_LAYERS = 500
_CHUNK = 1 << 20


class StoreDestination:
    """The store, for one image, within a lease. `names` are given to it when it is whole; `wanted` is its platform."""

    def __init__(
        self, store: Store, lease: Lease, names: Sequence[Reference], *, wanted: Platform | None = None
    ) -> None:
        self._store = store
        self._lease = lease
        self._names = names
        self._wanted = wanted
        self.taken: Image | None = None

    def image(self, document: Document, manifest: Manifest, source: Source, progress: Sink) -> Document:
        """Everything of the image that is not here yet. Raises Corrupt, or Unsupported for what cannot run here."""
        data = read_blob(source, manifest.config)
        config = parse_config(data)
        self._check(manifest, config)
        present = self._store.images.with_id(manifest.config.digest)
        for digest in (document.digest, *(one.manifest_digest for one in present)):
            self._lease.add("image", digest)
        if present:
            self.taken = next((one for one in present if one.manifest_digest == document.digest), present[0])
            for layer in manifest.layers:
                progress(Started(layer.digest[7:19], f"{layer.digest[7:19]}: Already exists"))
                progress(Finished(layer.digest[7:19]))
        else:
            self.taken = self._take(document, manifest, config, data, source, progress)
        self._lease.add("snapshot", self._store.unpack(self.taken, progress))
        self._remember(manifest, config)
        return document

    def _remember(self, manifest: Manifest, config: ImageConfig) -> None:
        """What the layers are when they are compressed: they are then sent as they came, or mounted."""
        for layer, diff_id in zip(manifest.layers, config.rootfs, strict=True):
            media_type = oci_layer(layer.media_type)
            if media_type in (LAYER_GZIP, LAYER_ZSTD):
                self._store.forms.remember(diff_id, layer._replace(media_type=media_type))

    def _check(self, manifest: Manifest, config: ImageConfig) -> None:
        if len(manifest.layers) != len(config.rootfs) or len(manifest.layers) > _MOST_LAYERS:
            raise Corrupt(
                f"the image {manifest.config.digest} names {len(config.rootfs)} layers and has {len(manifest.layers)}"
            )
        for layer in manifest.layers:
            layer_compression(layer.media_type)
        from wherry.oci.platform import Platform

        if not config.architecture:
            raise Unsupported(f"{manifest.config.digest} is an artifact and not an image", hint="use `wherry copy`")
        actual = Platform(config.os, config.architecture, config.variant)
        if self._wanted is not None and not self._wanted.runs(actual):
            raise Unsupported(
                f"the image does not match the specified platform: wanted {self._wanted}, actual: {actual}"
            )

    def _take(
        self,
        document: Document,
        manifest: Manifest,
        config: ImageConfig,
        config_data: bytes,
        source: Source,
        progress: Sink,
    ) -> Image:
        for layer in manifest.layers:
            self._lease.add("blob", layer.digest)
        chains = chain_ids(config.rootfs)
        for chain in chains:
            self._lease.add("snapshot", chain)
        self._store.content.add(config_data, self._lease)
        _Layers(self._store, manifest.layers, config.rootfs, chains, source, progress).run()
        self._store.content.add(document.data, self._lease)
        snapshots = [self._store.snapshots.get(chain) for chain in chains]
        size = sum(snapshot.size for snapshot in snapshots if snapshot)
        return self._store.images.put(document.digest, manifest, config, size=size)

    def index(self, document: Document) -> None:
        """The store holds images for one platform each."""
        raise Unsupported(f"the store holds no index ({document.digest})", hint="leave --all away, or use oci:DIR")

    def name(self, document: Document) -> None:  # noqa: ARG002
        """The names move to the image."""
        assert self.taken is not None
        for name in self._names:
            self._store.images.tag(self.taken.manifest_digest, name)
        self.taken = self._store.images.get(self.taken.manifest_digest)


class _Below:
    """The directories below a layer, the topmost first, once someone asks and they are there."""

    def __init__(self, layers: _Layers, number: int) -> None:
        self._layers = layers
        self._number = number

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers.lowers(self._number))


class _Layers:
    """The layers of one image on their way into the store.

    They are begun from the base upwards, so a layer that waits for one below waits for something that is under way.
    """

    def __init__(
        self,
        store: Store,
        layers: Sequence[Descriptor],
        diff_ids: Sequence[str],
        chains: Sequence[str],
        source: Source,
        progress: Sink,
    ) -> None:
        self._store = store
        self._layers = layers
        self._diff_ids = diff_ids
        self._chains = chains
        self._source = source
        self._progress = progress
        self._made = [Event() for _ in layers]
        self._failed = False
        self._database = Lock()  # a transaction belongs to one thread

    def run(self) -> None:
        for layer in self._layers:
            self._progress(Started(layer.digest[7:19], f"{layer.digest[7:19]}: Pulling fs layer"))
        each(range(len(self._layers)), self._layer, self._stop)

    def _stop(self) -> None:
        self._failed = True
        self._source.stop()
        for made in self._made:
            made.set()

    def lowers(self, number: int) -> list[str]:
        """The directories below layer `number`, the topmost first; waits until they are whole."""
        for made in self._made[:number]:
            made.wait()
        if self._failed:
            raise Unavailable("a layer below failed")
        with self._database:
            return self._store.snapshots.lowers(self._chains[number - 1]) if number else []

    def _layer(self, number: int) -> None:
        layer, task = self._layers[number], self._layers[number].digest[7:19]
        with self._store.snapshots.making(self._chains[number]) as lock:
            with self._database:
                is_unpacked = self._store.snapshots.get(self._chains[number]) is not None
            is_here = self._store.content.exists(layer.digest)
            if is_here and (size := self._store.content.size(layer.digest)) != layer.size:
                raise Corrupt(f"the layer {layer.digest} has {size} bytes, not the {layer.size} that the manifest says")
            if is_unpacked and is_here:
                self._progress(Turned(task, "Already exists"))
            elif is_unpacked:
                self._fetch(layer, task)
                self._progress(Turned(task, "Pull complete"))
            else:
                self._fetch_and_unpack(number, task, is_here=is_here)
                self._progress(Turned(task, "Pull complete"))
            lock.remove()
        self._made[number].set()
        self._progress(Finished(task))

    def _fetch(self, layer: Descriptor, task: str) -> None:
        """The blob alone: its content is here already."""
        self._progress(Turned(task, "Downloading"))
        done = 0
        with (
            self._store.content.writer(expected=layer.digest, size=layer.size) as writer,
            self._source.open(layer) as reader,
        ):
            while piece := reader.read(_CHUNK):
                writer.write(piece)
                done += len(piece)
                self._progress(Advanced(task, done, layer.size))
            writer.commit()

    def _fetch_and_unpack(self, number: int, task: str, *, is_here: bool) -> None:
        """One pass: each piece goes into the blob, through its hash, and on to the snapshot in the making.

        Neither can be seen before size, digest and diff ID are found right.
        """
        layer = self._layers[number]
        if is_here:
            self._progress(Turned(task, "Extracting"))
            with self._store.content.open(layer.digest) as blob:
                self._unpack(number, Ahead(lambda: blob.read(_CHUNK)), lambda: None)
            return
        self._progress(Turned(task, "Downloading"))
        done = 0
        with (
            self._store.content.writer(expected=layer.digest, size=layer.size) as writer,
            self._source.open(layer) as reader,
        ):

            def fetch() -> bytes:
                nonlocal done
                piece: bytes = reader.read(_CHUNK)
                if piece:
                    writer.write(piece)
                    done += len(piece)
                    self._progress(Advanced(task, done, layer.size))
                else:
                    self._progress(Turned(task, "Extracting"))
                return piece

            self._unpack(number, Ahead(fetch), writer.commit)

    def _unpack(self, number: int, arriving: Ahead, commit: Callable[[], object]) -> None:
        from wherry.layer.unpacking import unpack

        layer, lowers = self._layers[number], _Below(self, number)
        compression = layer_compression(layer.media_type)
        with self._store.snapshots.prepare() as pending:
            with arriving:
                result = unpack(arriving, pending.path, compression=compression, lowers=lowers)
                arriving.drain()
            commit()
            if result.diff_id != self._diff_ids[number]:
                raise Corrupt(f"the layer {layer.digest} unpacks to {result.diff_id}, not to {self._diff_ids[number]}")
            with self._database:
                parent = self._chains[number - 1] if number else ""
                pending.commit(self._chains[number], parent, result.size)
