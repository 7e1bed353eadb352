"""One stage: its instructions in order, each step from the cache or done."""

from __future__ import annotations

import stat

from wherry.base.errors import InvalidInput, Unsupported, WherryError
from wherry.base.progress import Finished, Output
from wherry.build.cache import NotBuilt, step_key
from wherry.build.copying import copy_into_layer, describe_sources
from wherry.build.history import created_by, one_line, run_by
from wherry.build.instructions import CONFIGURING, apply_instruction
from wherry.build.layers import Tree, make_layer
from wherry.build.session import Cancelled
from wherry.dockerfile import parse_trigger
from wherry.dockerfile.expansion import expand
from wherry.engine.workspace import Workspace
from wherry.layer.builder import LayerBuilder
from wherry.runtime.users import resolve_user
from wherry.store.leases import Lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.build.cache import CachedLayer
    from wherry.build.plan import PlannedStage
    from wherry.build.session import NoWorkspace, Session
    from wherry.build.state import StageState
    from wherry.dockerfile import Instruction
    from wherry.layer.digesting import Packed

    Write = Callable[[str, str, str, Callable[[bytes], object]], Packed]

__all__ = ["StageBuild"]

_STEPS = ("RUN", "COPY", "ADD", "WORKDIR")
_LATER = "it is not supported yet"


