"""Making one layer: the place to write it, and what is below it as one tree."""

from __future__ import annotations

import os
import stat
from _thread import allocate_lock

from wherry.base.errors import InvalidInput
from wherry.build.cache import CachedLayer
from wherry.kernel.mounts import overlay
from wherry.kernel.rooted import resolve_in_root
from wherry.layer.builder import LayerBuilder, read_xattrs
from wherry.layer.tarwriter import Meta
from wherry.oci.config import chain_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.build.session import NoWorkspace
    from wherry.engine.workspace import Workspace
    from wherry.layer.digesting import Packed
    from wherry.store import Store
    from wherry.store.leases import Lease

__all__ = ["Tree", "Views", "make_layer", "seconds"]

_LINKS = 40  # as the kernel


def seconds(timestamp: float, clamp: int | None) -> int:
    """A time in whole seconds, not after `clamp`."""
    whole = int(timestamp // 1)
    return whole if clamp is None else min(whole, clamp)


class Views:
    """Read-only mounts of chains of layers, one for each, for as long as the workspace lives; safe between threads."""

    def __init__(self, store: Store, workspace: Workspace | NoWorkspace) -> None:
        self._store = store
        self._workspace = workspace
        self._mounted: dict[str, str] = {}
        self._lock = allocate_lock()

    def of(self, chain: str) -> str:
        """The directory where the chain can be read; empty for no layers."""
        if not chain:
            return ""
        with self._lock:
            if chain not in self._mounted:
                target = self._workspace.subdirectory(f"view-{len(self._mounted)}")
                overlay(self._store.snapshots.lowers(chain), "", "", target)
                self._mounted[chain] = target
            return self._mounted[chain]

    def root(self, chain: str) -> str:
        """The same, or an empty directory for no layers."""
        return self.of(chain) or self._workspace.subdirectory("empty")


class Tree:
    """A layer being written over what is there: parents are taken over from below, links in the way are followed."""

    def __init__(self, builder: LayerBuilder, view: str, clamp: int | None, now: int) -> None:
        self._builder = builder
        self._view = view
        self._clamp = clamp
        self._now = now

    def status_below(self, name: str) -> os.stat_result | None:
        """What is there below this layer; None for nothing."""
        if not self._view:
            return None
        try:
            return os.lstat(f"{self._view}/{name}")
        except (FileNotFoundError, NotADirectoryError):
            return None

    def resolve(self, path: str) -> str:
        """The name, relative to the root, that `path` leads to once every link on the way is followed.

        Links that lead nowhere are followed too. Raises InvalidInput where they lead in a circle.
        """
        for _ in range(_LINKS):
            parts = [part for part in path.split("/") if part]
            if not self._view or not parts:
                return "/".join(parts)
            count, there = self._there(parts)
            if count == len(parts):
                return "/".join(there)
            try:
                link = os.readlink("/".join([self._view, *there, parts[count]]))
            except OSError:
                return "/".join([*there, *parts[count:]])
            path = os.path.normpath("/".join(["", *there, link] if not link.startswith("/") else [link]))
            path = "/".join([path, *parts[count + 1 :]])
        raise InvalidInput(f"too many symbolic links on the way to {path}")

    def _there(self, parts: list[str]) -> tuple[int, list[str]]:
        """How many of the parts lead to something below this layer, and to what."""
        for count in range(len(parts), 0, -1):
            try:
                real = resolve_in_root(self._view, "/".join(parts[:count]))
            except OSError:
                continue
            return count, _relative(real, self._view)
        return 0, []

    def make_parents(self, name: str, meta: Meta) -> None:
        """Make the directories above `name`: as they are below, or new ones with `meta`."""
        parts = name.split("/")[:-1]
        for count in range(1, len(parts) + 1):
            directory = "/".join(parts[:count])
            if self._builder.has_directory(directory.encode(errors="surrogateescape")):
                continue
            self.take_over(directory, meta)

    def take_over(self, directory: str, meta: Meta) -> None:
        """Make one directory: as it is below, or new with `meta`."""
        status = self.status_below(directory)
        if status is not None and stat.S_ISDIR(status.st_mode):
            meta = self.meta_of(f"{self._view}/{directory}", status)
        self._builder.directory(os.fsencode(directory), meta)

    def meta_of(self, path: str, status: os.stat_result) -> Meta:
        """The metadata of something that is there."""
        mtime = seconds(status.st_mtime, self._clamp)
        return Meta(stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, mtime, read_xattrs(path))

    def new_directory(self, uid: int = 0, gid: int = 0, mode: int = 0o755) -> Meta:
        """The metadata of a directory that the build makes."""
        return Meta(mode, uid, gid, self._now)


def _relative(real: str, view: str) -> list[str]:
    return [part for part in real[len(view) :].split("/") if part]


def make_layer(
    store: Store,
    lease: Lease,
    rootfs: tuple[str, ...],
    write: Callable[[str, str, Callable[[bytes], object]], Packed],
    created: int,
) -> CachedLayer:
    """Let `write(directory, work directory, sink)` fill a new snapshot over `rootfs` (diff IDs); store both forms."""
    with store.content.writer() as blob, store.snapshots.prepare() as pending:
        work = f"{pending.directory}/work"
        os.mkdir(work, 0o700)
        packed = write(pending.path, work, blob.write)
        chain = chain_id((*rootfs, packed.diff_id))
        lease.add("snapshot", chain)
        stored = blob.commit(known=packed.diff_id, lease=lease)
        pending.commit(chain, chain_id(rootfs), packed.size)
    return CachedLayer(packed.diff_id, stored.digest, stored.size, chain, created)
