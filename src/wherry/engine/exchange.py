"""Images between the store and everything outside: pull, push, copy, save, load, and logging in."""

from __future__ import annotations

import os

from wherry.base.errors import InvalidInput, NotFound
from wherry.base.progress import serialized
from wherry.base.values import NamedTuple
from wherry.oci.platform import host_platform, parse_platform
from wherry.oci.reference import Reference, parse_reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import BinaryIO

    from wherry.base.progress import Sink
    from wherry.oci.platform import Platform
    from wherry.store import Image, Store
    from wherry.transfer import Document, Login, RegistryClient
    from wherry.transfer.endpoints import Destination, Source

__all__ = ["Exchange", "Loaded", "Pulled"]


class Pulled(NamedTuple):
    """What a pull gave: `digest` is what the registry calls it (of the index, where there is one)."""

    image: Image
    digest: str


class Loaded(NamedTuple):
    """One image of an archive; `displaced` are names that other images lost to it, with their identifiers."""

    image: Image
    names: tuple[str, ...]
    displaced: tuple[tuple[str, str], ...]


class Exchange:
    """The way in and out of one installation's store. `spool` is where large things may wait for a moment."""

    def __init__(self, store: Store, spool: str, environ: Mapping[str, str]) -> None:
        self._store = store
        self._spool = spool
        self._environ = environ

    def connect(self, reference: Reference, *, insecure: bool = False) -> RegistryClient:
        """A client for the repository, with the user's credentials and configuration."""
        from wherry.base.config import load_configuration
        from wherry.transfer import Credentials, RegistryClient, RegistrySettings

        configuration = load_configuration(self._environ)
        plain = (*configuration.insecure_registries, *((reference.registry,) if insecure else ()))
        settings = RegistrySettings(plain, configuration.certificates, self._environ)
        return RegistryClient(reference, Credentials(self._environ), settings)

    def platform(self, text: str) -> Platform:
        """What was asked for, or this machine's."""
        return parse_platform(text) if text else host_platform(os.uname().machine)

    def pull(self, reference: Reference, *, platform: str, progress: Sink) -> Pulled:
        """Fetch an image and name it; layers that are here are not fetched. Nothing is named before it is whole."""
        from wherry.engine.pulling import StoreDestination
        from wherry.transfer import RegistrySource
        from wherry.transfer.copying import choose

        client = self.connect(reference)
        source, wanted = RegistrySource(client), self.platform(platform)
        names = [] if reference.digest else [reference]  # as with Docker: what is asked for by digest gets no tag
        try:
            top = source.top()
            document = choose(source, top, wanted)
            with self._store.leases.process() as lease:
                destination = StoreDestination(
                    self._store, lease, names, wanted=wanted if platform or top != document else None
                )
                self._remember(document, reference)
                self._take(destination, document, source, progress)
                assert destination.taken is not None
                self._store.images.note_digest(destination.taken.manifest_digest, reference.name, top.digest)
                if document.digest != top.digest:
                    self._store.images.note_digest(destination.taken.manifest_digest, reference.name, document.digest)
        finally:
            client.close()
        return Pulled(destination.taken, top.digest)

    def _remember(self, document: Document, reference: Reference) -> None:
        """Where the layers are, so that a push to a neighbour can mount them."""
        from wherry.oci.descriptor import Manifest, parse_document

        manifest = parse_document(document.data, document.media_type)
        if isinstance(manifest, Manifest):
            for layer in manifest.layers:
                self._store.forms.placed(layer.digest, reference.registry, reference.repository)

    def _take(self, destination: Destination, document: Document, source: Source, progress: Sink) -> None:
        from wherry.oci.descriptor import Manifest, parse_document

        manifest = parse_document(document.data, document.media_type)
        assert isinstance(manifest, Manifest)
        destination.image(document, manifest, source, serialized(progress))
        destination.name(document)

    def push(self, reference: Reference, *, platform: str, compression: str, progress: Sink) -> Document:
        """Send the image of that name; what the registry has is not sent. Raises NotFound where it is not here."""
        from wherry.engine.pushing import StoreSource
        from wherry.transfer import RegistryDestination, copy_image

        image = self._store.images.find(reference)
        if image is None:
            raise NotFound(
                f"An image does not exist locally with the tag: {reference.familiar_name()}",
                hint=f"`wherry tag IMAGE {reference.familiar()}` gives one that name",
            )
        if platform:
            self._check_platform(image, parse_platform(platform))
        client = self.connect(reference)
        try:
            with self._store.leases.process() as lease:
                lease.add("image", image.manifest_digest)
                destination = RegistryDestination(client, compression=compression, memory=self._store.forms)
                source = StoreSource(self._store, image)
                sent = copy_image(source, destination, serialized(progress), platform=self.platform(""))
        finally:
            client.close()
        self._store.images.note_digest(image.manifest_digest, reference.name, sent.digest)
        return sent

    def _check_platform(self, image: Image, wanted: Platform) -> None:
        from wherry.oci.platform import Platform

        config = self._store.images.config(image)
        actual = Platform(config.os, config.architecture, config.variant)
        if wanted.rank(actual) != 0 and wanted != actual:
            raise NotFound(
                f"image with reference {image.names[0]} was found but does not provide the specified platform"
                f" ({wanted}): it is {actual}"
            )

    def tags_here(self, name: str) -> list[Reference]:
        """The names that images here have in the repository. Raises NotFound."""
        wanted = parse_reference(name, default_tag=False)
        found = [parse_reference(text) for image in self._store.images.all() for text in image.names]
        tags = sorted(each for each in found if each.name == wanted.name)
        if not tags:
            raise NotFound(f"An image does not exist locally with the tag: {wanted.familiar_name()}")
        return tags

    def tags_there(self, name: str) -> list[Reference]:
        """The names that the registry has in the repository."""
        wanted = parse_reference(name, default_tag=False)
        client = self.connect(wanted)
        try:
            return [wanted._replace(tag=tag) for tag in client.tags()]
        finally:
            client.close()

    def copy(
        self, source: str, target: str, *, platform: str, everything: bool, compression: str, progress: Sink
    ) -> Document:
        """From one place to another; both are written as `copy` takes them (docs/images.md)."""
        from wherry.engine.places import Places
        from wherry.transfer import copy_image

        with self._store.leases.process() as lease, Places(self, self._store, lease, self._spool) as places:
            origin = places.source(source)
            destination = places.destination(target, source, compression)
            sink = serialized(progress)
            return copy_image(origin, destination, sink, platform=self.platform(platform), everything=everything)

    def save(self, names: Sequence[str], write: Callable[[bytes], object], progress: Sink) -> None:
        """Write images, with all their names where a mere repository is given, as one archive that Docker loads."""
        from wherry.engine.pushing import StoreSource
        from wherry.transfer.dockerarchive import ImageWriter

        writer = ImageWriter(self._spool)
        with self._store.leases.process() as lease:
            for image, references in self._asked(names).items():
                lease.add("image", image.manifest_digest)
                manifest = self._store.images.manifest(image)
                writer.add(manifest, StoreSource(self._store, image), references, progress)
            writer.write(write)

    def _asked(self, names: Sequence[str]) -> dict[Image, list[Reference]]:
        """The images, each with the names that it is to have in the archive."""
        asked: dict[Image, list[Reference]] = {}
        for text in names:
            pairs = self._every_tag(text)
            if not pairs:
                image, reference = self._store.images.resolve(text), _reference(text)
                named = reference is not None and str(reference) in image.names
                pairs = [(image, reference if named else None)]
            for image, reference in pairs:
                references = asked.setdefault(image, [])
                if reference is not None and reference not in references:
                    references.append(reference)
        return asked

    def _every_tag(self, text: str) -> list[tuple[Image, Reference | None]]:
        """All names in a repository that is named without a tag."""
        wanted = _reference(text, default_tag=False)
        if wanted is None or wanted.tag or wanted.digest:
            return []
        pairs = [(image, parse_reference(name)) for image in self._store.images.all() for name in image.names]
        return [(image, reference) for image, reference in pairs if reference.name == wanted.name]

    def load(self, file: BinaryIO, where: str, progress: Sink) -> list[Loaded]:
        """Every image of a docker or OCI archive. Raises Corrupt for what is neither."""
        from wherry.engine.loading import load_archive

        return load_archive(self._store, file, where, self._spool, serialized(progress))

    def documents(self, name: str, *, insecure: bool) -> tuple[Reference, Source, Document]:
        """What a registry has under a name, for looking at; the source gives what an index names."""
        from wherry.transfer import RegistrySource

        reference = parse_reference(name)
        source = RegistrySource(self.connect(reference, insecure=insecure))
        return reference, source, source.top()

    def sign_in(self, registry: str, login: Login) -> Login:
        """Try a login at a registry; what is to be kept of it. Raises Denied."""
        from wherry.transfer.credentials import HUB_KEY, registry_key

        key = registry_key(registry)
        client = self.connect(Reference("docker.io" if key == HUB_KEY else key, ""))
        try:
            return login._replace(identity_token=client.sign_in(login))
        finally:
            client.close()


def _reference(text: str, *, default_tag: bool = True) -> Reference | None:
    try:
        return parse_reference(text, default_tag=default_tag)
    except InvalidInput:
        return None
