"""Carrying out a plan: every step as soon as those before it are done, as many at once as are allowed.

A step that fails stops what has not begun; what is under way comes to its end, and the first error is raised. What was
done stays: the next plan begins from there.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from queue import Empty, SimpleQueue

from wherry.base.errors import CommandNotExecutable, CommandNotFound, Conflict, NotFound, WherryError
from wherry.base.progress import Finished, Started, Warned
from wherry.base.values import NamedTuple
from wherry.compose import labels as label
from wherry.compose.engine import NetworkWish, VolumeWish
from wherry.compose.files import file_wishes
from wherry.compose.hashing import resource_hash, service_hash
from wherry.compose.requests import Making, container_wish
from wherry.compose.waiting import wait_for
from wherry.engine.request import MountRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wherry.base.progress import Sink
    from wherry.compose.actions import Plan, Step
    from wherry.compose.engine import ComposeEngine, FileWish
    from wherry.compose.model import Project
    from wherry.compose.state import ObservedContainer, State

__all__ = ["ApplyOptions", "apply_plan", "renew_files"]


class StillInUse(Conflict):
    """A network, volume or image that somebody else uses: it stays, which is worth a word and no failure."""


class ApplyOptions(NamedTuple):
    """`timeout` is how long a container may take to stop, in seconds; `parallel` 0 or less is without limit.

    An interrupt waits for the steps that are under way where it is `patient`, and leaves them to themselves otherwise.
    `look` is called once a second while a condition is waited for, and may raise to end that.
    """

    timeout: int | None = None
    parallel: int = -1
    patient: bool = True
    on_start: Callable[[ObservedContainer], None] = lambda _: None  # called when a container has been started
    look: Callable[[], None] | None = None


def apply_plan(
    plan: Plan,
    engine: ComposeEngine,
    project: Project | None,
    state: State,
    progress: Sink,
    options: ApplyOptions = ApplyOptions(),  # noqa: B008 (a value)
) -> dict[str, str]:
    """Do it. The containers that were started, by name, with their identifiers.

    KeyboardInterrupt is raised again, when the steps that are under way have ended or, without patience, at once.
    """
    steps = _Steps(engine, project, state, progress, options)
    _Crew(plan, steps.do, progress, options).work()
    return steps.started


def renew_files(engine: ComposeEngine, project: Project, state: State) -> None:
    """Write again what a reboot took of the files of containers that are there, so that they can start.

    Those that their restart policy has tried to start without them meanwhile are started at once.
    """
    kinds = ("secrets", "configs", "secret_environment")
    with_files = {key: one for key, one in project.services.items() if any(map(one.get, kinds))}
    for one in state.containers:
        if one.service in with_files and engine.lacks_files(one.id):
            engine.renew_files(one.id, file_wishes(project, with_files[one.service]))
            if one.status == "restarting":
                engine.restart(one.id, None)


class _Work(NamedTuple):
    """A step under way; one that only waits for a condition does nothing."""

    thread: threading.Thread
    does_something: bool


# Seconds. A signal that arrives just before a wait blocks does not wake it: it is noticed at the latest after this.
_NOTICED = 1.0


class _Crew:
    """A thread for each step whose time has come; waiting for a condition does not count against the limit.

    An interrupt is noted, and raised where nothing is half done: raised between any two instructions, it may leave a
    lock of the interpreter's own half taken while a thread is started (CPython 3.11). Where the caller has a handler of
    its own it may come anywhere, so what is waited for then are the threads themselves, not what was noted about them.
    """

    def __init__(self, plan: Plan, do: Callable[[Step], None], progress: Sink, options: ApplyOptions) -> None:
        self._left = {step.number: step for step in plan.steps}
        self._do = do
        self._progress = progress
        self._limit = threading.Semaphore(options.parallel if options.parallel > 0 else max(1, len(plan.steps)))
        self._patient = options.patient
        self._ended: SimpleQueue[tuple[int, BaseException | None] | None] = SimpleQueue()  # None: look again
        self._interrupted = False
        self._done: set[int] = set()
        self._busy: dict[int, _Work] = {}
        self._error: BaseException | None = None

    def work(self) -> None:
        """Return when all is done. Raises the first error."""
        try:
            with self._interrupts_noted():
                self._until_done()
                self._raise_interrupt()
        except KeyboardInterrupt as interrupt:
            self._error = self._error or interrupt
            if self._patient:
                self._join()
        if self._error is not None:
            raise self._error

    @contextmanager
    def _interrupts_noted(self) -> Iterator[None]:
        """Of those signals that would raise KeyboardInterrupt as it is."""
        noted = []
        if threading.current_thread() is threading.main_thread():
            signals = signal.SIGINT, signal.SIGTERM
            noted = [one for one in signals if signal.getsignal(one) is signal.default_int_handler]
        for one in noted:
            signal.signal(one, self._note_interrupt)
        try:
            yield
        finally:
            for one in noted:
                signal.signal(one, signal.default_int_handler)

    def _note_interrupt(self, *_: object) -> None:
        """Called between any two instructions: what it does may be done at any moment."""
        self._interrupted = True
        self._ended.put(None)

    def _raise_interrupt(self) -> None:
        if self._interrupted:
            raise KeyboardInterrupt

    def _until_done(self) -> None:
        while self._left or self._busy:
            self._raise_interrupt()
            if self._error is None:
                self._send_out()
            if not self._is_worth_waiting():
                break
            self._note_end()

    def _is_worth_waiting(self) -> bool:
        """After an error, conditions need not come true any more."""
        if self._error is None:
            return bool(self._busy)
        return any(work.does_something for work in self._busy.values())

    def _send_out(self) -> None:
        for number, step in list(self._left.items()):
            if self._done.issuperset(step.after):
                self._raise_interrupt()
                thread = threading.Thread(target=self._one, args=(step,), daemon=True)
                self._busy[number] = _Work(thread, step.verb != "wait")
                del self._left[number]
                thread.start()

    def _note_end(self) -> None:
        try:
            end = self._ended.get(timeout=_NOTICED)
        except Empty:
            return
        if end is None:
            return
        number, error = end
        del self._busy[number]
        self._done.add(number)
        self._error = self._error or error

    def _join(self) -> None:
        """Until what is under way has ended. A thread that the interrupt kept from starting is not alive."""
        for work in self._busy.values():
            if work.does_something and work.thread.is_alive():
                work.thread.join()

    def _one(self, step: Step) -> None:
        error: BaseException | None = None
        try:
            if step.verb == "wait":
                self._report(step)
            else:
                with self._limit:
                    if self._error is None:
                        self._report(step)
        except BaseException as failure:  # noqa: BLE001 (raised by `work`)
            error = failure
            self._error = self._error or failure  # those that wait for the limit do not begin
        self._ended.put((step.number, error))

    def _report(self, step: Step) -> None:
        task = f"{step.verb} {step.subject}"
        self._progress(Started(task, f"{step.subject}  {_DOING[step.verb]}"))
        try:
            self._do(step)
        except StillInUse as error:
            self._progress(Warned(f"{step.subject}: resource is still in use: {error.message}"))
        except WherryError as error:
            self._progress(Finished(task, error=error.message))
            raise
        else:
            self._progress(Finished(task))


_DOING = {
    "create": "Creating",
    "start": "Starting",
    "stop": "Stopping",
    "restart": "Restarting",
    "remove": "Removing",
    "rename": "Renaming",
    "wait": "Waiting",
    "create-network": "Creating",
    "remove-network": "Removing",
    "create-volume": "Creating",
    "remove-volume": "Removing",
    "remove-image": "Removing",
}


class _Steps:
    """What each verb means."""

    def __init__(
        self, engine: ComposeEngine, project: Project | None, state: State, progress: Sink, options: ApplyOptions
    ) -> None:
        self._engine = engine
        self._project = project
        self._state = state
        self._progress = progress
        self._options = options
        self._made: dict[int, str] = {}
        self._current: dict[str, dict[int, str]] = {}  # service, replica: container
        self.started: dict[str, str] = {}

    def do(self, step: Step) -> None:
        getattr(self, f"_{step.verb.replace('-', '_')}")(step)

    def _model(self) -> Project:
        assert self._project is not None, "steps that make things come from a project"
        return self._project

    def _identifier(self, step: Step) -> str:
        return step.container or self._made[step.made_by]

    def _create(self, step: Step) -> None:
        project = self._model()
        service = project.services[step.service]
        image_id = self._state.images.get(service.image_name(project.name), "")
        labels = label.container_labels(
            project, service, number=step.replica, config_hash=service_hash(service), image_id=image_id
        )
        if step.inherits:
            labels[label.REPLACE] = step.inherits
        making = Making(
            step.name, step.replica, labels, self._container_of, self._inherited(step), file_wishes(project, service)
        )
        identifier = self._engine.create(container_wish(project, service, making))
        self._made[step.number] = identifier
        self._current.setdefault(step.service, {})[step.replica] = identifier

    def _inherited(self, step: Step) -> tuple[MountRequest, ...]:
        """The anonymous volumes of the container that is replaced, at places that the service says nothing about."""
        old = next((one for one in self._state.containers if one.id == step.inherits), None)
        if old is None:
            return ()
        config = self._model().services[step.service].config
        taken = {mount["target"] for mount in config.get("volumes", ()) if mount.get("source")}
        taken |= {text.partition(":")[0] for text in config.get("tmpfs", ())}
        mounts = [mount for mount in old.mounts if mount.anonymous and mount.target not in taken]
        return tuple(MountRequest("volume", mount.target, mount.volume) for mount in mounts)

    def _container_of(self, service: str) -> str:
        """A container of the service, for those who join its namespaces."""
        made = self._current.get(service)
        if made:
            return made[min(made)]
        existing = self._state.of_service(service)
        if not existing:
            raise Conflict(f'the service "{service}" has no container to join')
        return existing[0].id

    def _files(self, service: str) -> tuple[FileWish, ...]:
        project = self._project
        return file_wishes(project, project.services[service]) if project and service in project.services else ()

    def _start(self, step: Step) -> None:
        identifier = self._identifier(step)
        try:
            self._engine.start(identifier, self._files(step.service))
        except (CommandNotFound, CommandNotExecutable) as error:  # whose exit codes are those of a single container
            raise Conflict(f"container {step.name} cannot be started: {error.message}", hint=error.hint) from None
        self.started[step.name] = identifier
        one = self._engine.container(identifier)
        if one is not None:
            self._options.on_start(one)

    def _stop(self, step: Step) -> None:
        self._engine.stop(step.container, self._options.timeout)

    def _restart(self, step: Step) -> None:
        self._engine.restart(step.container, self._options.timeout)

    def _remove(self, step: Step) -> None:
        self._engine.remove(step.container, volumes=step.volumes)

    def _rename(self, step: Step) -> None:
        self._engine.rename(self._identifier(step), step.name)

    def _wait(self, step: Step) -> None:
        try:
            wait_for(self._engine, self._model(), step.service, step.condition, self._options.look)
        except WherryError as error:
            if step.required:
                raise
            self._progress(Warned(f"optional dependency: {error.message}"))

    def _create_network(self, step: Step) -> None:
        project = self._model()
        config = project.networks[step.service]
        labels = label.resource_labels(project.name, label.NETWORK, step.service, resource_hash(config))
        self._engine.create_network(NetworkWish(step.name, config, {**config.get("labels", {}), **labels}))

    def _create_volume(self, step: Step) -> None:
        project = self._model()
        config = project.volumes[step.service]
        labels = label.resource_labels(project.name, label.VOLUME, step.service, resource_hash(config))
        self._engine.create_volume(VolumeWish(step.name, config, {**config.get("labels", {}), **labels}))

    def _remove_network(self, step: Step) -> None:
        self._remove_shared(step, self._engine.remove_network)

    def _remove_volume(self, step: Step) -> None:
        self._remove_shared(step, self._engine.remove_volume)

    def _remove_image(self, step: Step) -> None:
        self._remove_shared(step, self._engine.remove_image)

    def _remove_shared(self, step: Step, remove: Callable[[str], None]) -> None:
        """What others still use stays; what another command removed meanwhile is gone."""
        try:
            remove(step.name)
        except NotFound:
            return
        except Conflict as error:
            raise StillInUse(error.message) from None
