"""Putting a container's parts together, and taking them apart again.

Parts: the root file system (an overlay mount), the network (address, namespace, cable, ports), the files that names
are resolved by, and the bundle. Taking apart is idempotent and needs only the container's row.
"""

from __future__ import annotations

import os

from wherry.base.errors import Conflict
from wherry.base.files import ensure_directory, remove_tree
from wherry.engine.admission import check_request
from wherry.engine.background import own_command
from wherry.engine.configuration import configure, merge_environment
from wherry.engine.connecting import close_all
from wherry.engine.mounting import decide_mounts, fill_volumes, spec_mounts
from wherry.engine.specification import build_request, granted_capabilities
from wherry.kernel import cgroups
from wherry.kernel.mounts import overlay, unmount_below
from wherry.oci.runtime_spec import Mount, build_spec
from wherry.runtime import Launch
from wherry.runtime.monitor import is_monitored, kill_monitor
from wherry.runtime.users import resolve_user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from wherry.base.paths import Layout
    from wherry.engine.configuration import Configuration
    from wherry.engine.connecting import Connections, Ready
    from wherry.engine.records import Container, ContainerRecords
    from wherry.engine.request import ContainerRequest
    from wherry.engine.volumes import Volumes
    from wherry.runtime import OciRuntime, State
    from wherry.store import Image, Store

__all__ = ["Assembly"]

# Run by conmon when the container has ended. A process that attends to the container (a foreground `run`) holds the
# lock `attended` and sees to the end itself; the shell does not wait, so that the monitor lets go of its ports.
_AT_END = (
    'if [ -e "$1/attended" ]; then flock -n 9 9<"$1/attended" || exit 0; fi; shift; "$@" </dev/null >/dev/null 2>&1 &'
)


