"""An OCI image layout (image-spec v1.1 image-layout.md), as a directory or as a tar archive of one."""

from __future__ import annotations

import json
import os
from threading import Lock

from wherry.base.errors import Corrupt, InvalidInput, NotFound
from wherry.base.files import atomic_write, sync_directory, write_all
from wherry.base.locks import FileLock
from wherry.base.progress import Finished, Started, Turned
from wherry.oci.descriptor import MAX_MANIFEST_SIZE, Descriptor, Index, parse_document
from wherry.oci.digest import encoded, parse_digest
from wherry.transfer.client import Document
from wherry.transfer.copying import checked_document
from wherry.transfer.parallel import each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import BinaryIO

    from wherry.base.progress import Sink
    from wherry.oci.descriptor import Manifest
    from wherry.transfer.endpoints import Reader, Source

__all__ = ["CONTAINERD_NAME", "LAYOUT", "NAME", "LayoutDestination", "LayoutSource", "open_directory"]

LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"


def named(index: Index, name: str, where: str) -> Descriptor:
    """The manifest or index of a layout that has the name; without one, the only one. Raises NotFound."""
    known = {
        value: each
        for each in index.manifests
        for value in ((each.annotations or {}).get(NAME), (each.annotations or {}).get(CONTAINERD_NAME))
        if value
    }
    known |= {each.digest: each for each in index.manifests if each.digest == name}
    if name in known:
        return known[name]
    if not name and len(index.manifests) == 1:
        return index.manifests[0]
    present = ", ".join(sorted(known)) or "none with a name"
    raise NotFound(f"{where} has no image {name or 'of its own'}", hint=f"name one of those it has: {present}")


class LayoutSource:
    """One image of a layout whose files `read` opens by their names, relative to the layout."""

    def __init__(self, open_file: Callable[[str], Reader], name: str, where: str) -> None:
        self._open_file = open_file
        self._name = name
        self._where = where

    def images(self) -> Index:
        """What `index.json` says. Raises Corrupt where this is no layout."""
        layout = self._json("oci-layout")
        if layout.get("imageLayoutVersion", "").partition(".")[0] != "1":
            raise Corrupt(f"{self._where} is a layout of an unknown version")
        index = parse_document(self._read("index.json", MAX_MANIFEST_SIZE))
        if not isinstance(index, Index):
            raise Corrupt(f"the index.json of {self._where} is not an index")
        return index

    def _json(self, name: str) -> dict[str, str]:
        try:
            value = json.loads(self._read(name, 1 << 16))
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict) or not isinstance(value.get("imageLayoutVersion"), str):
            raise Corrupt(f"{self._where} is not an OCI image layout")
        return value

    def _read(self, name: str, limit: int) -> bytes:
        data = b""
        with self._open_file(name) as file:
            while len(data) <= limit and (piece := file.read(limit + 1)):
                data += piece
        if len(data) > limit:
            raise Corrupt(f"{name} of {self._where} is larger than {limit} bytes")
        return data

    def top(self) -> Document:
        """The image of the name."""
        return self.document(named(self.images(), self._name, self._where))

    def document(self, descriptor: Descriptor) -> Document:
        """Checked against the descriptor."""
        if descriptor.size > MAX_MANIFEST_SIZE:
            raise Corrupt(f"the manifest {descriptor.digest} is larger than {MAX_MANIFEST_SIZE} bytes")
        return checked_document(self._read(_blob(descriptor.digest), MAX_MANIFEST_SIZE), descriptor)

    def open(self, descriptor: Descriptor) -> Reader:
        """The file of the blob."""
        return self._open_file(_blob(descriptor.digest))

    def places(self, digest: str, registry: str) -> Sequence[str]:  # noqa: ARG002
        """None: this is no registry."""
        return ()

    def stop(self) -> None:
        """Files need no stopping."""


