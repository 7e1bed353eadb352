"""Docker's archive of images (what `docker save` writes and `docker load` reads), in its old and its new form.

What is written is both: an OCI image layout, and `manifest.json` for Docker. The same images give the same bytes.
"""

from __future__ import annotations

import json
import os

from wherry.base.errors import Corrupt, InvalidInput, NotFound, Unsupported
from wherry.base.files import write_all
from wherry.base.progress import Finished, Started, Turned
from wherry.base.values import NamedTuple
from wherry.oci.descriptor import Descriptor, Index, Manifest, encode_json
from wherry.oci.digest import encoded, sha256_digest
from wherry.oci.media_types import CONFIG, LAYER, LAYER_GZIP, LAYER_ZSTD, layer_compression
from wherry.transfer.client import Document
from wherry.transfer.copying import read_blob
from wherry.transfer.layout import CONTAINERD_NAME, LAYOUT, NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, BinaryIO

    from wherry.base.progress import Sink
    from wherry.oci.reference import Reference
    from wherry.transfer.endpoints import Reader, Source
    from wherry.transfer.tarfiles import Archive, Slice

__all__ = ["ArchivedImage", "DockerArchiveDestination", "DockerArchiveSource", "ImageWriter", "archived_images"]

_MOST_MANIFEST = 4 << 20
_MOST_CONFIG = 8 << 20
_MOST_LAYERS = 1000
_CHUNK = 1 << 20


class ArchivedImage(NamedTuple):
    """One entry of `manifest.json`: the names of files in the archive, and what the image is called."""

    config: str
    layers: tuple[str, ...]
    names: tuple[str, ...]


def archived_images(archive: Archive) -> list[ArchivedImage]:
    """What `manifest.json` lists. Raises Corrupt, or Unsupported for archives of Docker before 1.10."""
    if "manifest.json" not in archive and "repositories" in archive:
        raise Unsupported(
            f"{archive.where} was written by a Docker older than 1.10", hint="load and save it with a newer one first"
        )
    try:
        value = json.loads(archive.read("manifest.json", _MOST_MANIFEST))
        return [_entry(each) for each in value]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Corrupt(f"the manifest.json of {archive.where} is malformed") from None


def _entry(value: dict[str, Any]) -> ArchivedImage:
    config, layers, names = value["Config"], value.get("Layers") or [], value.get("RepoTags") or []
    if not all(isinstance(text, str) for text in (config, *layers, *names)) or len(layers) > _MOST_LAYERS:
        raise ValueError
    return ArchivedImage(config, tuple(layers), tuple(names))


class DockerArchiveSource:
    """One image of an archive. Its manifest is made here: the archive holds none."""

    def __init__(self, archive: Archive, image: ArchivedImage) -> None:
        self._archive = archive
        self._image = image
        self._files: dict[str, str] = {}

    def top(self) -> Document:
        """The manifest of the configuration and the layers as they are in the archive."""
        from wherry.oci.config import parse_config

        data = self._archive.read(self._image.config, _MOST_CONFIG)
        config = Descriptor(CONFIG, sha256_digest(data), len(data))
        self._files[config.digest] = self._image.config
        diff_ids = parse_config(data).rootfs
        if len(diff_ids) != len(self._image.layers):
            raise Corrupt(
                f"an image of {self._archive.where} has {len(self._image.layers)} layers and speaks of {len(diff_ids)}"
            )
        layers = [self._layer(name, diff_id) for name, diff_id in zip(self._image.layers, diff_ids, strict=True)]
        encoded_manifest = Manifest(config, tuple(layers)).encode()
        return Document(Manifest(config, ()).media_type, sha256_digest(encoded_manifest), encoded_manifest)

    def _layer(self, name: str, diff_id: str) -> Descriptor:
        """A plain layer is what its diff ID says (whoever reads it checks that); a compressed one is hashed here."""
        size = self._archive.size(name)
        with self._archive.open(name) as file:
            head = file.read(6)
        media_type = {b"\x1f\x8b": LAYER_GZIP, b"\x28\xb5": LAYER_ZSTD}.get(head[:2], LAYER)
        digest = diff_id if media_type == LAYER else self._hash(name)
        self._files[digest] = name
        return Descriptor(media_type, digest, size)

    def _hash(self, name: str) -> str:
        from hashlib import sha256

        digest = sha256()
        with self._archive.open(name) as file:
            while piece := file.read(_CHUNK):
                digest.update(piece)
        return f"sha256:{digest.hexdigest()}"

    def document(self, descriptor: Descriptor) -> Document:
        """There is only the one."""
        raise NotFound(f"{self._archive.where} does not hold {descriptor.digest}")

    def open(self, descriptor: Descriptor) -> Slice:
        """A part of the archive."""
        return self._archive.open(self._files[descriptor.digest])

    def places(self, digest: str, registry: str) -> Sequence[str]:  # noqa: ARG002
        """None: this is no registry."""
        return ()

    def stop(self) -> None:
        """Files need no stopping."""


