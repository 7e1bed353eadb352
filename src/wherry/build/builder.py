"""A build as a whole: the stages that the target needs, those at once that can be, and the image at the end."""

from __future__ import annotations

from _thread import allocate_lock
from contextlib import ExitStack

from wherry.base.errors import WherryError
from wherry.base.progress import Finished, Warned
from wherry.build.cache import NotBuilt
from wherry.build.plan import plan_stages
from wherry.build.request import BuildResult
from wherry.build.schedule import run_in_order
from wherry.build.session import NoLease, NoWorkspace, Session
from wherry.build.stages import StageBuild
from wherry.build.state import PROXIES
from wherry.oci.config import chain_ids
from wherry.oci.reference import parse_reference
from wherry.store.leases import Lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.base.progress import Event, Sink
    from wherry.build.plan import PlannedStage
    from wherry.build.request import BuildRequest
    from wherry.build.sources import Source
    from wherry.build.state import StageState
    from wherry.engine import Engine
    from wherry.engine.workspace import Workspace
    from wherry.oci.config import ImageConfig
    from wherry.oci.reference import Reference
    from wherry.store import Image

__all__ = ["Build", "build"]


def build(
    engine: Engine, request: BuildRequest, progress: Sink, fallback: Callable[[str], Image] | None = None
) -> BuildResult:
    """Build the image. `fallback(name)` gives a stand-in for a base that cannot be fetched.

    Raises InvalidInput for a Dockerfile that is wrong, StepFailed for a RUN that fails.
    """
    one = Build(engine, request, progress, fallback)
    return one.find() or one.run()


class Build:
    """One build, which another thread may stop."""

    def __init__(
        self, engine: Engine, request: BuildRequest, progress: Sink, fallback: Callable[[str], Image] | None = None
    ) -> None:
        self._engine = engine
        self._request = request
        self._progress = progress
        self._fallback = fallback
        self._stages: _Stages | None = None
        self._context: Source | None = None

    def find(self) -> BuildResult | None:
        """The result where every step is in the cache and the image has been made and named; nothing is written.

        Progress is told only then. None where the image has to be built (`run`), or where it cannot be said now.
        """
        request = self._request
        if request.no_cache or request.pull:
            return None
        told: list[Event] = []
        session = None
        try:
            with self._engine.store.content.changing(wait=False):  # nothing is collected meanwhile
                session = Session(self._engine, request, told.append, None, NoWorkspace(), NoLease())
                result = self._look(session)
        except (WherryError, BlockingIOError):
            return None  # what is wrong shows again when it is built
        finally:
            self._context = session.known_context if session else None
        for event in told:
            self._progress(event)
        return result

    @staticmethod
    def _look(session: Session) -> BuildResult:
        stages = plan_stages(session.dockerfile, session.request.target, session.globals)
        for planned in stages:
            state = StageBuild(session, planned, NoWorkspace()).run()
            session.states[planned.stage.number] = state
        _warn_unused(session)
        return _export(session, session.states[stages[-1].stage.number])

    def run(self) -> BuildResult:
        """See `build`. Raises Cancelled where it was stopped."""
        engine = self._engine
        with engine.workspaces.open() as workspace, engine.store.leases.process() as lease:
            session = Session(engine, self._request, self._progress, self._fallback, workspace, lease, self._context)
            stages = plan_stages(session.dockerfile, self._request.target, session.globals)
            self._stages = _Stages(session, stages, workspace)
            self._stages.run()
            _warn_unused(session)
            return _export(session, session.states[stages[-1].stage.number])

    def stop(self) -> None:
        """Let no step begin any more, and kill those that run. What only just begins may be missed: call it again."""
        if self._stages is not None:
            self._stages.stop()


class _Stages:
    """Builds the planned stages; each has a workspace to itself while it is being built."""

    def __init__(self, session: Session, stages: list[PlannedStage], workspace: Workspace) -> None:
        self._session = session
        self._stages = {planned.stage.number: planned for planned in stages}
        self._free = [workspace]
        self._busy: list[Workspace] = []
        self._opened = ExitStack()
        self._lock = allocate_lock()

    def run(self) -> None:
        needs = {number: planned.needs for number, planned in self._stages.items()}
        with self._opened:
            run_in_order(needs, self._build, self.stop)

    def _build(self, number: int) -> None:
        workspace = self._take()
        try:
            self._session.states[number] = StageBuild(self._session, self._stages[number], workspace).run()
        finally:
            with self._lock:
                self._busy.remove(workspace)
                self._free.append(workspace)

    def _take(self) -> Workspace:
        with self._lock:
            if not self._free:
                self._free.append(self._opened.enter_context(self._session.engine.workspaces.open()))
            self._busy.append(self._free.pop())
            return self._busy[-1]

    def stop(self) -> None:
        """Let no stage begin another step, and kill the steps that run."""
        self._session.is_cancelled = True
        with self._lock:
            for workspace in self._busy:
                workspace.kill_step()


def _warn_unused(session: Session) -> None:
    dockerfile, given = session.dockerfile, session.request.build_args
    arguments = [*dockerfile.arguments, *(one for stage in dockerfile.stages for one in stage.instructions)]
    declared = {word.partition("=")[0] for one in arguments if one.name == "ARG" for word in one.text.split()}
    known = {*declared, *PROXIES, "SOURCE_DATE_EPOCH"}
    unused = sorted(name for name in given if name not in known and not name.startswith("BUILDKIT_"))
    if unused:
        session.progress(Warned(f"[Warning] One or more build-args {unused} were not consumed"))


def _export(session: Session, state: StageState) -> BuildResult:
    task = session.begin("exporting to image")
    labels = {**state.defaults.labels, **session.request.labels}
    config = state.changed(labels=labels).config._replace(
        created=state.created,
        architecture=state.config.architecture or session.platform.architecture,
        os=state.config.os or "linux",
    )
    names = [parse_reference(tag) for tag in session.request.tags]
    image = _find_image(session, config, state, names) if session.only_looks else _store(session, config, state, names)
    session.progress(Finished(task))
    return BuildResult(image.id, image.manifest_digest, tuple(name.familiar() for name in names))


def _find_image(session: Session, config: ImageConfig, state: StageState, names: list[Reference]) -> Image:
    image = session.store.images.find_made(config, state.layers, names=names)
    if image is None:
        raise NotBuilt("the image is not made, or not named")
    return image


def _store(session: Session, config: ImageConfig, state: StageState, names: list[Reference]) -> Image:
    assert isinstance(session.lease, Lease)
    snapshots = map(session.store.snapshots.get, chain_ids(config.rootfs))
    size = sum(snapshot.size for snapshot in snapshots if snapshot)
    return session.store.images.create(config, state.layers, lease=session.lease, names=names, size=size)
