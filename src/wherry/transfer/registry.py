"""A registry's repository as source and as destination of images."""

from __future__ import annotations

from threading import Lock

from wherry.base.errors import Corrupt, Unavailable, Unsupported
from wherry.base.progress import Advanced, Finished, Started, Turned
from wherry.oci.digest import is_digest, sha256_digest
from wherry.oci.media_types import is_distributable, layer_compression
from wherry.transfer.arriving import CHUNK, BlobReader
from wherry.transfer.client import Document, wait_before_try
from wherry.transfer.copying import checked_document, read_blob
from wherry.transfer.endpoints import Forgetful
from wherry.transfer.parallel import each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Executor

    from wherry.base.progress import Sink
    from wherry.oci.descriptor import Descriptor, Manifest
    from wherry.transfer.client import RegistryClient
    from wherry.transfer.endpoints import LayerMemory, Reader, Source

__all__ = ["RegistryDestination", "RegistrySource"]

_TRIES = 3
_COMPRESSED = {"gzip": "+gzip", "zstd": "+zstd"}


class RegistrySource:
    """What a client's reference names."""

    def __init__(self, client: RegistryClient) -> None:
        self._client = client

    def top(self) -> Document:
        """The manifest or index of the tag or digest."""
        reference = self._client.reference
        return self._client.manifest(reference.digest or reference.tag)

    def document(self, descriptor: Descriptor) -> Document:
        """Checked against the descriptor."""
        document = self._client.manifest(descriptor.digest)
        return checked_document(document.data, descriptor)

    def open(self, descriptor: Descriptor) -> BlobReader:
        """Goes on by itself where the connection is cut."""
        return BlobReader(self._client, descriptor)

    def places(self, digest: str, registry: str) -> Sequence[str]:  # noqa: ARG002
        """This very repository."""
        return (self._client.repository,) if registry == self._client.reference.registry else ()

    def stop(self) -> None:
        """End what is being fetched."""
        self._client.abort()


