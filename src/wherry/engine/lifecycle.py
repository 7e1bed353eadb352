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
from wherry.engine.background import spawn_restart, watch_health
from wherry.engine.naming import check_name, generate_name, new_id
from wherry.engine.records import PASSING, Container, ContainerState, NetworkState
from wherry.engine.restarting import LONGEST_DELAY, next_delay, restart_due, wants_restart
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

__all__ = ["RESTARTING", "Lifecycle"]

RESTARTING = "Container {} is restarting, wait until the container is running"

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
            if container.state.is_up:
                if attach:
                    raise Conflict(f"Container {container.name} is already running", hint="use `wherry attach`")
                return None
            if container.state.status in ("removing", "dead"):
                raise Conflict("Container is marked for removal and cannot be started.")
            if container.state.status == "starting":  # whoever began has died, and no repair has come by yet
                self._assembly.take_apart(container)
            self._records.update(container.id, restart_count=0, restart_delay=0)
            return self._launch(container, attach=attach)

    def _launch(self, container: Container, *, attach: bool) -> Attachment | None:
        self._records.update(container.id, status="starting", stop_wanted=0, error="", oom_killed=0)
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
        is_checked = self._assembly.is_checked(container.id)
        self._records.update(
            container.id,
            status="running",
            health="starting" if is_checked else "",
            health_streak=0,
            pid=pids.pid,
            monitor_pid=pids.monitor,
            exit_code=0,
            started=self._clock(),
            finished=0,
            network=ready.network,
        )
        if is_checked:
            watch_health(self._layout)
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
        again = wants_restart(container, code)
        delay = next_delay(container.state.restart_delay, finished - container.state.started)
        self._records.update(
            container.id,
            status="restarting" if again else "exited",
            health=_unwatched(container),
            pid=0,
            monitor_pid=0,
            exit_code=code,
            finished=finished,
            oom_killed=int(oom_killed),
            network=NetworkState(),
            restart_count=container.state.restart_count + again,
            restart_delay=delay,
        )
        return self._current(container.id)

    def restart_when_due(self, container_id: str) -> None:
        """Wait out the back-off of a container in `restarting`, then start it again; called by its exit command.

        Ends at once where somebody stops or removes the container, or another process waits already.
        """
        while self._is_restarting(container_id):
            try:
                turn = FileLock(f"{self._layout.locks}/restart-{container_id}", wait=False).acquire()
            except BlockingIOError:
                return  # whoever holds it looks again when it has let go
            with turn:
                while self._is_restarting(container_id):
                    self._restart_once(container_id)
                turn.remove()

    def wait_for_restart(self, container_id: str) -> Container | None:
        """The container, after its back-off where it is in one; None where there is none."""
        container = self._records.get(container_id)
        if container is None or container.state.status != "restarting":
            return container
        count = container.state.restart_count

        def is_over() -> bool | None:
            now = self._records.get(container_id)
            waits = now is not None and now.state.status in ("restarting", "starting")
            return None if waits and now is not None and now.state.restart_count == count else True

        self._store.database.wait_until(is_over)
        return self._records.get(container_id)

    def _is_restarting(self, container_id: str) -> bool:
        container = self._records.get(container_id)
        return container is not None and container.state.status == "restarting"

    def _restart_once(self, container_id: str) -> None:
        due = restart_due(self._current(container_id).state)

        def is_over() -> bool | None:
            container = self._records.get(container_id)
            return None if container is not None and container.state.status == "restarting" else True

        left = min(due - self._clock(), LONGEST_DELAY) / 1_000_000_000
        if self._store.database.wait_until(is_over, max(0.0, left)) is None:
            self._restart_now(container_id)

    def _restart_now(self, container_id: str) -> None:
        """Start a container whose back-off is over; what cannot be started is tried again as if it had failed."""
        with self._changing(container_id):
            container = self._records.get(container_id)
            if container is None or container.state.status != "restarting":
                return
            try:
                self._launch(container, attach=False)
            except WherryError:
                if wants_restart(container, 1):
                    self._records.update(
                        container_id,
                        status="restarting",
                        finished=self._clock(),
                        restart_count=container.state.restart_count + 1,
                        restart_delay=next_delay(container.state.restart_delay, 0),
                    )

    def stop(self, container_id: str, *, timeout: int | None = None, signal: str = "") -> None:
        """Signal it, wait `timeout` seconds (negative: for ever), then SIGKILL; return when nothing of it runs."""
        container = self._current(container_id)
        config = self._assembly.configuration(container)
        seconds = config.stop_timeout if timeout is None else timeout
        if not self._want_stop(container_id):
            return
        with self._attending(container_id):
            self._signal(container_id, signal or config.stop_signal)
            if not self._runtime().wait(container_id, timeout=None if seconds < 0 else float(seconds)):
                self._signal(container_id, "SIGKILL")
                self._runtime().wait(container_id, timeout=None)
            self.ended(container_id)

    def _want_stop(self, container_id: str) -> bool:
        """Record that the restart policy no longer applies; whether there is anything to stop."""
        with self._changing(container_id):
            container = self._records.get(container_id)
            if container is None:
                return False
            if container.state.status == "restarting":
                self._records.update(container_id, stop_wanted=1, status="exited")
                return False
            if container.state.status == "paused":
                self._runtime().resume(container_id)
                self._records.update(container_id, status="running")
            self._records.update(container_id, stop_wanted=1)
            return container.state.is_running

    def _attending(self, container_id: str) -> AbstractContextManager[object]:
        """While it is held, this process records the container's end, and the monitor starts none that does."""
        bundle = self._layout.container_run(container_id)
        with self._changing(container_id):  # nobody takes it apart meanwhile
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
        if not container.state.is_up:
            raise Conflict(f"Cannot kill container: {container.name}: Container {container.id} is not running")
        is_stopped = self._ends_restarts(container, number) and not self._want_stop(container_id)
        if is_stopped or self._is_restarting(container_id):
            return
        with self._attending(container_id) if number == _SIGKILL else nullcontext():
            self._runtime().kill(container_id, str(number))
            if number == _SIGKILL:
                self._runtime().wait(container_id, timeout=None)
                self.ended(container_id)

    def _ends_restarts(self, container: Container, signal: int) -> bool:
        """As Docker: every signal does, unless one was chosen to stop it with; then only that one and SIGKILL."""
        config = self._assembly.configuration(container)
        return not config.names_stop_signal or signal in (_SIGKILL, signal_number(config.stop_signal))

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
            if container.state.status == "restarting":
                raise Conflict(RESTARTING.format(container.id))
            if container.state.status != wanted:
                is_paused = container.state.status == "paused"
                why = "not paused" if resume else "already paused" if is_paused else "not running"
                raise Conflict(f"Container {container.id} is {why}")
            if resume:
                self._runtime().resume(container_id)
            else:
                self._runtime().pause(container_id)
            self._records.update(container_id, status="running" if resume else "paused", health=_unwatched(container))
        if resume and container.state.health:
            watch_health(self._layout)

    def remove(self, container_id: str, *, force: bool = False, volumes: bool = False) -> None:
        """Remove it, with its anonymous volumes where `volumes`. Raises Conflict for a running one without `force`."""
        container = self._current(container_id)
        if container.state.is_up and not force:
            what = "restarting" if container.state.status == "restarting" else "running"
            raise Conflict(
                f"You cannot remove a {what} container {container.id}."
                " Stop the container before attempting removal or force remove"
            )
        if container.state.is_up:
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
        to_check = False
        for container_id, status, health in self._records.unsettled():
            if status in ("running", "paused") and self.is_alive(container_id):
                to_check = to_check or bool(health)
                continue
            if status == "restarting" and is_held(f"{self._layout.locks}/restart-{container_id}"):
                continue
            try:
                self._repair(container_id)
            except (BlockingIOError, Unavailable):
                continue  # somebody else is at it, or a part of the machine is missing: the next command tries again
        if to_check:
            watch_health(self._layout)

    def _sweep_locks(self) -> None:
        """Remove the lock files of containers that are gone: whoever removed them died before that."""
        try:
            names = [name for name in os.listdir(self._layout.locks) if name.startswith(("container-", "restart-"))]
        except FileNotFoundError:
            return
        if not names:
            return
        known = self._records.identifiers()
        for name in names:
            if name.partition("-")[2] in known:
                continue
            try:
                with FileLock(f"{self._layout.locks}/{name}", wait=False) as lock:
                    if self._records.get(name.partition("-")[2]) is None:
                        lock.remove()
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
        if self._is_restarting(container_id):
            spawn_restart(self._layout, container_id)

    def _current(self, container_id: str) -> Container:
        container = self._records.get(container_id)
        return container if container is not None else self._records.resolve(container_id)


def _unwatched(container: Container) -> str:
    """Its health when nobody checks it any more: unhealthy, as Docker says of what is paused or has ended."""
    return "unhealthy" if container.state.health else ""


def prepare_directories(layout: Layout) -> None:
    """The two directories that everything about containers is below."""
    ensure_directory(os.path.join(layout.root, "containers"), 0o710)
    ensure_directory(os.path.join(layout.run, "containers"), 0o711)
