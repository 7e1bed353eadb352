"""What users do with the files of containers: copy them in and out, and export them."""

from __future__ import annotations

import os
from contextlib import contextmanager

from wherry.engine.copying import (
    Source,
    Tree,
    copy,
    find_source,
    find_target,
    followed,
    local_path,
    read_archive,
    write_archive,
)
from wherry.engine.copyrules import absolute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wherry.engine.assembly import Assembly
    from wherry.engine.records import Container, ContainerRecords
    from wherry.engine.rootviews import RootViews
    from wherry.layer.changes import Change

__all__ = ["ContainerFiles"]

_PLACES = frozenset("/dev /etc /etc/hostname /etc/hosts /etc/resolv.conf /proc /sys".split())


class ContainerFiles:
    """Every container is named as users name it; NotFound where there is none."""

    def __init__(self, records: ContainerRecords, assembly: Assembly, views: RootViews) -> None:
        self._records = records
        self._assembly = assembly
        self._views = views

    @contextmanager
    def _tree(self, text: str) -> Iterator[tuple[Container, Tree]]:
        container = self._records.resolve(text)
        with self._views.open(container) as root:
            yield container, Tree(root, container.name, _kernel_devices(root))

    def copy_from(self, text: str, path: str, target: str, *, follow: bool) -> int:
        """Copy from a container to this machine, where files belong to whoever calls; the bytes of content."""
        with self._tree(text) as (_, tree), _here() as here:
            source = find_source(tree, absolute(path), follow=follow)
            try:
                return copy(tree, source, here, find_target(here, local_path(target)), keep_owner=False)
            finally:
                os.close(source.parent)

    def read_from(self, text: str, path: str, write: Callable[[bytes], object], *, follow: bool) -> int:
        """Write a tar archive of what is in a container; the bytes of content. A link is named as what it leads to."""
        with self._tree(text) as (_, tree):
            whole = followed(tree, absolute(path)) if follow else absolute(path)
            source = find_source(tree, whole, follow=False)
            try:
                return write_archive(tree, source, write)
            finally:
                os.close(source.parent)

    def copy_to(self, text: str, path: str, source: str, *, follow: bool, archive: bool) -> int:
        """Copy from this machine to a container; the bytes of content. `archive`: see `_owner`."""
        with self._tree(text) as (container, tree), _here() as here:
            found = find_source(here, local_path(source), follow=follow)
            try:
                owner = self._owner(container, tree) if archive else None
                return copy(here, found, tree, find_target(tree, absolute(path)), keep_owner=True, owner=owner)
            finally:
                os.close(found.parent)

    def write_to(self, text: str, path: str, read: Callable[[int], bytes], *, archive: bool) -> None:
        """Unpack a tar archive in a directory of a container."""
        with self._tree(text) as (container, tree):
            owner = self._owner(container, tree) if archive else None
            read_archive(read, tree, find_target(tree, absolute(path)), owner=owner)

    def export(self, text: str, write: Callable[[bytes], object]) -> int:
        """Write a tar archive of the container's files without those of its mounts; the bytes of content."""
        with self._views.open(self._records.resolve(text), mounts=False) as root:
            return write_archive(Tree(root), Source(root, ".", "", is_directory=True), write)

    def changes(self, text: str) -> Iterator[Change]:
        """What the container's own layer changes over its image; without what Wherry makes to mount things on."""
        from wherry.layer.changes import list_changes

        container = self._records.resolve(text)
        return list_changes(self._assembly.upper(container), self._assembly.lowers(container), places=_PLACES)

    def _owner(self, container: Container, tree: Tree) -> tuple[int, int] | None:
        """Docker's archive mode: where the container has a user, everything is given to that user."""
        user = self._assembly.configuration(container).user
        if not user:
            return None
        from wherry.runtime.users import resolve_user

        resolved = resolve_user(f"/proc/self/fd/{tree.root}", user)
        return resolved.uid, resolved.gid


def _kernel_devices(root: int) -> frozenset[int]:
    """What is mounted on /proc, /sys and /dev of a running container: files only in name."""
    own = os.fstat(root).st_dev
    found = set()
    for name in ("proc", "sys", "dev"):
        try:
            found.add(os.stat(name, dir_fd=root, follow_symlinks=False).st_dev)
        except OSError:
            continue
    return frozenset(found - {own})


@contextmanager
def _here() -> Iterator[Tree]:
    root = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield Tree(root)
    finally:
        os.close(root)
