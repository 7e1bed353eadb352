"""A container's files as its processes see them, running or not: an open directory that everything is found below.

Of a running container that is its own root, with all its mounts. Of a stopped one it is put together in a workspace:
the overlay, its volumes and binds, the files that names are resolved by; the container's lock is held meanwhile, so
that it does not start. A tmpfs has no content without its container and is shown empty, for reading alone.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager

from wherry.base.errors import Conflict, NotFound
from wherry.engine.mounting import fill_volumes
from wherry.kernel.mounts import MS_BIND, MS_RDONLY, MS_REMOUNT, bind, mount
from wherry.kernel.rooted import open_in_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from wherry.base.paths import Layout
    from wherry.engine.assembly import Assembly
    from wherry.engine.records import Container, ContainerRecords
    from wherry.engine.volumes import Volumes
    from wherry.engine.workspace import Workspaces

__all__ = ["RootViews"]

_PATH = os.O_PATH | os.O_CLOEXEC


class RootViews:
    """Opens views of the containers of one installation."""

    def __init__(
        self, layout: Layout, records: ContainerRecords, assembly: Assembly, volumes: Volumes, workspaces: Workspaces
    ) -> None:
        self._layout = layout
        self._records = records
        self._assembly = assembly
        self._volumes = volumes
        self._workspaces = workspaces

    @contextmanager
    def open(self, container: Container, *, mounts: bool = True) -> Iterator[int]:
        """The container's root, for as long as the context lasts; without `mounts`, its own layer and image alone."""
        with self._records.lock(container.id) as lock:
            current = self._records.get(container.id)
            if current is None:
                lock.remove()
                raise NotFound(f"No such container: {container.name}")
            if not current.state.is_running:
                with self._assembled(current, mounts=mounts) as root:
                    yield root
                return
            root = self._running(current) if mounts else self._own(current)
        try:
            yield root
        finally:
            os.close(root)

    def _own(self, container: Container) -> int:
        return os.open(f"{self._layout.container_run(container.id)}/rootfs", os.O_RDONLY | os.O_DIRECTORY)

    def _running(self, container: Container) -> int:
        """Through the container's first process; the open directory in /proc is of no later process of that number."""
        gone = Conflict(f"Container {container.name} has just ended", hint="try again")
        try:
            process = os.open(f"/proc/{container.state.pid}", _PATH | os.O_DIRECTORY)
        except OSError:
            raise gone from None
        try:
            root = os.open("root", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=process)
            with open(os.open("cgroup", os.O_RDONLY | os.O_CLOEXEC, dir_fd=process), encoding="ascii") as groups:
                if container.id in groups.read():
                    return root
            os.close(root)
            raise gone
        except (ProcessLookupError, FileNotFoundError):
            raise gone from None
        finally:
            os.close(process)

    @contextmanager
    def _assembled(self, container: Container, *, mounts: bool) -> Iterator[int]:
        with self._workspaces.open() as workspace:
            place = workspace.subdirectory("root")
            self._assembly.mount_root(container, place)
            root = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                if mounts:
                    self._mount(container, root, place)
                yield root
            finally:
                os.close(root)

    def _mount(self, container: Container, root: int, place: str) -> None:
        recorded = self._records.mounts(container.id)
        fill_volumes(recorded, place, self._volumes)
        names = [
            {"kind": "bind", "path": f"{self._layout.container(container.id)}/{name}", "target": f"/etc/{name}"}
            for name in ("resolv.conf", "hostname", "hosts")
        ]
        named = [each for each in names if os.path.exists(str(each["path"]))]
        for each in [*named, *sorted(recorded, key=lambda each: str(each["target"]).count("/"))]:
            _attach(root, each)


def _attach(root: int, recorded: dict[str, Any]) -> None:
    """Mount one volume, bind or tmpfs on its target, which is made where it is missing and can be."""
    target, source = str(recorded["target"]), str(recorded.get("path", ""))
    is_directory = recorded["kind"] == "tmpfs" or os.path.isdir(source)
    try:
        point = _mount_point(root, target, is_directory=is_directory)
    except OSError as error:
        if error.errno == errno.EROFS:
            return  # a read-only container that never ran has no place for it
        raise
    try:
        if recorded["kind"] == "tmpfs":
            mount("tmpfs", f"/proc/self/fd/{point}", "tmpfs", MS_RDONLY)
            return
        bind(source, f"/proc/self/fd/{point}")
    finally:
        os.close(point)
    if recorded.get("read_only"):
        point = open_in_root(root, target, _PATH)
        try:
            mount("", f"/proc/self/fd/{point}", "", MS_BIND | MS_REMOUNT | MS_RDONLY)
        finally:
            os.close(point)


def _mount_point(root: int, target: str, *, is_directory: bool) -> int:
    try:
        return open_in_root(root, target, _PATH)
    except FileNotFoundError:
        if target == "/":
            raise
    parent = _mount_point(root, os.path.dirname(target), is_directory=True)
    try:
        name = os.path.basename(target)
        if is_directory:
            os.mkdir(name, 0o755, dir_fd=parent)
        else:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644, dir_fd=parent))
    finally:
        os.close(parent)
    return open_in_root(root, target, _PATH)