class StageBuild:
    """Builds one stage of a session in a workspace that is its own meanwhile."""

    def __init__(self, session: Session, planned: PlannedStage, workspace: Workspace | NoWorkspace) -> None:
        self._session = session
        self._planned = planned
        self._workspace = workspace

    def run(self) -> StageState:
        """The state after the last instruction."""
        instructions = self._planned.stage.instructions
        prefix = f"{self._planned.title} " if self._planned.title else ""
        total = sum(one.name in _STEPS for one in instructions) + 1
        state = self._triggers(self._from(f"[{prefix}1/{total}]"))
        number = 1
        for instruction in instructions:
            number += instruction.name in _STEPS
            state = self._instruction(state, instruction, f"[{prefix}{number}/{total}] {one_line(instruction)}")
        return state

    def _triggers(self, state: StageState) -> StageState:
        """Run what the base's ONBUILD says, which then is spent."""
        triggers = state.defaults.on_build
        state = state.changed(on_build=())
        for text in triggers:
            state = self._instruction(state, parse_trigger(text), f"[ONBUILD] {text}")
        return state

    def _from(self, heading: str) -> StageState:
        if self._planned.parent is not None:
            parent = self._session.states[self._planned.parent]
            return parent._replace(has_command=False)
        task = self._session.begin(f"{heading} FROM {self._planned.base}")
        with _Finishing(self._session, task):
            state = self._session.base(self._planned.base)
        self._session.progress(Finished(task))
        return state

    def _instruction(self, state: StageState, instruction: Instruction, title: str) -> StageState:
        session = self._session
        if session.is_cancelled:
            raise Cancelled("the build was cancelled")
        if instruction.name == "RUN":
            return self._run(state, instruction, title)
        if instruction.name in ("COPY", "ADD"):
            return self._copy(state, instruction, title)
        if instruction.name == "WORKDIR":
            return self._workdir(state, instruction, title)
        if instruction.name == "ARG":
            changed = apply_instruction(state, instruction, session.escape, session.request.build_args, session.globals)
            return changed.noted(f"ARG {instruction.text}")
        if instruction.name not in CONFIGURING:
            raise Unsupported(f"line {instruction.line}: {instruction.name}: {_LATER}")
        changed = apply_instruction(state, instruction, session.escape, {}, {})
        return changed.noted(created_by(state, changed, instruction))

    # --- steps that make layers

    def _layer(self, state: StageState, title: str, created: str, key: str, write: Write) -> StageState:
        """The layer of a step, from the cache or made; `write(task, directory, work, sink)` fills it."""
        session = self._session
        task = session.begin(title)
        with session.alone_with(key), _Finishing(session, task):
            layer = session.made.get(key) or (None if session.request.no_cache else session.cache.find(key))
            cached = layer is not None
            if layer is None and session.only_looks:
                raise NotBuilt("the step is not in the cache")
            if layer is None:
                layer = session.made[key] = self._make(state, task, write)
                session.cache.add(key, layer)
            else:
                session.lease.add("blob", layer.digest)
                session.lease.add("snapshot", layer.chain_id)
        session.progress(Finished(task, cached=cached))
        return state.with_layer(layer, created)

    def _make(self, state: StageState, task: str, write: Write) -> CachedLayer:
        session = self._session
        assert isinstance(session.lease, Lease)
        return make_layer(
            session.store,
            session.lease,
            state.config.rootfs,
            lambda directory, work, sink: write(task, directory, work, sink),
            session.now,
        )

    def _run(self, state: StageState, instruction: Instruction, title: str) -> StageState:
        from wherry.build.run_step import describe_run, resolve_run  # what they need, no other step does
        from wherry.build.running import run_into_layer

        session = self._session
        step = resolve_run(session, state, instruction, self._planned.stage.number)
        key = describe_run(session, state, step)

        def write(task: str, directory: str, work: str, sink: Callable[[bytes], object]) -> Packed:
            def output(stream: int, data: bytes) -> None:
                session.progress(Output(task, stream, data))

            assert isinstance(self._workspace, Workspace)
            lowers = session.store.snapshots.lowers(state.chain_id)
            return run_into_layer(step, self._workspace, lowers, directory, work, sink, output)

        return self._layer(state, title, run_by(state, step.args), key, write)

    def _workdir(self, state: StageState, instruction: Instruction, title: str) -> StageState:
        session = self._session
        path = state.resolve(expand(instruction.text, state.variables, session.escape)).rstrip("/") or "/"
        state = state.changed(working_dir=path)
        if path == "/":
            return state.noted(f"WORKDIR {path}")
        key = step_key("WORKDIR", state.chain_id, path, state.defaults.user, session.epoch)

        def write(_task: str, directory: str, _work: str, sink: Callable[[bytes], object]) -> Packed:
            view = session.views.of(state.chain_id)
            user = resolve_user(view, state.defaults.user) if view and state.defaults.user else None
            with LayerBuilder(directory, sink) as builder:
                tree = Tree(builder, view, session.epoch, session.now // 1_000_000_000)
                target = tree.resolve(path)
                below = tree.status_below(target)
                if below is not None and not stat.S_ISDIR(below.st_mode):
                    raise InvalidInput(f"line {instruction.line}: WORKDIR {path} is not a directory")
                new = tree.new_directory(*(user[:2] if user else (0, 0)))
                tree.make_parents(target, new)
                tree.take_over(target, new)
                return builder.finish()

        return self._layer(state, title, f"WORKDIR {path}", key, write)

    def _copy(self, state: StageState, instruction: Instruction, title: str) -> StageState:
        from wherry.build.copy_step import resolve_copy

        session = self._session
        copy = resolve_copy(session, state, instruction, self._planned.stage.number)
        digests = None if copy.source.identity else session.digests(copy.source)
        described = describe_sources(copy, digests)
        if digests is not None:
            digests.save()
        options = (copy.destination, copy.owner, copy.mode, copy.link, copy.unpack)
        key = step_key(instruction.name, state.chain_id, *options, described, copy.clamp)

        def write(_task: str, directory: str, work: str, sink: Callable[[bytes], object]) -> Packed:
            view = "" if copy.link else session.views.of(state.chain_id)
            return copy_into_layer(copy, view, directory, work, sink)

        return self._layer(state, title, f"{one_line(instruction)} # buildkit", key, write)


class _Finishing:
    """Says how a task ended where it ends with an error; once the build is cancelled every error is only its echo."""

    def __init__(self, session: Session, task: str) -> None:
        self._session = session
        self._task = task

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, WherryError):
            cancelled = self._session.is_cancelled
            self._session.progress(Finished(self._task, error="CANCELED" if cancelled else error.message))