class Assembly:
    """Knows every part of the machine that a container touches."""

    def __init__(
        self,
        layout: Layout,
        store: Store,
        records: ContainerRecords,
        connections: Connections,
        volumes: Volumes,
        runtime: Callable[[], OciRuntime],
    ) -> None:
        self._layout = layout
        self._store = store
        self._records = records
        self._connections = connections
        self._volumes = volumes
        self._runtime = runtime

    def configuration(self, container: Container) -> Configuration:
        """What the container runs with."""
        image = self._store.images.by_identifier(container.image_id)
        return configure(container.id, container.request, self._store.images.config(image).config)

    def process_configuration(self, container: Container) -> Configuration:
        """`configuration` with the secret variables, which its processes alone see. Raises Conflict without them."""
        config, path = self.configuration(container), container.request.secret_environment
        if not path:
            return config
        return config._replace(environment=merge_environment(config.environment, _read_variables(path)))

    def check(self, request: ContainerRequest, image: Image) -> None:
        """Raise what can be known to be wrong before anything is made."""
        check_request(request)
        configure("0" * 64, request, self._store.images.config(image).config)
        granted_capabilities(request)
        self._connections.check(request)

    def lay_out(self, container: Container) -> None:
        """Make what survives the container's runs: its writable layer and its volumes."""
        directory = self._layout.container(container.id)
        ensure_directory(directory, 0o710)
        ensure_directory(f"{directory}/upper", 0o755)
        ensure_directory(f"{directory}/work", 0o700)
        config = self.configuration(container)
        self._records.set_mounts(container.id, decide_mounts(container.request, config, self._volumes, self._records))

    def put_together(self, container: Container) -> Ready:
        """Mount, connect, publish and write the bundle. What was done before an error, `take_apart` undoes."""
        directory, bundle = self._layout.container(container.id), self._layout.container_run(container.id)
        ensure_directory(bundle, 0o711)
        rootfs = f"{bundle}/rootfs"
        ensure_directory(rootfs, 0o755)
        self._mount_root(container, rootfs, passing=container.request.auto_remove)
        config = self.process_configuration(container)
        ready = self._connections.connect(container, config, bundle)
        try:
            self._connections.write_names(container, config.hostname, ready.network)
            mounts = self._records.mounts(container.id)
            fill_volumes(mounts, rootfs, self._volumes)
            request = build_request(
                container.request,
                config,
                user=resolve_user(rootfs, config.user, container.request.group_add),
                rootfs=rootfs,
                cgroup=self.cgroup(container.id),
                namespaces=self._namespaces(container, bundle),
                mounts=spec_mounts(mounts, self._name_mounts(container, directory)),
            )
            self._runtime().write_bundle(container.id, build_spec(request))
            self._write_check(container, config, bundle)
        except BaseException:
            ready.abandon()
            raise
        return ready

    def _write_check(self, container: Container, config: Configuration, bundle: str) -> None:
        """Leave word in the bundle of how the container's health is checked, where it is."""
        check = config.check
        if check is None:
            return
        from wherry.engine.executing import exec_process
        from wherry.engine.healthmonitor import write_check
        from wherry.engine.request import ExecRequest

        process = exec_process(container.request, config, ExecRequest(check.command), f"{bundle}/rootfs")
        write_check(bundle, self._runtime().command(), check, process)

    def is_checked(self, container_id: str) -> bool:
        """Whether the health of this run of the container is checked."""
        return os.path.exists(f"{self._layout.container_run(container_id)}/health.json")

    def lowers(self, container: Container) -> list[str]:
        """The layers that its own is above, the topmost first; never none."""
        lowers = self._store.snapshots.lowers(container.chain_id)
        return lowers or [_empty(self._layout.container(container.id))]

    def upper(self, container: Container) -> str:
        """Its own layer."""
        return f"{self._layout.container(container.id)}/upper"

    def mount_root(self, container: Container, target: str) -> None:
        """Mount the root of a container that does not run, without its volumes; read-only where the container is."""
        if container.request.read_only:
            overlay([self.upper(container), *self.lowers(container)], "", "", target)
        else:
            self._mount_root(container, target)

    def _mount_root(self, container: Container, target: str, *, passing: bool = False) -> None:
        """`passing`: nothing of it has to survive a power cut."""
        directory = self._layout.container(container.id)
        if container.request.auto_remove:
            remove_tree(f"{directory}/work/work")  # with the mark of a start that failed
        overlay(self.lowers(container), f"{directory}/upper", f"{directory}/work", target, volatile=passing)

    def cgroup(self, container_id: str) -> str:
        """The container's control group."""
        return cgroups.cgroup_path(self._layout.tag, container_id)

    def _namespaces(self, container: Container, bundle: str) -> dict[str, str]:
        request = container.request
        namespaces = {"mount": "", "pid": "", "ipc": "", "uts": "", "network": f"{bundle}/netns"}
        if cgroups.version() == "v2" and request.cgroup_mode != "host":
            namespaces["cgroup"] = ""
        shared = {"pid": request.pid_mode, "ipc": request.ipc_mode, "uts": request.uts_mode, "network": request.network}
        for kind, mode in shared.items():
            if mode == "host":
                del namespaces[kind]
            elif mode.startswith("container:"):
                namespaces[kind] = self._namespace_of(mode.partition(":")[2], "net" if kind == "network" else kind)
        return namespaces

    def _namespace_of(self, name: str, kind: str) -> str:
        other = self._records.resolve(name)
        if not other.state.is_running:
            raise Conflict(f"cannot join the namespaces of a non running container: {other.id}")
        if kind == "ipc" and other.request.ipc_mode not in ("shareable", "host"):
            raise Conflict(
                f"can't join IPC of container {other.id}: non-shareable IPC",
                hint="start that container with --ipc shareable",
            )
        return f"/proc/{other.state.pid}/ns/{kind}"

    def _name_mounts(self, container: Container, directory: str) -> list[Mount]:
        mode = container.request.network
        if mode.startswith("container:"):
            directory = self._layout.container(self._records.resolve(mode.partition(":")[2]).id)
        names = ("resolv.conf", "hostname", "hosts")
        return [Mount(f"/etc/{name}", "bind", f"{directory}/{name}", ("rbind", "rprivate")) for name in names]

    def launch(self, container: Container, ready: Ready, *, attach: bool = False) -> State:
        """Create the container under its monitor, which takes over the descriptors of `ready`.

        What can be done while the runtime works is done then: the wiring, and what attaching will need.
        """

        def meanwhile() -> None:
            ready.wire()
            if attach:
                self._runtime().prepare_attach()

        bundle = self._layout.container_run(container.id)
        request = container.request
        at_end = ("/bin/sh", "-c", _AT_END, "sh", bundle, *own_command(self._layout, "ended", container.id))
        try:
            return self._runtime().create(
                Launch(
                    container.id,
                    f"{self._layout.container(container.id)}/log",
                    at_end,
                    terminal=request.tty,
                    stdin_open=request.stdin_open,
                    keep_stdin=request.stdin_open and (request.detached or request.tty),
                    log_driver="none" if request.log_driver == "none" else "k8s-file",
                    kept=ready.kept,
                ),
                meanwhile=meanwhile,
            )
        finally:
            close_all(ready.kept)

    def was_oom_killed(self, container: Container) -> bool:
        """Whether the kernel killed it for want of memory; to be asked before it is taken apart."""
        return os.path.exists(f"{self._layout.container_run(container.id)}/oom") or cgroups.is_oom_killed(
            self.cgroup(container.id)
        )

    def take_apart(self, container: Container) -> None:
        """Free everything that a run of the container holds; harmless where nothing is left."""
        from wherry.network import disconnect, stop_relay

        bundle = self._layout.container_run(container.id)
        if os.path.isdir(bundle):
            self._stop_monitor(bundle)
            stop_relay(f"{bundle}/relay")
            self._runtime().delete(container.id, self.cgroup(container.id))
            unmount_below(f"{bundle}/rootfs")
            disconnect(f"{bundle}/netns")
        self._connections.disconnect(self._records.get(container.id) or container)
        remove_tree(bundle, on_busy=unmount_below)

    def renamed(self, container: Container) -> None:
        """Let others find it by its new name."""
        self._connections.refresh_names(container.network)

    def is_monitored(self, container_id: str) -> bool:
        """Whether the container's monitor lives."""
        return is_monitored(self._layout.container_run(container_id))

    def _stop_monitor(self, bundle: str) -> None:
        """Kill a monitor that still lives although its container is being taken apart."""
        if is_monitored(bundle):
            kill_monitor(bundle)

    def remove_anonymous(self, mounts: list[dict[str, Any]]) -> None:
        """Remove the anonymous volumes among `mounts` that no other container uses."""
        for mount in mounts:
            if mount.get("anonymous") and not self._volumes.is_used(mount["name"]):
                self._volumes.remove(mount["name"], force=True)


def _read_variables(path: str) -> tuple[str, ...]:
    try:
        with open(path, "rb") as file:
            return tuple(entry.decode(errors="surrogateescape") for entry in file.read().split(b"\0") if entry)
    except FileNotFoundError:
        raise Conflict(
            "the secret variables of the container are gone",
            hint="they are kept in memory alone, and whoever made it gives them again: wherry env recover",
        ) from None


def _empty(directory: str) -> str:
    """A lower directory for an image without layers."""
    return ensure_directory(f"{directory}/empty", 0o755)