def open_directory(path: str) -> Callable[[str], BinaryIO]:
    """Opens the files of a layout in the directory `path`; links that lead out of it are not followed."""

    def open_file(name: str) -> BinaryIO:
        try:
            fd = os.open(f"{path}/{name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            raise NotFound(f"{path} does not hold {name}", hint="is it an OCI image layout?") from None
        return os.fdopen(fd, "rb")

    return open_file


def _blob(digest: str) -> str:
    return f"blobs/sha256/{encoded(parse_digest(digest))}"


class LayoutDestination:
    """A layout in a directory, made where it is missing; other images in it stay. Each file is whole or absent."""

    def __init__(self, path: str, name: str) -> None:
        self._path = path
        self._name = name
        self._locks: dict[str, Lock] = {}
        self._lock = Lock()

    def prepare(self) -> None:
        """Make the layout. Raises InvalidInput for a directory that holds something else."""
        if not os.path.exists(f"{self._path}/oci-layout"):
            if os.path.isdir(self._path) and os.listdir(self._path):
                raise InvalidInput(f"{self._path} is not empty, and not an OCI image layout")
            os.makedirs(f"{self._path}/blobs/sha256", exist_ok=True)
            atomic_write(f"{self._path}/index.json", Index(()).encode())
            atomic_write(f"{self._path}/oci-layout", LAYOUT)
        os.makedirs(f"{self._path}/blobs/sha256", exist_ok=True)

    def image(self, document: Document, manifest: Manifest, source: Source, progress: Sink) -> Document:
        """Blobs as they are, several at once, then the manifest."""
        self.prepare()
        blobs = (*manifest.layers, manifest.config)
        for each_blob in blobs:
            progress(Started(each_blob.digest[7:19], f"{each_blob.digest[7:19]}: Waiting"))
        each(blobs, lambda blob: self._take(blob, source, progress), source.stop)
        self._put(document)
        return document

    def _take(self, descriptor: Descriptor, source: Source, progress: Sink) -> None:
        task = descriptor.digest[7:19]
        with self._lock:
            alone = self._locks.setdefault(descriptor.digest, Lock())
        with alone:
            if os.path.exists(f"{self._path}/{_blob(descriptor.digest)}"):
                progress(Turned(task, "Already exists"))
            else:
                progress(Turned(task, "Copying"))
                with source.open(descriptor) as reader:
                    copy_blob(reader, descriptor, f"{self._path}/{_blob(descriptor.digest)}")
                progress(Turned(task, "Copied"))
        progress(Finished(task))

    def index(self, document: Document) -> None:
        """Stored by its digest."""
        self._put(document)

    def _put(self, document: Document) -> None:
        atomic_write(f"{self._path}/{_blob(document.digest)}", document.data)

    def name(self, document: Document) -> None:
        """An entry in `index.json`, in the place of an older one of the same name."""
        annotations = {NAME: self._name} if self._name else None
        entry = document.descriptor._replace(annotations=annotations)
        with FileLock(f"{self._path}/index.json.lock") as lock:
            with open(f"{self._path}/index.json", "rb") as file:
                index = parse_document(file.read(MAX_MANIFEST_SIZE + 1))
            if not isinstance(index, Index):
                raise Corrupt(f"{self._path}/index.json is not an index")
            kept = [
                each
                for each in index.manifests
                if (each.annotations or {}).get(NAME, "") != self._name or (not self._name and each != entry)
            ]
            kept = [each for each in kept if self._name or each.digest != document.digest]
            value = Index((*kept, entry), annotations=index.annotations)
            atomic_write(f"{self._path}/index.json", value.encode())
            lock.remove()


def copy_blob(reader: Reader, descriptor: Descriptor, path: str) -> None:
    """Write a blob to `path`, durable and checked, or not at all. Raises Corrupt."""
    from hashlib import sha256

    digest, size, temporary = sha256(), 0, f"{path}.{os.getpid()}.{os.urandom(4).hex()}.tmp"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        while piece := reader.read(1 << 20):
            size += len(piece)
            digest.update(piece)
            if size > descriptor.size:
                break
            write_all(fd, piece)
        if size != descriptor.size or f"sha256:{digest.hexdigest()}" != descriptor.digest:
            raise Corrupt(f"the bytes of {descriptor.digest} are not what its manifest says", hint="fetch it again")
        os.fsync(fd)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    finally:
        os.close(fd)
    sync_directory(os.path.dirname(path))
