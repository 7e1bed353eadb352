"""Containers as users see them: the verbs of `docker container`, over records, lifecycle and runtime."""

from __future__ import annotations

import os

from wherry.base.errors import Conflict, InvalidInput, NotFound, WherryError
from wherry.base.locks import FileLock
from wherry.base.values import NamedTuple
from wherry.engine.background import spawn_restart
from wherry.engine.lifecycle import RESTARTING
from wherry.engine.specification import granted_capabilities

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from wherry.base.paths import Layout
    from wherry.base.progress import Sink
    from wherry.engine.assembly import Assembly
    from wherry.engine.images import Images
    from wherry.engine.lifecycle import Lifecycle
    from wherry.engine.records import Container, ContainerRecords
    from wherry.engine.request import ContainerRequest, ExecRequest
    from wherry.runtime import OciRuntime
    from wherry.runtime.attachment import Attachment
    from wherry.runtime.logs import LogRecord

__all__ = ["Containers", "Streams"]


class Streams(NamedTuple):
    """The caller's descriptors; `stdin` None for none. `started` is called with the attachment once it runs."""

    stdin: int | None
    stdout: int = 1
    stderr: int = 2
    detach_keys: bytes = b""
    started: Callable[[str, Attachment], None] | None = None


class Containers:
    """The containers of one installation."""

    def __init__(
        self,
        layout: Layout,
        records: ContainerRecords,
        lifecycle: Lifecycle,
        assembly: Assembly,
        images: Images,
        runtime: Callable[[], OciRuntime],
    ) -> None:
        self._layout = layout
        self._records = records
        self._lifecycle = lifecycle
        self._assembly = assembly
        self._images = images
        self._runtime = runtime

    def resolve(self, text: str) -> Container:
        """By name, identifier or unique beginning. Raises NotFound (`No such container: ...`)."""
        return self._records.resolve(text)

    def all(self) -> list[Container]:
        """Every container, the newest first."""
        return self._records.all()

    def create(self, request: ContainerRequest, progress: Sink) -> str:
        """Make a container, fetching its image where `request.pull` allows; its identifier."""
        return self._lifecycle.create(request, self._image(request, progress))

    def _image(self, request: ContainerRequest, progress: Sink) -> Any:
        if request.pull != "always":
            try:
                return self._images.resolve(request.image)
            except NotFound:
                if request.pull == "never":
                    raise
        return self._images.pull(request.image, platform=request.platform, progress=progress)

    def start(self, container_id: str) -> None:
        """Start it in the background."""
        self._lifecycle.start(container_id)

    def run_attached(self, container_id: str, streams: Streams) -> int | None:
        """Start it and stay attached until it ends: its exit code, or None where the user detached.

        This process sees to the container's end itself; if it dies, the monitor's exit command does.
        """
        bundle = self._layout.container_run(container_id)
        os.makedirs(bundle, mode=0o711, exist_ok=True)
        with FileLock(f"{bundle}/attended"):
            attachment = self._lifecycle.start(container_id, attach=True)
            if attachment is None:
                raise WherryError(f"cannot attach to {container_id[:12]}")
            if not self._stream(container_id, attachment, streams):
                return None
            self._runtime().wait(container_id, timeout=None)
            code = self._lifecycle.ended(container_id)
        self._restart_in_background(container_id)
        return code

    def _restart_in_background(self, container_id: str) -> None:
        container = self._records.get(container_id)
        if container is not None and container.state.status == "restarting":
            spawn_restart(self._layout, container_id)

    def _stream(self, container_id: str, attachment: Attachment, streams: Streams) -> bool:
        try:
            if streams.started is not None:
                streams.started(container_id, attachment)
            return attachment.stream(streams.stdin, streams.stdout, streams.stderr, detach_keys=streams.detach_keys)
        finally:
            attachment.close()

    def attach(self, container_id: str, streams: Streams) -> int | None:
        """Attach to a running container until it ends: its exit code, or None where the user detached."""
        container = self.resolve(container_id)
        if container.state.status == "restarting":
            raise Conflict("You cannot attach to a restarting container, wait until it is running")
        if not container.state.is_running:
            raise Conflict("You cannot attach to a stopped container, start it first")
        if container.state.status == "paused":
            raise Conflict("You cannot attach to a paused container, unpause it first")
        if not self._stream(container.id, self._runtime().attach(container.id), streams):
            return None
        return self.wait(container.id)

    def wait(self, container_id: str) -> int:
        """Block until the container has ended; its exit code. One that is restarting runs first."""
        container = self._lifecycle.wait_for_restart(container_id)
        while container is not None and container.state.is_running:
            self._runtime().wait(container_id, timeout=None)
            code = self._lifecycle.ended(container_id)
            container = self._records.get(container_id)
            if container is None:
                return code
        return container.state.exit_code if container is not None else 0

    def signal(self, container_id: str, signal: str) -> None:
        """Pass a signal on, to a container that may have ended meanwhile."""
        try:
            self._runtime().kill(container_id, signal)
        except WherryError:
            return

    def logs(
        self, container_id: str, *, follow: bool = False, tail: int = -1, since: int = 0, until: int = 0
    ) -> Iterator[LogRecord]:
        """What the container wrote: times in nanoseconds, `tail` in lines (-1 for all)."""
        from wherry.runtime.logs import read_log

        def end_fd() -> int:
            container = self._records.get(container_id)
            if container is None or not container.state.is_running:
                return -1
            try:
                return os.pidfd_open(container.state.monitor_pid)
            except OSError:
                return -1

        return read_log(
            f"{self._layout.container(container_id)}/log",
            follow=follow,
            tail=tail,
            since=since,
            until=until,
            is_running=lambda: self._lifecycle.is_alive(container_id),
            end_fd=end_fd,
        )

    def execute(self, container_id: str, request: ExecRequest, streams: tuple[int, int, int] | None = None) -> int:
        """Run a further command in a running container, on this process's own streams or `streams`; its exit code."""
        from wherry.engine.executing import exec_process
        from wherry.runtime.execution import execute

        container = self.resolve(container_id)
        if container.state.status == "restarting":
            raise Conflict(RESTARTING.format(container.id))
        if container.state.status == "paused":
            raise Conflict(f"Container {container.name} is paused, unpause the container before exec")
        if not container.state.is_running:
            raise Conflict(f"Container {container.id} is not running", hint="start it first: wherry start")
        rootfs = f"{self._layout.container_run(container.id)}/rootfs"
        process = exec_process(container.request, self._assembly.process_configuration(container), request, rootfs)
        return execute(
            self._runtime(),
            container.id,
            process,
            detached=request.detached,
            stdin=request.stdin_open or request.tty,
            streams=streams,
        )

    def top(self, container_id: str, arguments: tuple[str, ...]) -> tuple[list[str], list[list[str]]]:
        """Titles and rows of the host's `ps`, limited to the container's processes."""
        from wherry.engine.processes import list_processes
        from wherry.kernel.cgroups import process_ids

        container = self.resolve(container_id)
        if not container.state.is_running:
            raise Conflict(f"Container {container.id} is not running")
        return list_processes(process_ids(self._assembly.cgroup(container.id)), arguments)

    def inspect(self, text: str) -> dict[str, Any]:
        """What `docker container inspect` prints for it."""
        from wherry.engine.inspection import inspect_container

        container = self.resolve(text)
        return inspect_container(
            container,
            self._assembly.configuration(container),
            self._records.mounts(container.id),
            self._records.health.results(container.id) if container.state.health else (),
            directory=self._layout.container(container.id),
            clamped=granted_capabilities(container.request)[1],
            runtime=self._runtime().name,
        )

    def environment(self, text: str) -> tuple[str, ...]:
        """What its processes find in their environment, secrets among it, which are not to be shown."""
        return self._assembly.process_configuration(self.resolve(text)).environment

    def command(self, container: Container) -> tuple[str, ...]:
        """What it runs, for lists."""
        return self._assembly.configuration(container).args

    def labels(self, container: Container) -> dict[str, str]:
        """Its own labels and its image's."""
        return self._assembly.configuration(container).labels

    def exposed(self, container: Container) -> tuple[str, ...]:
        """The ports (`80/tcp`) that it exposes or publishes; none while it has no address to reach them at."""
        return self._assembly.configuration(container).exposed_ports if container.network.address else ()

    def mounts(self, container: Container) -> list[dict[str, Any]]:
        """What it has mounted, as recorded."""
        return self._records.mounts(container.id)

    def writable_size(self, container: Container) -> int:
        """Bytes of disk that its own layer takes."""
        from wherry.engine.system import tree_size

        return tree_size(f"{self._layout.container(container.id)}/upper")

    def rename(self, text: str, name: str) -> None:
        """Raises Conflict where another container has the name."""
        from wherry.engine.naming import check_name

        if not name:
            raise InvalidInput("Neither old nor new names may be empty")
        container = self.resolve(text)
        if check_name(name) == container.name:
            raise Conflict("Renaming a container with the same name as its current name")
        self._records.rename(container.id, check_name(name))
        self._assembly.renamed(container)

    def prune(self, keep: Callable[[Container], bool] = lambda _: False) -> tuple[list[str], int]:
        """Remove every stopped container that `keep` does not speak for; identifiers and freed bytes."""
        removed, freed = [], 0
        for container in self.all():
            if container.state.status not in ("created", "exited", "dead") or keep(container):
                continue
            freed += self.writable_size(container)
            self._lifecycle.remove(container.id)
            removed.append(container.id)
        return removed, freed
