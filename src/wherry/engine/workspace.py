"""Places where a build step runs: a root mount, a network, a runtime container, none of which outlives its process.

A workspace's lock is held while its process lives. `Workspaces.sweep` takes apart those whose lock nobody holds, so a
build that was killed leaves no mount, address or process behind the next command.
"""

from __future__ import annotations

import os

from wherry.base.files import ensure_directory, remove_tree
from wherry.base.locks import FileLock
from wherry.kernel import cgroups
from wherry.kernel.mounts import unmount_below

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.base.paths import Layout
    from wherry.engine.networks import Networks
    from wherry.network import Firewall
    from wherry.runtime import OciRuntime

__all__ = ["Workspace", "Workspaces"]


class Workspaces:
    """The workspaces of one installation."""

    def __init__(
        self, layout: Layout, networks: Networks, firewall: Callable[[], Firewall], runtime: Callable[[], OciRuntime]
    ) -> None:
        self.layout = layout
        self.networks = networks
        self.firewall = firewall
        self.runtime = runtime
        self._root = f"{layout.run}/builds"

    def open(self) -> Workspace:
        """A new one, as a context."""
        ensure_directory(self._root, 0o711)
        return Workspace(self, self._root, os.urandom(6).hex())

    def sweep(self) -> None:
        """Take apart what dead processes left; cheap where there is nothing."""
        try:
            names = os.listdir(self._root)
        except FileNotFoundError:
            return
        for name in names:
            if name.endswith(".lock"):
                self._sweep_one(name.removesuffix(".lock"))

    def _sweep_one(self, name: str) -> None:
        try:
            with FileLock(f"{self._root}/{name}.lock", wait=False) as lock:
                Workspace(self, self._root, name).take_apart()
                lock.remove()
        except BlockingIOError:
            pass


class Workspace:
    """One place; `directory` is for its owner's mounts and files."""

    def __init__(self, owner: Workspaces, root: str, name: str) -> None:
        self._owner = owner
        self.id = f"build-{name}"
        self.directory = f"{root}/{name}"
        self._lock = FileLock(f"{root}/{name}.lock")

    def __enter__(self) -> Workspace:
        self._lock.acquire()
        ensure_directory(self.directory, 0o711)
        return self

    def __exit__(self, *_: object) -> None:
        self.take_apart()
        self._lock.remove()
        self._lock.release()

    @property
    def cgroup(self) -> str:
        """The control group of what runs here."""
        return cgroups.cgroup_path(self._owner.layout.tag, self.id)

    def runtime(self) -> OciRuntime:
        """The OCI runtime to run steps with."""
        return self._owner.runtime()

    def subdirectory(self, name: str) -> str:
        """An empty directory for a mount point."""
        return ensure_directory(f"{self.directory}/{name}", 0o755)

    def network(self, mode: str) -> str:
        """The path of a network namespace for a step (`default` or `none`); empty for the host's network."""
        from wherry.network import Cable, Endpoint, connect
        from wherry.network.bridge import mac_of

        if mode == "host":
            return ""
        namespace = f"{self.directory}/netns-{mode}"
        if os.path.exists(namespace):
            return namespace
        if mode == "none":
            connect(Endpoint(self.id, namespace))
            return namespace
        network = self._owner.networks.default()
        address = self._owner.networks.take_address(network, self.id)
        self._owner.firewall().hold(network.as_bridge())
        cable = Cable(0, network.bridge, address, network.prefix, mac_of(address))
        name = self.id.removeprefix("build-")
        connect(Endpoint(name, namespace, (cable,), network.gateway, self._owner.layout.tag))
        return namespace

    def _disconnect(self, namespace: str) -> None:
        if os.path.exists(namespace):
            from wherry.network import disconnect  # what most builds do without

            disconnect(namespace)

    def kill_step(self) -> None:
        """Kill the processes of the step that another thread runs here; that thread takes the rest apart.

        What is only just being started may be missed: call it until the step has ended.
        """
        import signal

        for pid in cgroups.process_ids(self.cgroup):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def end_step(self) -> None:
        """Kill what a step left running and forget its container."""
        if os.path.isdir(f"{self._owner.layout.run}/runtime/{self.id}"):
            self._owner.runtime().delete(self.id, self.cgroup)
        cgroups.remove(self.cgroup)

    def take_apart(self) -> None:
        """Free everything; harmless where nothing is left."""
        self.end_step()
        unmount_below(self.directory)
        for mode in ("default", "none"):
            self._disconnect(f"{self.directory}/netns-{mode}")
        self._owner.networks.free_addresses(self.id)
        remove_tree(self.directory, on_busy=unmount_below)
