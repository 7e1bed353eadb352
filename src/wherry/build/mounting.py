"""The mounts of one RUN, made ready before it runs and taken away after: binds, caches, secrets and tmpfs.

Sources are opened inside their root by the kernel (openat2) and bound from that descriptor to places of our own, so
that neither a link in an image or a cache nor a step that runs meanwhile can lead a mount elsewhere (CVE-2024-23651).
Secrets are only ever written to a file system in memory.
"""

from __future__ import annotations

import os
import stat
from functools import partial

from wherry.base.errors import InvalidInput
from wherry.base.files import remove_tree
from wherry.base.values import NamedTuple
from wherry.build.copying import Copy, copy_into_layer, describe_sources
from wherry.kernel.mounts import MS_NODEV, MS_NOEXEC, MS_NOSUID, bind, mount, overlay, unmount_below
from wherry.kernel.rooted import open_in_root
from wherry.oci.runtime_spec import Mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.build.request import Secret
    from wherry.build.sources import Digests, Selection, Source
    from wherry.dockerfile import MountFlag
    from wherry.engine.cache_mounts import CacheMounts, LockedCache
    from wherry.engine.workspace import Workspace

__all__ = ["MountedSources", "StepMount", "describe_mount"]

_IN_MEMORY = MS_NOSUID | MS_NODEV | MS_NOEXEC
_SECRET = ("rbind", "ro", "nosuid", "nodev", "noexec")


class StepMount(NamedTuple):
    """A mount with everything resolved: `target` is absolute; bind mounts, and caches with from=, have a `source`."""

    flag: MountFlag
    target: str = ""  # empty for a secret that is an environment variable only
    source: Source | None = None
    selected: Selection | None = None
    name: str = ""  # the cache's, or the secret's identifier


def describe_mount(mounted: StepMount, digests: Callable[[Source], Digests]) -> list[object]:
    """What of a mount decides a step: the content of bind sources; not that of caches, nor any secret."""
    flag, source = mounted.flag, mounted.source
    plain: list[object] = [flag.kind, mounted.target, flag.read_only, mounted.name, flag.env, flag.size]
    plain += [flag.mode, flag.uid, flag.gid, flag.sharing if flag.kind == "cache" else ""]
    if flag.kind != "bind" or source is None or mounted.selected is None:
        return plain
    copy = Copy(source, (mounted.selected,), "/", None)
    return [*plain, describe_sources(copy, None if source.identity else digests(source))]