class _Kept(NamedTuple):
    """A layer that is going to be written, uncompressed."""

    size: int
    open: Callable[[], Reader]


class ImageWriter:
    """Collects images, and writes them as one archive."""

    def __init__(self, spool: str) -> None:
        self._spool = spool
        self._small: dict[str, bytes] = {}
        self._layers: dict[str, _Kept] = {}
        self._entries: list[dict[str, Any]] = []
        self._manifests: list[Descriptor] = []

    def add(self, manifest: Manifest, source: Source, names: Sequence[Reference], progress: Sink) -> None:
        """Take an image; compressed layers are unpacked to nameless files, the others read when all is written."""
        from wherry.oci.config import parse_config

        data = read_blob(source, manifest.config)
        diff_ids = parse_config(data).rootfs
        if len(diff_ids) != len(manifest.layers):
            raise Corrupt(f"the image {manifest.config.digest} has {len(manifest.layers)} layers, not {len(diff_ids)}")
        layers = []
        for layer, diff_id in zip(manifest.layers, diff_ids, strict=True):
            if diff_id not in self._layers:
                progress(Started(layer.digest[7:19], f"{layer.digest[7:19]}: Saving"))
                self._layers[diff_id] = self._keep(layer, diff_id, source)
                progress(Turned(layer.digest[7:19], "Saved"))
                progress(Finished(layer.digest[7:19]))
            layers.append(Descriptor(LAYER, diff_id, self._layers[diff_id].size))
        config = manifest.config._replace(media_type=CONFIG)
        document = Manifest(config, tuple(layers)).encode()
        self._small[config.digest], self._small[sha256_digest(document)] = data, document
        self._name(config, layers, document, names)

    def _name(self, config: Descriptor, layers: list[Descriptor], document: bytes, names: Sequence[Reference]) -> None:
        tags = sorted(name.familiar() for name in names if name.tag)
        self._entries.append(
            {
                "Config": _blob(config.digest),
                "RepoTags": tags or None,
                "Layers": [_blob(layer.digest) for layer in layers],
            }
        )
        plain = Descriptor(Manifest(config, ()).media_type, sha256_digest(document), len(document))
        tagged = sorted((str(name), name.tag) for name in names if name.tag)
        self._manifests += [plain._replace(annotations={CONTAINERD_NAME: name, NAME: tag}) for name, tag in tagged] or [
            plain
        ]

    def _keep(self, layer: Descriptor, diff_id: str, source: Source) -> _Kept:
        compression = layer_compression(layer.media_type)
        if compression == "none":
            if layer.digest != diff_id:
                raise Corrupt(f"the layer {layer.digest} is said to unpack to {diff_id}")
            return _Kept(layer.size, lambda: source.open(layer))
        from tempfile import TemporaryFile

        from wherry.transfer.tarfiles import Slice

        file: BinaryIO = TemporaryFile(dir=self._spool)  # noqa: SIM115
        with source.open(layer) as reader:
            size = _decompress(reader, layer, compression, diff_id, file.fileno())

        def reopen() -> Slice:
            return Slice(file.fileno(), 0, size)

        return _Kept(size, reopen)

    def write(self, write: Callable[[bytes], object]) -> None:
        """The whole archive. Raises Corrupt where a layer turns out to be another than was said."""
        from wherry.layer.tarwriter import Meta, TarWriter

        tar, directory, meta = TarWriter(write), Meta(0o755), Meta(0o644)
        tar.directory(b"blobs", directory)
        tar.directory(b"blobs/sha256", directory)
        for digest in sorted({*self._small, *self._layers}):
            if digest in self._small:
                tar.small_file(_blob(digest).encode(), meta, self._small[digest])
            else:
                _write_layer(tar, meta, digest, self._layers[digest])
        tar.small_file(b"index.json", meta, Index(tuple(self._manifests)).encode())
        tar.small_file(b"manifest.json", meta, encode_json(self._entries))
        tar.small_file(b"oci-layout", meta, LAYOUT)
        tar.finish()


