"""What all stages of one build share: the store, the progress, the context, and the images that stages begin with.

Stages may be built by several threads at once; everything here is safe between them.
"""

from __future__ import annotations

import os
from _thread import allocate_lock
from contextlib import contextmanager

from wherry.base.clock import system_clock
from wherry.base.errors import InvalidInput, NotFound, WherryError
from wherry.base.progress import Started, Warned
from wherry.build.cache import BuildCache, NotBuilt
from wherry.build.layers import Views
from wherry.build.plan import find_stage, global_arguments, platform_arguments
from wherry.build.sources import Digests, Source
from wherry.build.state import StageState
from wherry.dockerfile import parse_dockerfile
from wherry.dockerfile.ignore import IgnorePatterns
from wherry.engine.configuration import DEFAULT_PATH
from wherry.oci.config import ContainerDefaults, ImageConfig
from wherry.oci.platform import host_platform, parse_platform
from wherry.oci.reference import parse_reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _thread import LockType
    from collections.abc import Callable, Iterator

    from wherry.base.progress import Event, Sink
    from wherry.build.cache import CachedLayer
    from wherry.build.request import BuildRequest
    from wherry.engine import Engine
    from wherry.engine.workspace import Workspace
    from wherry.store import Image
    from wherry.store.leases import Lease

__all__ = ["Cancelled", "NoLease", "NoWorkspace", "Session"]


class Cancelled(WherryError):
    """Another stage failed, and this one was not finished for it."""


class NoWorkspace:
    """Where nothing is done: a session with it only looks whether everything is there."""

    id = "build-known"

    def subdirectory(self, _name: str) -> str:
        """Raises NotBuilt: what needs a place is not only looked for."""
        raise NotBuilt("a place to work in is needed")


class NoLease:
    """Keeps nothing: whoever holds it keeps collections away by other means."""

    def add(self, kind: str, key: str) -> None:
        """Do nothing."""