class MountedSources:
    """A context in which the sources of a step's mounts are there: `mounts` for the runtime, `environment` entries."""

    def __init__(
        self,
        mounts: tuple[StepMount, ...],
        workspace: Workspace,
        scratch: str,
        caches: CacheMounts,
        secrets: dict[str, Secret],
    ) -> None:
        self._wanted = sorted(mounts, key=lambda one: one.target)  # so that what is around comes before what is in it
        self._workspace = workspace
        self._scratch = scratch
        self._caches = caches
        self._secrets = secrets
        self._held: dict[str, LockedCache] = {}
        self._number = 0
        self._top = ""
        self.mounts: list[Mount] = []
        self.environment: list[str] = []

    def __enter__(self) -> MountedSources:
        try:
            if self._wanted:
                self._top = self._workspace.subdirectory("mounts")
                os.mkdir(self._scratch, 0o700)
            if any(one.flag.kind == "secret" for one in self._wanted):
                mount("tmpfs", self._workspace.subdirectory("mounts/secrets"), "tmpfs", _IN_MEMORY, "mode=0700")
            self._lock_caches()
            for one in self._wanted:
                getattr(self, f"_{one.flag.kind}")(one)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._top:
            unmount_below(self._top)
            remove_tree(self._top)
        for cache in self._held.values():
            cache.release()

    @property
    def directory(self) -> str:
        """Where a bundle that holds secrets may be written: in memory; empty where there are none."""
        return f"{self._top}/secrets" if self.environment else ""

    def _place(self, *, directory: bool) -> str:
        """An empty place of our own to mount on."""
        self._number += 1
        path = f"{self._top}/{self._number}"
        if directory:
            os.mkdir(path, 0o755)
        else:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
        return path

    def _bound(self, root: str, path: str) -> str:
        """A place where `path` below `root` is mounted."""
        try:
            fd = open_in_root(root, path, os.O_PATH)
        except OSError as error:
            raise InvalidInput(f"a mount's source is not there: /{path}: {error.strerror}") from None
        try:
            place = self._place(directory=stat.S_ISDIR(os.fstat(fd).st_mode))
            bind(f"/proc/self/fd/{fd}", place, recursive=False)
        finally:
            os.close(fd)
        return place

    # --- kinds

    def _tmpfs(self, one: StepMount) -> None:
        size = (f"size={one.flag.size}",) if one.flag.size else ()
        access = ("ro",) if one.flag.read_only else ()
        self.mounts.append(Mount(one.target, "tmpfs", "tmpfs", ("nosuid", "mode=1777", *size, *access)))

    def _bind(self, one: StepMount) -> None:
        assert one.source is not None
        assert one.selected is not None
        if one.source.is_context:
            path = self._copied(one.source, one.selected)
        else:
            path = self._bound(one.source.root, os.path.relpath(one.selected.path, one.source.root))
            path = path if one.flag.read_only else self._writable(path)
        self.mounts.append(Mount(one.target, "bind", path, ("rbind", "ro" if one.flag.read_only else "rw")))

    def _copied(self, source: Source, selected: Selection) -> str:
        """What the build may see of its context: without ignored files, owned by root; it is the step's to change."""
        self._number += 1
        directory, work = f"{self._scratch}/{self._number}", f"{self._scratch}/{self._number}-work"
        os.mkdir(directory, 0o755)
        os.mkdir(work, 0o700)
        if os.path.isdir(selected.path):
            copy_into_layer(Copy(source, (selected,), "/", None), "", directory, work, _nowhere)
            return directory
        copy_into_layer(Copy(source, (selected,), "/file", None), "", directory, work, _nowhere)
        return f"{directory}/file"

    def _writable(self, path: str) -> str:
        """The same, with changes that are thrown away."""
        self._number += 1
        upper, work = f"{self._scratch}/{self._number}", f"{self._scratch}/{self._number}-work"
        os.mkdir(work, 0o700)
        if os.path.isdir(path):
            os.mkdir(upper, 0o755)
            place = self._place(directory=True)
            overlay([path], upper, work, place, volatile=True)
            return place
        status = os.stat(path)
        with open(path, "rb") as original, open(upper, "xb") as copy:
            while data := original.read(1 << 20):
                copy.write(data)
        os.chown(upper, status.st_uid, status.st_gid)
        os.chmod(upper, stat.S_IMODE(status.st_mode))
        return upper

    def _lock_caches(self) -> None:
        """Lock each cache once, in one order for all steps of the machine, so that none waits for another for ever."""
        for one in sorted((one for one in self._wanted if one.flag.kind == "cache"), key=lambda one: one.name):
            if one.name not in self._held:
                self._held[one.name] = self._caches.use(one.name, one.flag.sharing, partial(_fill, one))

    def _cache(self, one: StepMount) -> None:
        path = self._bound(self._held[one.name].path, "." if one.source else one.flag.source.lstrip("/") or ".")
        self.mounts.append(Mount(one.target, "bind", path, ("rbind", "ro" if one.flag.read_only else "rw")))

    def _secret(self, one: StepMount) -> None:
        secret = self._secrets.get(one.name)
        if secret is None:
            if one.flag.required:
                raise InvalidInput(
                    f"secret {one.name}: not found", hint=f"give it with --secret id={one.name},src=FILE or env=NAME"
                )
            return
        value = secret.read()
        if one.flag.env:
            self.environment.append(f"{one.flag.env}={value.decode(errors='surrogateescape')}")
        if one.target:
            self._secret_file(one, value)

    def _secret_file(self, one: StepMount, value: bytes) -> None:
        self._number += 1
        path = f"{self._top}/secrets/{self._number}"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
        with open(fd, "wb") as file:
            file.write(value)
            os.fchown(fd, one.flag.uid or 0, one.flag.gid or 0)
            os.fchmod(fd, 0o400 if one.flag.mode is None else one.flag.mode)
        self.mounts.append(Mount(one.target, "bind", path, _SECRET))


def _nowhere(_: bytes) -> None:
    """The archive of what is only mounted."""


def _fill(one: StepMount, directory: str) -> None:
    """What a new cache begins with: a copy of its source, or nothing, owned as the mount says."""
    flag = one.flag
    os.chmod(directory, 0o755 if flag.mode is None else flag.mode)
    os.chown(directory, flag.uid or 0, flag.gid or 0)
    if one.source is None or one.selected is None:
        return
    if not os.path.isdir(one.selected.path):
        raise InvalidInput(f"the source of a cache mount must be a directory: {flag.source}")
    work = f"{directory}.work"
    os.mkdir(work, 0o700)
    try:
        copy_into_layer(Copy(one.source, (one.selected,), "/", None), "", directory, work, _nowhere)
    finally:
        os.rmdir(work)