def _write_layer(tar: Any, meta: Any, digest: str, layer: _Kept) -> None:
    from hashlib import sha256

    tar.file_header(_blob(digest).encode(), meta, layer.size)
    sums, size = sha256(), 0
    with layer.open() as reader:
        while piece := reader.read(_CHUNK):
            sums.update(piece)
            size += len(piece)
            if size <= layer.size:
                tar.content(piece)
    if size != layer.size or f"sha256:{sums.hexdigest()}" != digest:
        raise Corrupt(f"the bytes of the layer {digest} are not what its digest says", hint="fetch the image again")
    tar.padding(size)


def _decompress(reader: Reader, layer: Descriptor, compression: str, diff_id: str, fd: int) -> int:
    """Write the layer uncompressed to `fd`; its size. Raises Corrupt where either digest is another."""
    from hashlib import sha256

    from wherry.layer.decompressing import open_layer
    from wherry.layer.unpacking import Limits

    arrived, plain, size = sha256(), sha256(), 0

    class Hashed:
        """Hashes what is read from the source."""

        def read(self, count: int = -1) -> bytes:
            data = reader.read(count if count >= 0 else _CHUNK)
            arrived.update(data)
            return data

    stream: Any = Hashed()
    read = open_layer(stream, compression)
    while piece := read(_CHUNK):
        plain.update(piece)
        size += len(piece)
        if size > Limits().size:
            raise Corrupt(f"the layer {layer.digest} unpacks to more than {Limits().size} bytes")
        write_all(fd, piece)
    while stream.read(_CHUNK):
        pass
    if (f"sha256:{arrived.hexdigest()}", f"sha256:{plain.hexdigest()}") != (layer.digest, diff_id):
        raise Corrupt(f"the bytes of the layer {layer.digest} are not what its manifest says", hint="fetch it again")
    return size


def _blob(digest: str) -> str:
    return f"blobs/sha256/{encoded(digest)}"


class DockerArchiveDestination:
    """A new archive of one image at `path`; it appears when it is whole."""

    def __init__(self, path: str, reference: Reference | None) -> None:
        refuse_present(path)
        self._path = path
        self._reference = reference
        self._writer = ImageWriter(os.path.dirname(path) or ".")

    def image(self, document: Document, manifest: Manifest, source: Source, progress: Sink) -> Document:
        """The layers uncompressed, as Docker keeps them there."""
        self._writer.add(manifest, source, [self._reference] if self._reference else [], progress)
        write_file(self._path, self._writer.write)
        return document

    def index(self, document: Document) -> None:
        """Docker's archives hold images for one platform."""
        raise Unsupported(f"a docker-archive holds no index ({document.digest})", hint="leave --all away, or use oci:")

    def name(self, document: Document) -> None:
        """Its name is in it already."""


def refuse_present(path: str) -> None:
    """Raises InvalidInput where something is at `path` that is more than an empty file."""
    if os.path.isdir(path) or (os.path.exists(path) and os.path.getsize(path)):
        raise InvalidInput(f"{path} exists already", hint="archives are not added to: name another file")


def write_file(path: str, write: Callable[[Callable[[bytes], object]], object], mode: int = 0o600) -> None:
    """Let `write` fill a new file that takes the place of `path` when it is whole and durable."""
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}.tmp"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        write(lambda data: write_all(fd, data))
        os.fsync(fd)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    finally:
        os.close(fd)