class RegistryDestination:
    """A repository to push to. With `compression`, uncompressed layers are compressed on their way.

    What the registry has is not sent, what another of its repositories is known to have is mounted; blobs go before the
    manifest, so the registry never shows an image that is not whole.
    """

    def __init__(
        self, client: RegistryClient, *, compression: str = "", memory: LayerMemory | None = None, tag: str = ""
    ) -> None:
        self._client = client
        self._compression = compression
        self._memory: LayerMemory = memory or Forgetful()
        self._tag = tag or client.reference.tag
        self._locks: dict[str, Lock] = {}
        self._lock = Lock()

    def image(self, document: Document, manifest: Manifest, source: Source, progress: Sink) -> Document:
        """Every blob, several at once; then the manifest, which differs where layers were compressed."""
        from concurrent.futures import ThreadPoolExecutor

        for layer in manifest.layers:
            progress(Started(_task(layer), f"{_task(layer)}: Preparing"))

        def stop() -> None:
            self._client.abort()
            source.stop()

        with ThreadPoolExecutor() as executor:

            def send(layer: Descriptor) -> Descriptor:
                with self._alone(layer.digest):
                    return self._layer(layer, source, progress, executor)

            layers = each(manifest.layers, send, stop)
        if not self._client.has_blob(manifest.config.digest):
            self._send_small(read_blob(source, manifest.config), manifest.config.digest)
        if tuple(layers) != manifest.layers:
            data = manifest._replace(layers=tuple(layers)).encode()
            document = Document(manifest.media_type, sha256_digest(data), data)
        self._client.put_manifest(document, document.digest)
        return document

    def index(self, document: Document) -> None:
        """Stored by its digest."""
        self._client.put_manifest(document, document.digest)

    def name(self, document: Document) -> None:
        """The tag moves to it; a name by digest has to be that digest."""
        wanted = self._client.reference.digest
        if wanted and document.digest != wanted:
            raise Corrupt(f"what was copied is {document.digest}, not {wanted}")
        if self._tag and not is_digest(self._tag):
            self._client.put_manifest(document, self._tag)

    def _alone(self, digest: str) -> Lock:
        """Held while a blob is sent, so that the same layer twice in an image is sent once."""
        with self._lock:
            return self._locks.setdefault(digest, Lock())

    def _layer(self, layer: Descriptor, source: Source, progress: Sink, executor: Executor) -> Descriptor:
        task = _task(layer)
        if not is_distributable(layer.media_type):
            progress(Turned(task, "Skipped foreign layer"))
            progress(Finished(task))
            return layer
        compress = bool(self._compression) and _is_plain(layer)
        known = self._memory.form(layer.digest, self._compression) if compress else layer
        state, session = self._there(known, source) if known else ("", "")
        if known and state:
            progress(Turned(task, state))
            sent = known
        else:
            progress(Turned(task, "Pushing"))
            sent = self._send(layer, session, source, task, progress, executor if compress else None)
            progress(Turned(task, "Pushed"))
        self._memory.placed(sent.digest, self._client.reference.registry, self._client.repository)
        progress(Finished(task))
        return sent

    def _there(self, layer: Descriptor, source: Source) -> tuple[str, str]:
        """How the layer came to be here without being sent; empty where it is not, and an upload that was begun."""
        if self._client.has_blob(layer.digest):
            return "Layer already exists", ""
        registry = self._client.reference.registry
        places = (*source.places(layer.digest, registry), *self._memory.places(layer.digest, registry))
        place = next((each for each in places if each != self._client.repository), "")
        if not place:
            return "", ""
        session = self._client.start_upload(layer.digest, place)
        return ("", session) if session else (f"Mounted from {place}", "")

    def _send(
        self, layer: Descriptor, session: str, source: Source, task: str, progress: Sink, executor: Executor | None
    ) -> Descriptor:
        """Send it to the upload `session` or a new one, from the beginning again where the connection breaks."""
        for attempt in range(_TRIES):
            try:
                where = session or self._client.start_upload()
                if executor is None:
                    return self._send_whole(layer, where, source, task, progress)
                return self._send_compressed(layer, where, source, task, progress, executor)
            except Unavailable:
                if attempt + 1 == _TRIES:
                    raise
                session = ""
                wait_before_try(attempt)
        raise AssertionError

    def _send_whole(self, layer: Descriptor, session: str, source: Source, task: str, progress: Sink) -> Descriptor:
        def content() -> Iterator[bytes]:
            with source.open(layer) as reader:
                yield from _counted(reader, layer, task, progress)

        self._client.finish_upload(session, layer.digest, content, layer.size)
        return layer

    def _send_compressed(
        self, layer: Descriptor, session: str, source: Source, task: str, progress: Sink, executor: Executor
    ) -> Descriptor:
        """The upload begins with the first block that is compressed; its digest is known when the last was sent."""
        from wherry.layer.compressing import compressed

        sums = _Sums()

        def content() -> Iterator[bytes]:
            sums.reset()
            with source.open(layer) as reader:
                pieces = _Pieces(_counted(reader, layer, task, progress))
                yield from sums.through(compressed(pieces.read, self._compression, executor))

        try:
            session = self._client.send_part(session, content)
        except Unsupported:
            return self._send_spooled(layer, content, sums)
        sent = self._form(layer, sums)
        self._client.finish_upload(session, sent.digest)
        self._memory.remember(layer.digest, sent)
        return sent

    def _send_spooled(self, layer: Descriptor, content: Callable[[], Iterator[bytes]], sums: _Sums) -> Descriptor:
        """To a registry that wants to know the size beforehand: compressed to a nameless file, and sent from there."""
        from tempfile import TemporaryFile

        with TemporaryFile() as file:
            for piece in content():
                file.write(piece)
            sent = self._form(layer, sums)

            def pieces() -> Iterator[bytes]:
                file.seek(0)
                while piece := file.read(CHUNK):
                    yield piece

            self._client.finish_upload(self._client.start_upload(), sent.digest, pieces, sent.size)
        self._memory.remember(layer.digest, sent)
        return sent

    def _form(self, layer: Descriptor, sums: _Sums) -> Descriptor:
        """The layer as it was compressed."""
        kind = layer.media_type + _COMPRESSED[self._compression]
        return layer._replace(media_type=kind, digest=sums.digest(), size=sums.size)

    def _send_small(self, data: bytes, digest: str) -> None:
        for attempt in range(_TRIES):
            try:
                self._client.finish_upload(self._client.start_upload(), digest, data, len(data))
                return
            except Unavailable:
                if attempt + 1 == _TRIES:
                    raise
                wait_before_try(attempt)


def _task(layer: Descriptor) -> str:
    return layer.digest[7:19]


def _is_plain(layer: Descriptor) -> bool:
    try:
        return layer_compression(layer.media_type) == "none"
    except Unsupported:
        return False  # an artifact's blob: sent as it is


def _counted(reader: Reader, layer: Descriptor, task: str, progress: Sink) -> Iterator[bytes]:
    """The bytes of a blob, checked. Raises Corrupt where they are not what the descriptor says, before the last."""
    from hashlib import sha256

    done, digest = 0, sha256()
    piece = reader.read(CHUNK)
    while piece:
        done += len(piece)
        digest.update(piece)
        progress(Advanced(task, done, layer.size))
        following = reader.read(CHUNK)
        if not following and f"sha256:{digest.hexdigest()}" != layer.digest:
            raise Corrupt(f"the bytes of {layer.digest} hash to sha256:{digest.hexdigest()}", hint="fetch it again")
        yield piece
        piece = following


class _Pieces:
    """An iterator of pieces as something to `read` from; a piece is given as it is where it fits."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""

    def read(self, count: int) -> bytes:
        while len(self._rest) < count and (piece := next(self._pieces, b"")):
            self._rest = self._rest + piece if self._rest else piece
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken


class _Sums:
    """Size and digest of what goes through."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        from hashlib import sha256

        self.size = 0
        self._hash = sha256()

    def through(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.size += len(piece)
            self._hash.update(piece)
            yield piece

    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"
