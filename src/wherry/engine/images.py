"""Images as users see them: listed, tagged, removed, pulled, inspected and pruned, in Docker's terms."""

from __future__ import annotations

from wherry.base.errors import Conflict, InvalidInput, NotFound
from wherry.base.values import NamedTuple
from wherry.oci.reference import parse_reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.base.progress import Sink
    from wherry.engine.exchange import Exchange
    from wherry.engine.records import Container, ContainerRecords
    from wherry.oci.config import ImageConfig
    from wherry.oci.reference import Reference
    from wherry.store import Image, Store

__all__ = ["HistoryEntry", "Images", "Removal"]


class Removal(NamedTuple):
    """One line of `rmi`: `what` is Untagged or Deleted."""

    what: str
    name: str


class HistoryEntry(NamedTuple):
    """One line of `history`; `size` is in bytes, `created` in nanoseconds."""

    id: str
    created: int
    created_by: str
    size: int
    comment: str


class Images:
    """The images of one installation."""

    def __init__(self, store: Store, records: ContainerRecords, exchange: Exchange) -> None:
        self._store = store
        self._records = records
        self._exchange = exchange

    def all(self) -> list[Image]:
        """All images, the newest first."""
        return sorted(self._store.images.all(), key=lambda image: (-image.created, image.id))

    def resolve(self, text: str) -> Image:
        """Raises NotFound (`No such image: ...`) or Conflict for an ambiguous identifier."""
        return self._store.images.resolve(text)

    def config(self, image: Image) -> ImageConfig:
        """The image's configuration."""
        return self._store.images.config(image)

    def tag(self, source: str, target: str) -> None:
        """Give the image `source` the further name `target`."""
        image = self.resolve(source)
        self._store.images.tag(image.manifest_digest, _taggable(target))

    def remove(self, text: str, *, force: bool = False) -> list[Removal]:
        """As `docker rmi`: a name is untagged, the last one deletes the image; an identifier deletes all of it.

        Raises Conflict where a container needs the image, or where an identifier has several names and no `force`.
        """
        image = self.resolve(text)
        called = _digest_name(text)
        if called in image.digests and (image.names or any(each != called for each in image.digests)):
            return self._forget(called, image)
        by_name = _is_name(text, image)
        if by_name and len(image.names) > 1:
            return self._untag(_canonical(text), image)
        if not by_name and len(image.names) > 1 and not force:
            raise Conflict(
                f"conflict: unable to delete {image.id[7:19]} (must be forced)"
                " - image is referenced in multiple repositories"
            )
        self._refuse_while_used(image, text, force=force)
        owner = self._kept().get(image.manifest_digest)
        if owner and not image.names:
            raise Conflict(f"conflict: unable to delete {image.id[7:19]} (cannot be forced) - {owner} needs it")
        removals = [line for name in image.names for line in self._untag(name, image)]
        removals += [line for called in image.digests if not image.names for line in self._forget(called, image)]
        if owner or self.users(image):
            return removals  # what it holds is still needed
        self._store.images.remove(image.manifest_digest)
        self._store.collect()
        return [*removals, Removal("Deleted", image.id)]

    def _untag(self, name: str, image: Image) -> list[Removal]:
        """Take a name away; with the last of a repository goes what that calls the image."""
        reference = parse_reference(name)
        self._store.images.untag(reference)
        removals = [Removal("Untagged", reference.familiar())]
        left = self._store.images.get(image.manifest_digest)
        if not any(parse_reference(each).name == reference.name for each in left.names):
            called = [parse_reference(each) for each in left.digests]
            self._store.images.forget_digests(image.manifest_digest, reference.name)
            removals += [Removal("Untagged", each.familiar()) for each in called if each.name == reference.name]
        return removals

    def _forget(self, called: str, image: Image) -> list[Removal]:
        """Forget one of the names by digest that registries have for the image."""
        reference = parse_reference(called)
        self._store.images.forget_digests(image.manifest_digest, reference.name, reference.digest)
        return [Removal("Untagged", reference.familiar())]

    def _refuse_while_used(self, image: Image, text: str, *, force: bool) -> None:
        users = [one for one in self._records.all() if one.image_id == image.id]
        running = [one for one in users if one.state.is_running]
        if running:
            raise Conflict(
                f"conflict: unable to {'remove repository reference' if image.names else 'delete'}"
                f' "{text}" (cannot be forced) - container {running[0].id[:12]} is using its referenced image'
                f" {image.id[7:19]}"
            )
        if users and not force:
            raise Conflict(
                f'conflict: unable to remove repository reference "{text}" (must force)'
                f" - container {users[0].id[:12]} is using its referenced image {image.id[7:19]}",
                hint="remove the container first, or use -f to remove the image's names all the same",
            )

    def pull(self, text: str, *, platform: str = "", progress: Sink) -> Image:
        """Fetch the image from its registry into the store and unpack it."""
        return self._exchange.pull(parse_reference(text), platform=platform, progress=progress).image

    def history(self, text: str) -> list[HistoryEntry]:
        """The newest step first; a step without a layer has size 0."""
        image = self.resolve(text)
        sizes = iter(self._layer_sizes(image))
        entries = [
            HistoryEntry(
                "<missing>", step.created, step.created_by, 0 if step.empty_layer else next(sizes, 0), step.comment
            )
            for step in self.config(image).history
        ]
        if entries:
            entries[-1] = entries[-1]._replace(id=image.id)
        return entries[::-1]

    def _layer_sizes(self, image: Image) -> list[int]:
        from wherry.oci.config import chain_ids

        chains = chain_ids(self.config(image).rootfs)
        snapshots = [self._store.snapshots.get(chain) for chain in chains]
        return [snapshot.size if snapshot else 0 for snapshot in snapshots]

    def prune(
        self, *, every: bool = False, until: int = 0, labels: dict[str, str] | None = None
    ) -> tuple[list[Removal], int]:
        """Delete images without a name (with `every`: all that no container uses); lines and freed bytes."""
        used, kept = {one.image_id for one in self._records.all()}, self._kept()
        removals: list[Removal] = []
        for image in self._store.images.all():
            if (
                image.manifest_digest in kept
                or image.id in used
                or ((image.names or image.digests) and not every)
                or (until and image.created > until)
            ):
                continue
            if labels and not self._has_labels(image, labels):
                continue
            removals += [line for name in image.names for line in self._untag(name, image)]
            self._store.images.remove(image.manifest_digest)
            removals.append(Removal("Deleted", image.id))
        return removals, self._store.collect().bytes

    def _has_labels(self, image: Image, labels: dict[str, str]) -> bool:
        own = self.config(image).config.labels or {}
        return all(key in own and value in ("", own[key]) for key, value in labels.items())

    def _kept(self) -> dict[str, str]:
        """The images (by manifest) that versions of applications need, with the name of one such version."""
        from wherry.store.leases import VERSION

        owners = self._store.leases.owners("image", VERSION)
        return {digest: f"version {owner.removeprefix(VERSION)}" for digest, owner in owners.items()}

    def users(self, image: Image) -> list[Container]:
        """The containers, in any state, that were made from the image."""
        return [one for one in self._records.all() if one.image_id == image.id]

    def inspect(self, text: str) -> dict[str, Any]:
        """What `docker image inspect` prints for it."""
        from wherry.engine.inspection import inspect_image

        image = self.resolve(text)
        return inspect_image(self._store, image, self.config(image))


def _taggable(text: str) -> Reference:
    reference = parse_reference(text)
    if reference.digest:
        raise InvalidInput("refusing to create a tag with a digest reference")
    return reference


def _canonical(text: str) -> str:
    return str(parse_reference(text))


def _digest_name(text: str) -> str:
    """`text` as a canonical `repository@digest`, empty where it is no such name."""
    try:
        reference = parse_reference(text)
    except InvalidInput:
        return ""
    return f"{reference.name}@{reference.digest}" if reference.digest else ""


def _is_name(text: str, image: Image) -> bool:
    """Whether `text` is one of the image's names rather than (a prefix of) its identifier."""
    try:
        return _canonical(text) in image.names
    except (NotFound, Conflict, ValueError):
        return False
