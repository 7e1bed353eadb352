"""A container's life: create, start, end, stop, remove, and repair after a process that died on the way.

Every change is made under the container's lock, and every resource (mount, namespace, address, rule, monitor) is
named after the container, so that releasing is idempotent and needs only the row. `ended` is what conmon's exit
command calls; whoever notices first that a container has ended may call it too.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext

from wherry.base.errors import CommandNotExecutable, CommandNotFound, Conflict, Unavailable, WherryError
from wherry.base.files import ensure_directory, remove_tree
from wherry.base.locks import FileLock, is_held
from wherry.engine.naming import check_name, generate_name, new_id
from wherry.engine.records import PASSING, Container, ContainerState, NetworkState
from wherry.engine.signals import signal_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from wherry.base.paths import Layout
    from wherry.engine.assembly import Assembly
    from wherry.engine.records import ContainerRecords
    from wherry.engine.request import ContainerRequest
    from wherry.runtime import OciRuntime
    from wherry.runtime.attachment import Attachment
    from wherry.store import Image, Store

__all__ = ["Lifecycle"]

_SECOND = 1_000_000_000
_SIGKILL = 9
_SIGKILL_EXIT = 137


class Lifecycle:
    """Moves containers from state to state. `assembly` puts a container's parts together and takes them apart."""

    def __init__(
        self,
        layout: Layout,
        store: Store,
        records: ContainerRecords,
        assembly: Assembly,
        runtime: Callable[[], OciRuntime],
        clock: Callable[[], int],
    ) -> None:
        self._layout = layout
        self._store = store
        self._records = records
        self._assembly = assembly
        self._runtime = runtime
        self._clock = clock

    @contextmanager
    def _changing(self, container_id: str, *, wait: bool = True) -> Iterator[None]:
        """The container's lock; its file goes when the container is gone."""
        with self._records.lock(container_id, wait=wait) as lock:
            try:
                yield
            finally:
                if self._records.get(container_id) is None:
                    lock.remove()

    def create(self, request: ContainerRequest, image: Image) -> str:
        """Make the container and return its identifier. On any error nothing of it is left."""
        self._assembly.check(request, image)
        chain_id = self._store.unpack(image)
        container_id = new_id()
        with self._changing(container_id):
            container = Container(
                container_id,
                check_name(request.name) if request.name else "",
                request.image,
                image.id,
                chain_id,
                request,
                self._clock(),
                ContainerState("creating"),
                NetworkState(),
            )
            container = self._add(container)
            try:
                self._store.leases.pin(
                    f"container:{container_id}", [("image", image.manifest_digest), ("snapshot", chain_id)]
                )
                self._assembly.lay_out(container)
                self._records.update(container_id, status="created")
            except BaseException:
                self._erase(container)
                raise
        return container_id

    def _add(self, container: Container) -> Container:
        if container.name:
            self._records.add(container)
            return container
        for attempt in range(100):
            named = container._replace(name=generate_name() + (str(attempt) if attempt > 10 else ""))
            try:
                self._records.add(named)
            except Conflict:
                continue
            return named
        named = container._replace(name=container.id[:12])
        self._records.add(named)
        return named

    def start(self, container_id: str, *, attach: bool = False) -> Attachment | None:
        """Start it; that it runs already is fine, except where the caller wants to be attached from the first byte.

        Raises CommandNotFound or CommandNotExecutable where the runtime could not execute the command; the container
        then stays, created, with that error.
        """
        with self._changing(container_id):
            container = self._current(container_id)
            if container.state.is_running:
                if attach:
                    raise Conflict(f"Container {container.name} is already running", hint="use `wherry attach`")
                return None
            if container.state.status in ("removing", "dead"):
                raise Conflict("Container is marked for removal and cannot be started.")
            return self._launch(container, attach=attach, restarts=0)

    def _launch(self, container: Container, *, attach: bool, restarts: int) -> Attachment | None:
        self._records.update(
            container.id, status="starting", stop_wanted=0, error="", restart_count=restarts, oom_killed=0
        )
        attachment = None
        try:
            ready = self._assembly.put_together(container)
            pids = self._assembly.launch(container, ready, attach=attach)
            if attach:
                attachment = self._runtime().attach(container.id)
            self._runtime().start(container.id)
        except BaseException as error:
            if attachment is not None:
                attachment.close()
            self._launch_failed(container, error)
            raise
        self._records.update(
            container.id,
            status="running",
            pid=pids.pid,
            monitor_pid=pids.monitor,
            exit_code=0,
            started=self._clock(),
            finished=0,
            network=ready.network,
        )
        return attachment

    def _launch_failed(self, container: Container, error: BaseException) -> None:
        self._assembly.take_apart(container)
        code = 127 if isinstance(error, CommandNotFound) else 126 if isinstance(error, CommandNotExecutable) else 128
        message = error.message if isinstance(error, WherryError) else repr(error)
        was_started = bool(container.state.started)
        self._records.update(
            container.id, status="exited" if was_started else "created", exit_code=code, error=message, pid=0
        )

    def ended(self, container_id: str, *, restart: bool = True) -> int:
        """Record that the container has ended, free what it held and obey its restart policy; return its exit code.

        Harmless where it has not ended, or where that is recorded already.
        """
        with self._changing(container_id):
            container = self._records.get(container_id)
            if container is None:
                return 0
            if not container.state.is_running or self.is_alive(container_id):
                return container.state.exit_code
            container = self._record_end(container)
            if container.state.status == "restarting" and restart:
                return container.state.exit_code
            if container.request.auto_remove:
                self._erase(container)
            return container.state.exit_code

    def _record_end(self, container: Container) -> Container:
        record = self._runtime().read_exit(container.id)
        code = record.code if record else _SIGKILL_EXIT
        finished = record.finished_at if record else self._clock()
        oom_killed = self._assembly.was_oom_killed(container)
        self._assembly.take_apart(container)
        ran = finished - container.state.started
        again = _wants_restart(container, code)
        status = "restarting" if again else "exited"
        self._records.update(
            container.id,
            status=status,
            pid=0,
            monitor_pid=0,
            exit_code=code,
            finished=finished,
            oom_killed=int(oom_killed),
            network=NetworkState(),
            restart_count=container.state.restart_count if ran < 10 * _SECOND or not again else 0,
        )
        return self._current(container.id)

    def restart_when_due(self, container_id: str) -> None:
        """Wait out the back-off of a container in `restarting`, then start it again; called by its exit command.

        Docker's back-off: 100 ms, doubled at each restart, at most a minute; from the beginning again after a run of
        ten seconds. Ends at once where somebody stopped, started or removed the container meanwhile.
        """
        import time

        due = self._records.get(container_id)
        if due is None or due.state.status != "restarting":
            return
        try:
            turn = FileLock(f"{self._layout.locks}/restart-{container_id}", wait=False).acquire()
        except BlockingIOError:
            return
        with turn:
            container = self._records.get(container_id)
            while container is not None and container.state.status == "restarting":
                restarts = container.state.restart_count
                time.sleep(min(0.1 * 2 ** min(restarts, 20), 60.0))
                container = self._restart_now(container_id, restarts)
            turn.remove()

    def _restart_now(self, container_id: str, restarts: int) -> Container | None:
        """Start a container whose back-off is over; the container where that failed and has to be tried again."""
        with self._changing(container_id):
            container = self._records.get(container_id)
            if container is None or container.state.status != "restarting":
                return None
            try:
                self._launch(container, attach=False, restarts=restarts + 1)
            except WherryError:
                if not _wants_restart(
                    container._replace(state=container.state._replace(restart_count=restarts + 1)), 1
                ):
                    return None
                self._records.update(container_id, status="restarting")
                return self._current(container_id)
            return None

    def stop(self, container_id: str, *, timeout: int | None = None, signal: str = "") -> None:
        """Signal it, wait `timeout` seconds (negative: for ever), then SIGKILL; return when nothing of it runs."""
        container = self._current(container_id)
        config = self._assembly.configuration(container)
        seconds = config.stop_timeout if timeout is None else timeout
        attended = self._want_stop(container_id)
        if attended is None:
            return
        with attended:
            self._signal(container_id, signal or config.stop_signal)
            if not self._runtime().wait(container_id, timeout=None if seconds < 0 else float(seconds)):
                self._signal(container_id, "SIGKILL")
                self._runtime().wait(container_id, timeout=None)
            self.ended(container_id)

    def _want_stop(self, container_id: str) -> AbstractContextManager[object] | None:
        """Record that the restart policy no longer applies. None where there is nothing to stop; else what is to be
        held until its end is recorded: this process sees to it, and the monitor need start none that does."""
        with self._changing(container_id):
            container = self._records.get(container_id)
            if container is None:
                return None
            if container.state.status == "restarting":
                self._records.update(container_id, stop_wanted=1, status="exited")
                return None
            if container.state.status == "paused":
                self._runtime().resume(container_id)
                self._records.update(container_id, status="running")
            self._records.update(container_id, stop_wanted=1)
            return self._attend(container_id) if container.state.is_running else None

    def _attend(self, container_id: str) -> AbstractContextManager[object]:
        bundle = self._layout.container_run(container_id)
        if not os.path.isdir(bundle):
            return nullcontext()
        try:
            return FileLock(f"{bundle}/attended", wait=False).acquire()
        except BlockingIOError:  # another process attends to it, a foreground `run`
            return nullcontext()

    def _signal(self, container_id: str, signal: str) -> None:
        try:
            self._runtime().kill(container_id, str(signal_number(signal)))
        except WherryError:
            if self.is_alive(container_id):
                raise

    def kill(self, container_id: str, signal: str = "SIGKILL") -> None:
        """Send `signal`. Raises Conflict in Docker's words where the container does not run."""
        number = signal_number(signal)
        container = self._current(container_id)
        if not container.state.is_running:
            raise Conflict(f"Cannot kill container: {container.name}: Container {container.id} is not running")
        attended = self._want_stop(container_id) if number == _SIGKILL else None
        with attended or nullcontext():
            self._runtime().kill(container_id, str(number))
            if number == _SIGKILL:
                self._runtime().wait(container_id, timeout=None)
                self.ended(container_id)

    def restart(self, container_id: str, *, timeout: int | None = None, signal: str = "") -> None:
        """Stop it where it runs, then start it."""
        if self._current(container_id).state.is_running:
            self._keep(container_id)
        self.stop(container_id, timeout=timeout, signal=signal)
        self.start(container_id)

    def _keep(self, container_id: str) -> None:
        """Refuse to restart what its own end removes."""
        if self._current(container_id).request.auto_remove:
            raise Conflict("cannot restart a container that was started with --rm: its end removes it")

    def pause(self, container_id: str, *, resume: bool = False) -> None:
        """Freeze the container's processes, or thaw them."""
        with self._changing(container_id):
            container = self._current(container_id)
            wanted = "paused" if resume else "running"
            if container.state.status != wanted:
                raise Conflict(f"Container {container.name} is {'not paused' if resume else container.state.status}")
            if resume:
                self._runtime().resume(container_id)
            else:
                self._runtime().pause(container_id)
            self._records.update(container_id, status="running" if resume else "paused")

    def remove(self, container_id: str, *, force: bool = False, volumes: bool = False) -> None:
        """Remove it, with its anonymous volumes where `volumes`. Raises Conflict for a running one without `force`."""
        container = self._current(container_id)
        if container.state.is_running and not force:
            raise Conflict(
                f"You cannot remove a running container {container.id}."
                " Stop the container before attempting removal or force remove"
            )
        if container.state.is_running:
            self.kill(container_id)
        with self._changing(container_id):
            current = self._records.get(container_id)
            if current is not None:
                self._erase(current, volumes=volumes)

    def _erase(self, container: Container, *, volumes: bool | None = None) -> None:
        with_volumes = container.request.auto_remove if volumes is None else volumes
        self._records.update(container.id, status="removing")
        self._assembly.take_apart(container)
        mounts = self._records.mounts(container.id)
        remove_tree(self._layout.container(container.id))
        self._store.leases.unpin(f"container:{container.id}")
        self._records.delete(container.id)
        if with_volumes:
            self._assembly.remove_anonymous(mounts)

    def is_alive(self, container_id: str) -> bool:
        """Whether the container's monitor lives."""
        return self._assembly.is_monitored(container_id)

    def repair(self) -> None:
        """Bring to rest what processes left that died: half-made, half-started, half-removed and ended containers.

        Containers that another process is busy with are left to it. Cheap where there is nothing to do.
        """
        self._sweep_locks()
        for container_id, status in self._records.unsettled():
            if status in ("running", "paused") and self.is_alive(container_id):
                continue
            if status == "restarting" and is_held(f"{self._layout.locks}/restart-{container_id}"):
                continue
            try:
                self._repair(container_id)
            except (BlockingIOError, Unavailable):
                continue  # somebody else is at it, or a part of the machine is missing: the next command tries again

    def _sweep_locks(self) -> None:
        """Remove the lock files of containers that are gone: whoever removed them died before that."""
        try:
            names = [name for name in os.listdir(self._layout.locks) if name.startswith("container-")]
        except FileNotFoundError:
            return
        if not names:
            return
        known = self._records.identifiers()
        for container_id in {name.removeprefix("container-") for name in names} - known:
            try:
                with self._changing(container_id, wait=False):
                    pass  # whoever lets go of the lock of a container that is gone removes it
            except BlockingIOError:
                continue

    def _repair(self, container_id: str) -> None:
        with self._changing(container_id, wait=False):
            container = self._records.get(container_id)
            if container is None:
                return
            if container.state.status in ("creating", "removing"):
                self._erase(container)
            elif container.state.status == "starting":
                self._launch_failed(container, WherryError("the process that started the container died"))
                if container.request.auto_remove:
                    self._erase(container)
        if container.state.status not in PASSING:
            self.ended(container_id)
            self._resume_restart(container_id)

    def _resume_restart(self, container_id: str) -> None:
        container = self._records.get(container_id)
        if container is not None and container.state.status == "restarting":
            self._assembly.spawn_restart(container_id)

    def _current(self, container_id: str) -> Container:
        container = self._records.get(container_id)
        return container if container is not None else self._records.resolve(container_id)


def _wants_restart(container: Container, code: int) -> bool:
    """Docker's restart policies; a container that somebody stopped stays stopped."""
    policy = container.request.restart
    if container.state.stop_wanted:
        return False
    if policy.name == "on-failure":
        return code != 0 and (not policy.maximum or container.state.restart_count < policy.maximum)
    return policy.name in ("always", "unless-stopped")


def prepare_directories(layout: Layout) -> None:
    """The two directories that everything about containers is below."""
    ensure_directory(os.path.join(layout.root, "containers"), 0o710)
    ensure_directory(os.path.join(layout.run, "containers"), 0o711)