class Session:
    """One build. `states` has the finished stages by number; `epoch` is SOURCE_DATE_EPOCH, `now` the build's time."""

    def __init__(
        self,
        engine: Engine,
        request: BuildRequest,
        progress: Sink,
        fallback: Callable[[str], Image] | None,
        workspace: Workspace | NoWorkspace,
        lease: Lease | NoLease,
        context: Source | None = None,
    ) -> None:
        self.engine = engine
        self.store = engine.store
        self.request = request
        self.lease = lease
        self.only_looks = isinstance(workspace, NoWorkspace)
        self.cache = BuildCache(engine.store)
        self.views = Views(engine.store, workspace)
        self.dockerfile = parse_dockerfile(request.dockerfile)
        self.escape = self.dockerfile.escape
        self.states: dict[int, StageState] = {}
        self.made: dict[str, CachedLayer] = {}
        self.is_cancelled = False
        self.platform = parse_platform(request.platform) if request.platform else host_platform(os.uname().machine)
        automatic = platform_arguments(self.platform.architecture, self.platform.variant, request.target)
        self.globals = global_arguments(self.dockerfile, request.build_args, automatic)
        epoch = request.build_args.get("SOURCE_DATE_EPOCH", "")
        self.epoch = int(epoch) if epoch.isdigit() else None
        self.now = self.epoch * 1_000_000_000 if self.epoch is not None else system_clock()
        self._progress = progress
        self._fallback = fallback
        self._workspace = workspace
        self._context = context
        self._digests: Digests | None = None
        self._bases: dict[str, StageState] = {}
        self._tasks = 0
        self._drawing, self._looking, self._fetching = allocate_lock(), allocate_lock(), allocate_lock()
        self._keys: dict[str, LockType] = {}

    # --- progress

    def progress(self, event: Event) -> None:
        """Pass an event on, one at a time."""
        with self._drawing:
            self._progress(event)

    def begin(self, title: str) -> str:
        """Start a task. Raises Cancelled where the build has failed meanwhile."""
        if self.is_cancelled:
            raise Cancelled("the build was cancelled")
        with self._drawing:
            self._tasks += 1
            task = f"{self._workspace.id}-{self._tasks}"
            self._progress(Started(task, title))
        return task

    @contextmanager
    def alone_with(self, key: str) -> Iterator[None]:
        """Held while the step of that key is looked up or made, so that two stages with the same step do it once."""
        with self._looking:
            lock = self._keys.setdefault(key, allocate_lock())
        with lock:
            yield

    # --- images and sources

    def base(self, name: str) -> StageState:
        """The state that a stage begins with: `scratch`, or an image, fetched where it is missing."""
        with self._fetching:
            if name not in self._bases:
                self._bases[name] = self._find_base(name)
            return self._bases[name]

    def _find_base(self, name: str) -> StageState:
        if name == "scratch":
            platform, created = self.platform, (self.epoch or 0) * 1_000_000_000
            config = ContainerDefaults(env=(f"PATH={DEFAULT_PATH}",), working_dir="/")
            return StageState(
                ImageConfig(platform.architecture, platform.os, config, variant=platform.variant, created=created)
            )
        image = self._image(name)
        self.lease.add("image", image.manifest_digest)
        if self.only_looks and not self.store.is_unpacked(image):
            raise NotBuilt(f"{name} has to be unpacked")
        self.lease.add("snapshot", self.store.unpack(image, self.progress))
        return _with_path(StageState(self.store.images.config(image), self.store.images.manifest(image).layers))

    def _image(self, name: str) -> Image:
        """A base: what replaces it by --build-context, what the store has, what its registry has, or a stand-in."""
        replaced = self.request.build_contexts.get(name, "")
        if replaced.startswith("docker-image://"):
            name = replaced.removeprefix("docker-image://")
        elif replaced:
            raise InvalidInput(f"the build context {name} is a directory, and FROM needs an image")
        if not self.request.pull:
            try:
                return self.engine.images.resolve(name)
            except NotFound:
                if self.only_looks:
                    raise
        try:
            return self.engine.images.pull(name, platform=self.request.platform, progress=self.progress)
        except WherryError as error:
            if self._fallback is None:
                hint = "with --base-fallback distro a stand-in from the distribution's packages is taken"
                raise type(error)(f"{name}: {error.message}", hint=hint) from None
            stand_in = self._fallback(name)
            taken = parse_reference(stand_in.names[0]).familiar() if stand_in.names else stand_in.id
            self.progress(Warned(f"{name} cannot be fetched ({error.message}): {taken} was taken instead of it"))
            return stand_in

    def source(self, name: str, before: int) -> Source:
        """What `from=name` means in stage number `before`: a stage, a named context or an image; empty: the context."""
        if not name:
            return self.context()
        number = find_stage(self.dockerfile.stages, name.lower(), before)
        if number is not None:
            if number not in self.states:
                raise InvalidInput(f"the stage {name}, which an ONBUILD of the base image names, was not built before")
            return self._files_of(self.states[number])
        replaced = self.request.build_contexts.get(name, "")
        if replaced and not replaced.startswith("docker-image://"):
            return Source(replaced)
        return self._files_of(self.base(name))

    def nothing(self) -> Source:
        """A source without files, for what is copied from elsewhere."""
        return Source(lambda: self._workspace.subdirectory("empty"), identity="scratch")

    def _files_of(self, state: StageState) -> Source:
        return Source(lambda: self.views.root(state.chain_id), identity=state.chain_id or "scratch")

    def context(self) -> Source:
        """The build context. Raises InvalidInput where there is none."""
        with self._looking:
            if self._context is None:
                if not self.request.context:
                    raise InvalidInput(
                        "COPY needs a build context, and there is none", hint="give a directory to build from"
                    )
                ignore = IgnorePatterns.parse(self.request.ignore) if self.request.ignore else None
                self._context = Source(self.request.context, ignore=ignore)
            if self._digests is None:
                self._digests = Digests(self.cache, self._context.root, only_known=self.only_looks)
            return self._context

    @property
    def known_context(self) -> Source | None:
        """The build context where it has been looked at."""
        return self._context

    def digests(self, source: Source) -> Digests:
        """The digests of the files of a directory; those of the context are remembered from build to build."""
        if source is self._context and self._digests is not None:
            return self._digests
        return Digests(self.cache, source.root, only_known=self.only_looks)


def _with_path(state: StageState) -> StageState:
    """As BuildKit does, an image always says its PATH, so that `ENV PATH=/mine:$PATH` means what it says."""
    if "PATH" in state.environment:
        return state
    return state.changed(env=(*state.defaults.env, f"PATH={DEFAULT_PATH}"))
