"""One installation, opened: its parts, wired together once."""

from __future__ import annotations

import os

from wherry.base.clock import system_clock
from wherry.engine.assembly import Assembly
from wherry.engine.cache_mounts import CacheMounts
from wherry.engine.connecting import Connections
from wherry.engine.containers import Containers
from wherry.engine.exchange import Exchange
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
    from wherry.engine.containerfiles import ContainerFiles
    from wherry.engine.networkverbs import NetworkVerbs
    from wherry.engine.records import Container
    from wherry.engine.system import Pruned
    from wherry.engine.volumes import Volume
    from wherry.network import Firewall
    from wherry.network.dns import NameServer
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
        self._firewall: Firewall | None = None
        records = self._records = ContainerRecords(store.database, layout)
        self.networks = Networks(store.database, layout, clock)
        self.volumes = Volumes(store.database, layout, clock, records.volume_users)
        self._connections = Connections(layout, records, self.networks, self.firewall, self.names)
        self._assembly = Assembly(layout, store, records, self._connections, self.volumes, self.runtime)
        self.cache_mounts = CacheMounts(layout)
        self.workspaces = Workspaces(layout, self.networks, self.firewall, self.runtime)
        self.lifecycle = Lifecycle(layout, store, records, self._assembly, self.runtime, clock)
        self.exchange = Exchange(store, layout.root, os.environ)
        self.images = Images(store, records, self.exchange)
        self.containers = Containers(layout, records, self.lifecycle, self._assembly, self.images, self.runtime)

    def runtime(self) -> OciRuntime:
        """The OCI runtime that works on this machine; found when it is first needed."""
        if self._runtime is None:
            from wherry.runtime import OciRuntime
            from wherry.runtime.probe import find_runtime

            self._runtime = OciRuntime(self.layout, find_runtime(self.layout.root, self.layout.run))
        return self._runtime

    def firewall(self) -> Firewall:
        """The installation's rules, for its networks and for the ports that are published now."""
        if self._firewall is None:
            from wherry.network import Firewall, Wanted

            records, networks = self._records, self.networks
            self._firewall = Firewall(self.layout, lambda: Wanted(networks.bridges(), records.publications()))
        return self._firewall

    @property
    def files(self) -> ContainerFiles:
        """The files of containers."""
        from wherry.engine.containerfiles import ContainerFiles
        from wherry.engine.rootviews import RootViews

        views = RootViews(self.layout, self._records, self._assembly, self.volumes, self.workspaces)
        return ContainerFiles(self._records, self._assembly, views)

    @property
    def network_verbs(self) -> NetworkVerbs:
        """What users do with networks."""
        from wherry.engine.networkverbs import NetworkVerbs

        return NetworkVerbs(self.layout, self._records, self.networks, self._connections, self._assembly, self.firewall)

    def names(self) -> NameServer:
        """What answers for names on the networks of users."""
        from wherry.engine.connecting import zones_of
        from wherry.network.dns import NameServer

        records, networks = self._records, self.networks
        return NameServer(self.layout, lambda: zones_of(networks.all(), records.joined()))

    def repair(self) -> None:
        """Bring to rest what dead processes left."""
        self.lifecycle.repair()
        self.workspaces.sweep()
        if self.networks.retired():
            self.network_verbs.sweep()
        if os.path.isdir(f"{self.layout.run}/network/names"):
            self.names().repair()

    def prune_volumes(
        self, *, every: bool = False, keep: Callable[[Volume], bool] = lambda _: False
    ) -> tuple[list[str], int]:
        """Remove volumes that no container mounts (only anonymous ones unless `every`); names and freed bytes.

        Those that `keep` speaks for stay.
        """
        from wherry.engine.system import tree_size

        removed, freed = [], 0
        for volume in self.volumes.all():
            if (every or volume.anonymous) and not keep(volume) and not self.volumes.is_used(volume.name):
                freed += tree_size(volume.path)
                self.volumes.remove(volume.name)
                removed.append(volume.name)
        self.volumes.sweep()
        return removed, freed

    def prune(self, *, every: bool, volumes: bool, keep: Callable[[Container], bool]) -> Pruned:
        """Remove stopped containers that `keep` does not speak for, unused images, anonymous volumes."""
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
        engine.repair()
    return engine
