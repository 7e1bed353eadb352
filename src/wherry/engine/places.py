"""What `copy` calls a place: `docker://NAME`, `oci:DIR[:TAG]`, `oci-archive:`, `docker-archive:`, `store:NAME`."""

from __future__ import annotations

import os

from wherry.base.errors import InvalidInput, NotFound
from wherry.oci.reference import parse_reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.engine.exchange import Exchange
    from wherry.store import Store
    from wherry.store.leases import Lease
    from wherry.transfer.endpoints import Destination, Source
    from wherry.transfer.tarfiles import Archive

__all__ = ["Places"]

_KINDS = ("docker", "oci", "oci-archive", "docker-archive", "store")


class Places:
    """Opens sources and destinations; a context, at whose end all of them are closed."""

    def __init__(self, exchange: Exchange, store: Store, lease: Lease, spool: str) -> None:
        self._exchange = exchange
        self._store = store
        self._lease = lease
        self._spool = spool
        self._close: list[Callable[[], object]] = []

    def __enter__(self) -> Places:
        return self

    def __exit__(self, *_: object) -> None:
        for close in reversed(self._close):
            close()

    def source(self, text: str) -> Source:
        """Raises InvalidInput for what is no place, NotFound for one that is not there."""
        kind, rest = _split(text)
        if kind == "docker":
            from wherry.transfer import RegistrySource

            client = self._exchange.connect(parse_reference(rest))
            self._close.append(client.close)
            return RegistrySource(client)
        if kind == "store":
            from wherry.engine.pushing import StoreSource

            image = self._store.images.resolve(rest)
            self._lease.add("image", image.manifest_digest)
            return StoreSource(self._store, image)
        path, _, name = rest.partition(":")
        if kind == "oci":
            from wherry.transfer.layout import LayoutSource, open_directory

            return LayoutSource(open_directory(path), name, path)
        archive = self._archive(path)
        if kind == "oci-archive":
            from wherry.engine.loading import layout_in

            return layout_in(archive, name)
        return _archived(archive, name)

    def _archive(self, path: str) -> Archive:
        from wherry.transfer.tarfiles import open_archive

        try:
            archive = open_archive(open(path, "rb"), path, self._spool)
        except FileNotFoundError:
            raise NotFound(f"{path} is not there") from None
        self._close.append(archive.close)
        return archive

    def destination(self, text: str, source: str, compression: str) -> Destination:
        """Where `source` goes to; `compression` of what is pushed is by itself gzip where the source keeps it plain."""
        kind, rest = _split(text)
        if kind == "docker":
            from wherry.transfer import RegistryDestination

            client = self._exchange.connect(parse_reference(rest))
            self._close.append(client.close)
            plain = _split(source)[0] in ("store", "docker-archive")
            chosen = compression or ("gzip" if plain else "")
            return RegistryDestination(client, compression=chosen, memory=self._store.forms)
        if kind == "store":
            from wherry.engine.pulling import StoreDestination

            return StoreDestination(self._store, self._lease, [parse_reference(rest)])
        path, _, name = rest.partition(":")
        if kind == "oci":
            from wherry.transfer.layout import LayoutDestination

            return LayoutDestination(path, name)
        if kind == "oci-archive":
            from wherry.transfer.ociarchive import LayoutArchiveDestination

            archive = LayoutArchiveDestination(path, name)
            self._close.append(archive.close)
            return archive
        from wherry.transfer.dockerarchive import DockerArchiveDestination

        return DockerArchiveDestination(path, parse_reference(name) if name else None)


def _archived(archive: Archive, name: str) -> Source:
    """An image of a docker archive by one of its names, or the only one."""
    from wherry.transfer.dockerarchive import DockerArchiveSource, archived_images

    images = archived_images(archive)
    if name:
        wanted = parse_reference(name)
        images = [image for image in images if wanted in [parse_reference(each) for each in image.names]]
    if len(images) != 1:
        known = sorted(each for image in archived_images(archive) for each in image.names)
        raise NotFound(
            f"{archive.where} has no image {name}" if name else f"{archive.where} has {len(images)} images",
            hint=f"name one of: {', '.join(known) or 'none has a name'}",
        )
    return DockerArchiveSource(archive, images[0])


def _split(text: str) -> tuple[str, str]:
    kind, colon, rest = text.partition(":")
    if not colon or kind not in _KINDS or (kind == "docker") != rest.startswith("//") or not rest.strip("/"):
        raise InvalidInput(
            f"not a place to copy from or to: {text!r}",
            hint="write docker://NAME, oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME] or store:NAME",
        )
    return kind, rest[2:] if kind == "docker" else (os.path.expanduser(rest) if kind != "store" else rest)
