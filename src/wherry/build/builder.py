"""A build as a whole: the stages that the target needs, those at once that can be, and the image at the end."""

from __future__ import annotations

from _thread import allocate_lock
from contextlib import ExitStack

from wherry.base.progress import Finished, Warned
from wherry.build.plan import plan_stages
from wherry.build.request import BuildResult
from wherry.build.schedule import run_in_order
from wherry.build.session import Session
from wherry.build.stages import StageBuild
from wherry.build.state import PROXIES
from wherry.oci.config import chain_ids
from wherry.oci.reference import parse_reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.base.progress import Sink
    from wherry.build.plan import PlannedStage
    from wherry.build.request import BuildRequest
    from wherry.build.state import StageState
    from wherry.engine import Engine
    from wherry.engine.workspace import Workspace
    from wherry.store import Image

__all__ = ["Build", "build"]


def build(
    engine: Engine, request: BuildRequest, progress: Sink, fallback: Callable[[str], Image] | None = None
) -> BuildResult:
    """Build the image. `fallback(name)` gives a stand-in for a base that cannot be fetched.

    Raises InvalidInput for a Dockerfile that is wrong, StepFailed for a RUN that fails.
    """
    return Build(engine, request, progress, fallback).run()


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

    def run(self) -> BuildResult:
        """See `build`. Raises Cancelled where it was stopped."""
        engine = self._engine
        with engine.workspaces.open() as workspace, engine.store.leases.process() as lease:
            session = Session(engine, self._request, self._progress, self._fallback, workspace, lease)
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
    snapshots = map(session.store.snapshots.get, chain_ids(config.rootfs))
    size = sum(snapshot.size for snapshot in snapshots if snapshot)
    image = session.store.images.create(config, state.layers, lease=session.lease, names=names, size=size)
    session.progress(Finished(task))
    return BuildResult(image.id, image.manifest_digest, tuple(name.familiar() for name in names))
