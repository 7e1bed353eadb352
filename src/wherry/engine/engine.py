"""One installation, opened: its parts, wired together once."""

from __future__ import annotations

from wherry.base.clock import system_clock
from wherry.engine.assembly import Assembly
from wherry.engine.cache_mounts import CacheMounts
from wherry.engine.containers import Containers
from wherry.engine.images import Images
from wherry.engine.lifecycle import Lifecycle, prepare_directories
from wherry.engine.networks import Networks
from wherry.engine.records import ContainerRecords
from wherry.engine.volumes import Volumes
from wherry.engine.workspace import Workspaces
from wherry.store import open_store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.base.paths import Layout
    from wherry.engine.records import Container
    from wherry.engine.system import Pruned
    from wherry.runtime import OciRuntime
    from wherry.store import Store

__all__ = ["Engine", "open_engine"]


class Engine:
    """What the command line and the servers use."""

    def __init__(self, layout: Layout, store: Store, clock: Callable[[], int]) -> None:
        prepare_directories(layout)
        self.layout = layout
        self.store = store
        self._runtime: OciRuntime | None = None
        records = ContainerRecords(store.database, layout)
        self.networks = Networks(store.database, layout, clock)
        self.volumes = Volumes(store.database, layout, clock, records.volume_users)
        assembly = Assembly(layout, store, records, self.networks, self.volumes, self.runtime)
        self.cache_mounts = CacheMounts(layout)
        self.workspaces = Workspaces(layout, self.networks, self.runtime)
        self.lifecycle = Lifecycle(layout, store, records, assembly, self.runtime, clock)
        self.images = Images(store, records)
        self.containers = Containers(layout, records, self.lifecycle, assembly, self.images, self.runtime)

    def runtime(self) -> OciRuntime:
        """The OCI runtime that works on this machine; found when it is first needed."""
        if self._runtime is None:
            from wherry.runtime import OciRuntime
            from wherry.runtime.probe import find_runtime

            self._runtime = OciRuntime(self.layout, find_runtime(self.layout.root, self.layout.run))
        return self._runtime

    def prune_volumes(self, *, every: bool = False) -> tuple[list[str], int]:
        """Remove volumes that no container mounts (only anonymous ones unless `every`); names and freed bytes."""
        from wherry.engine.system import tree_size

        removed, freed = [], 0
        for volume in self.volumes.all():
            if (every or volume.anonymous) and not self.volumes.is_used(volume.name):
                freed += tree_size(volume.path)
                self.volumes.remove(volume.name)
                removed.append(volume.name)
        self.volumes.sweep()
        return removed, freed

    def prune(self, *, every: bool, volumes: bool, keep: Callable[[Container], bool]) -> Pruned:
        """Remove stopped containers that `keep` does not speak for, unused images, build cache, anonymous volumes."""
        from wherry.engine.system import Pruned

        containers, freed = self.containers.prune(keep)
        names, more = self.prune_volumes() if volumes else ([], 0)
        removals, most = self.images.prune(every=every)
        lines = tuple(f"{removal.what.lower()}: {removal.name}" for removal in removals)
        return Pruned(tuple(containers), lines, tuple(names), freed + more + most)

    def close(self) -> None:
        """Give the database back."""
        self.store.close()


def open_engine(layout: Layout, clock: Callable[[], int] = system_clock, *, repair: bool = True) -> Engine:
    """Open the installation, made where it is missing; with `repair`, bring to rest what dead processes left."""
    engine = Engine(layout, open_store(layout, clock), clock)
    if repair:
        engine.lifecycle.repair()
        engine.workspaces.sweep()
    return engine
