"""The executor: stages in order, each step from the cache or done, and the image at the end."""

from __future__ import annotations

import os
import stat

from wherry.base.clock import system_clock
from wherry.base.errors import InvalidInput, NotFound, Unsupported, WherryError
from wherry.base.progress import Finished, Output, Started, Warned
from wherry.build.cache import BuildCache, CachedLayer, step_key
from wherry.build.copying import Copy, copy_into_layer, describe_sources
from wherry.build.instructions import CONFIGURING, apply_instruction, shell_of
from wherry.build.layers import Tree, Views, make_layer
from wherry.build.plan import global_arguments, plan_stages, platform_arguments
from wherry.build.request import BuildResult
from wherry.build.sources import Digests, Source
from wherry.build.state import StageState
from wherry.dockerfile import parse_dockerfile
from wherry.dockerfile.expansion import expand, expand_content, expand_words
from wherry.dockerfile.ignore import IgnorePatterns
from wherry.engine.configuration import DEFAULT_PATH
from wherry.layer.builder import LayerBuilder
from wherry.oci.config import ImageConfig
from wherry.oci.platform import host_platform, parse_platform
from wherry.oci.reference import parse_reference
from wherry.runtime.users import resolve_user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.base.progress import Sink
    from wherry.build.plan import PlannedStage
    from wherry.build.request import BuildRequest
    from wherry.dockerfile import Dockerfile, Instruction
    from wherry.engine import Engine
    from wherry.engine.workspace import Workspace
    from wherry.layer.digesting import Packed
    from wherry.store import Image
    from wherry.store.leases import Lease

__all__ = ["build"]

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
_LATER = "it is not supported yet"


def build(
    engine: Engine, request: BuildRequest, progress: Sink, fallback: Callable[[str], Image] | None = None
) -> BuildResult:
    """Build the image. `fallback(name)` gives a stand-in for a base that cannot be fetched.

    Raises InvalidInput for a Dockerfile that is wrong, StepFailed for a RUN that fails.
    """
    with engine.workspaces.open() as workspace, engine.store.leases.process() as lease:
        return _Builder(engine, request, progress, fallback, workspace, lease).run()


class _Builder:
    def __init__(
        self,
        engine: Engine,
        request: BuildRequest,
        progress: Sink,
        fallback: Callable[[str], Image] | None,
        workspace: Workspace,
        lease: Lease,
    ) -> None:
        self._engine = engine
        self._store = engine.store
        self._request = request
        self._progress = progress
        self._fallback = fallback
        self._workspace = workspace
        self._lease = lease
        self._cache = BuildCache(engine.store)
        self._views = Views(engine.store, workspace)
        self._dockerfile: Dockerfile = parse_dockerfile(request.dockerfile)
        self._escape = self._dockerfile.escape
        self._states: dict[int, StageState] = {}
        self._context: Source | None = None
        self._digests: Digests | None = None
        platform = parse_platform(request.platform) if request.platform else host_platform(os.uname().machine)
        self._platform = platform
        automatic = platform_arguments(platform.architecture, platform.variant, request.target)
        self._globals = global_arguments(self._dockerfile, request.build_args, automatic)
        epoch = request.build_args.get("SOURCE_DATE_EPOCH", "")
        self._epoch = int(epoch) if epoch.isdigit() else None
        self._now = self._epoch * 1_000_000_000 if self._epoch is not None else system_clock()
        self._task = 0

    def run(self) -> BuildResult:
        stages = plan_stages(self._dockerfile, self._request.target, self._globals)
        for planned in stages:
            self._states[planned.stage.number] = self._stage(planned)
        final = self._states[stages[-1].stage.number]
        self._warn_unused()
        return self._export(final)

    def _warn_unused(self) -> None:
        declared = {word.partition("=")[0] for one in self._dockerfile.arguments for word in one.text.split()}
        for stage in self._dockerfile.stages:
            for one in stage.instructions:
                if one.name == "ARG":
                    declared |= {word.partition("=")[0] for word in one.text.split()}
        known = {*declared, *_PROXIES, *(name.lower() for name in _PROXIES), "SOURCE_DATE_EPOCH"}
        unused = sorted(
            name for name in self._request.build_args if name not in known and not name.startswith("BUILDKIT_")
        )
        if unused:
            self._progress(Warned(f"[Warning] One or more build-args {unused} were not consumed"))

    # --- stages

    def _stage(self, planned: PlannedStage) -> StageState:
        instructions = planned.stage.instructions
        layered = [one for one in instructions if one.name in ("RUN", "COPY", "ADD", "WORKDIR")]
        prefix = f"{planned.title} " if planned.title else ""
        title = f"[{prefix}1/{len(layered) + 1}] FROM {planned.base or planned.stage.base}"
        state = self._from(planned, title)
        state = self._triggers(state)
        number = 1
        for instruction in instructions:
            if instruction.name in ("RUN", "COPY", "ADD", "WORKDIR"):
                number += 1
            heading = f"[{prefix}{number}/{len(layered) + 1}] {_one_line(instruction)}"
            state = self._instruction(state, instruction, heading)
        return state

    def _triggers(self, state: StageState) -> StageState:
        """Run what the base's ONBUILD says, which then is spent."""
        triggers = state.defaults.on_build
        state = state.changed(on_build=())
        for text in triggers:
            parsed = parse_dockerfile(f"FROM scratch\n{text}\n").stages[0].instructions[0]
            state = self._instruction(state, parsed, f"[ONBUILD] {text}")
        return state

    def _from(self, planned: PlannedStage, title: str) -> StageState:
        if planned.parent is not None:
            parent = self._states[planned.parent]
            return parent._replace(has_command=False)
        task = self._begin(title)
        try:
            state = self._base(planned.base)
        except WherryError as error:
            self._progress(Finished(task, error=error.message))
            raise
        self._progress(Finished(task))
        return state

    def _base(self, name: str) -> StageState:
        if name == "scratch":
            platform = self._platform
            config = ImageConfig(platform.architecture, platform.os, variant=platform.variant, created=self._epoch_ns())
            return _with_path(StageState(config))
        image = self._image(name)
        self._lease.add("image", image.manifest_digest)
        self._lease.add("snapshot", self._store.unpack(image, self._progress))
        return _with_path(StageState(self._store.images.config(image), self._store.images.manifest(image).layers))

    def _epoch_ns(self) -> int:
        """When an image without layers was made: at SOURCE_DATE_EPOCH, or at no known time."""
        return (self._epoch or 0) * 1_000_000_000

    def _image(self, name: str) -> Image:
        """A base: what replaces it by --build-context, what the store has, what its registry has, or a stand-in."""
        replaced = self._request.build_contexts.get(name, "")
        if replaced.startswith("docker-image://"):
            name = replaced.removeprefix("docker-image://")
        elif replaced:
            raise InvalidInput(f"the build context {name} is a directory, and FROM needs an image")
        if not self._request.pull:
            try:
                return self._engine.images.resolve(name)
            except NotFound:
                pass
        try:
            return self._engine.images.pull(name, platform=self._request.platform, progress=self._progress)
        except WherryError as error:
            if self._fallback is None:
                hint = "with --base-fallback distro a stand-in from the distribution's packages is taken"
                raise type(error)(f"{name}: {error.message}", hint=hint) from None
            stand_in = self._fallback(name)
            taken = parse_reference(stand_in.names[0]).familiar() if stand_in.names else stand_in.id
            self._progress(Warned(f"{name} cannot be fetched ({error.message}): {taken} was taken instead of it"))
            return stand_in

    # --- steps

    def _instruction(self, state: StageState, instruction: Instruction, title: str) -> StageState:
        if instruction.name == "RUN":
            return self._run(state, instruction, title)
        if instruction.name in ("COPY", "ADD"):
            return self._copy(state, instruction, title)
        if instruction.name == "WORKDIR":
            return self._workdir(state, instruction, title)
        if instruction.name == "ARG":
            return apply_instruction(state, instruction, self._escape, self._request.build_args, self._globals).noted(
                f"ARG {instruction.text}"
            )
        if instruction.name not in CONFIGURING:
            raise Unsupported(f"line {instruction.line}: {instruction.name}: {_LATER}")
        changed = apply_instruction(state, instruction, self._escape, {}, {})
        return changed.noted(_created_by(state, changed, instruction))

    def _begin(self, title: str) -> str:
        self._task += 1
        task = f"{self._workspace.id}-{self._task}"
        self._progress(Started(task, title))
        return task

    def _layer(
        self,
        state: StageState,
        title: str,
        created_by: str,
        key: str,
        write: Callable[[str, str, str, Callable[[bytes], object]], Packed],
    ) -> StageState:
        """The layer of a step, from the cache or made; `write(task, directory, work, sink)` fills it."""
        task = self._begin(title)
        cached = None if self._request.no_cache else self._cache.find(key)
        if cached is None:
            try:
                layer = self._make(state, task, write)
            except WherryError as error:
                self._progress(Finished(task, error=error.message))
                raise
            self._cache.add(key, layer)
            self._progress(Finished(task))
        else:
            layer = cached
            self._lease.add("blob", layer.digest)
            self._lease.add("snapshot", layer.chain_id)
            self._progress(Finished(task, cached=True))
        return state.with_layer(layer, created_by)

    def _make(
        self,
        state: StageState,
        task: str,
        write: Callable[[str, str, str, Callable[[bytes], object]], Packed],
    ) -> CachedLayer:
        return make_layer(
            self._store,
            self._lease,
            state.config.rootfs,
            lambda directory, work, sink: write(task, directory, work, sink),
            self._now,
        )

    def _run(self, state: StageState, instruction: Instruction, title: str) -> StageState:
        from wherry.build.running import Step, run_into_layer  # what it needs, no other step does

        if instruction.all_flags("mount"):
            raise Unsupported(f"line {instruction.line}: RUN --mount: {_LATER}")
        if instruction.flag("security", "sandbox") != "sandbox":
            raise Unsupported(f"line {instruction.line}: RUN --security={instruction.flag('security')}: {_LATER}")
        text, scripts = _script(instruction)
        args = instruction.json if instruction.json is not None else (*shell_of(state), text)
        network = instruction.flag("network") or self._request.network
        environment = state.step_environment
        step = Step(
            args=args,
            environment=(*environment, *self._proxies(environment)),
            working_dir=state.working_dir,
            user=state.defaults.user,
            network=network,
            line=instruction.line,
            shown=instruction.source.splitlines()[0],
            ca_bundle=self._request.ca_bundle,
            add_hosts=self._request.add_hosts,
            shm_size=self._request.shm_size,
            clamp=self._epoch,
            scripts=scripts,
        )
        hosts = list(self._request.add_hosts)
        key = step_key(
            "RUN", state.chain_id, args, environment, step.working_dir, step.user, network, hosts, scripts, self._epoch
        )
        lowers = self._store.snapshots.lowers(state.chain_id)

        def write(task: str, directory: str, work: str, sink: Callable[[bytes], object]) -> Packed:
            def output(stream: int, data: bytes) -> None:
                self._progress(Output(task, stream, data))

            return run_into_layer(step, self._workspace, lowers, directory, work, sink, output)

        return self._layer(state, title, _run_by(state, args), key, write)

    def _proxies(self, environment: tuple[str, ...]) -> list[str]:
        """Proxy arguments reach every step, and neither the image nor a cache key."""
        present = {entry.partition("=")[0] for entry in environment}
        names = [*_PROXIES, *(name.lower() for name in _PROXIES)]
        given = self._request.build_args
        return [f"{name}={given[name]}" for name in names if name in given and name not in present]

    def _workdir(self, state: StageState, instruction: Instruction, title: str) -> StageState:
        path = state.resolve(expand(instruction.text, state.variables, self._escape)).rstrip("/") or "/"
        state = state.changed(working_dir=path)
        created_by = f"WORKDIR {path}"
        if path == "/":
            return state.noted(created_by)
        key = step_key("WORKDIR", state.chain_id, path, state.defaults.user, self._epoch)

        def write(_task: str, directory: str, _work: str, sink: Callable[[bytes], object]) -> Packed:
            view = self._views.of(state.chain_id)
            user = resolve_user(view, state.defaults.user) if view and state.defaults.user else None
            with LayerBuilder(directory, sink) as builder:
                tree = Tree(builder, view, self._epoch, self._now // 1_000_000_000)
                target = tree.resolve(path)
                below = tree.status_below(target)
                if below is not None and not stat.S_ISDIR(below.st_mode):
                    raise InvalidInput(f"line {instruction.line}: WORKDIR {path} is not a directory")
                tree.make_parents(target, tree.new_directory())
                tree.take_over(target, tree.new_directory(*(user[:2] if user else (0, 0))))
                return builder.finish()

        return self._layer(state, title, created_by, key, write)

    def _copy(self, state: StageState, instruction: Instruction, title: str) -> StageState:
        for flag in ("parents", "exclude", "checksum", "keep-git-dir", "unpack"):
            if instruction.flag(flag):
                raise Unsupported(f"line {instruction.line}: {instruction.name} --{flag}: {_LATER}")
        copy = self._resolve_copy(state, instruction)
        described = describe_sources(copy, self._digests if copy.source is self._context else None)
        if self._digests is not None:
            self._digests.save()
        key = step_key(instruction.name, state.chain_id, copy.destination, copy.owner, copy.mode, described, copy.clamp)

        def write(_task: str, directory: str, work: str, sink: Callable[[bytes], object]) -> Packed:
            return copy_into_layer(copy, self._views.of(state.chain_id), directory, work, sink)

        return self._layer(state, title, f"{_one_line(instruction)} # buildkit", key, write)

    def _resolve_copy(self, state: StageState, instruction: Instruction) -> Copy:
        words = self._words(state, instruction)
        if len(words) + len(instruction.heredocs) < 2:
            raise InvalidInput(
                f"dockerfile parse error on line {instruction.line}: {instruction.name} requires at least two arguments"
            )
        *patterns, destination = words
        remote = [word for word in patterns if "://" in word or word.startswith("git@")]
        if remote and instruction.name == "ADD":
            raise Unsupported(
                f"line {instruction.line}: ADD {remote[0]}: {_LATER}", hint="fetch it with RUN curl or wget"
            )
        if len(patterns) + len(instruction.heredocs) > 1 and not destination.endswith("/"):
            raise InvalidInput(
                f"line {instruction.line}: When using {instruction.name} with more than one source file,"
                " the destination must be a directory and end with a /"
            )
        source = self._source(instruction)
        selected = [path for pattern in patterns for path in source.select(pattern)]
        inline = tuple(
            (
                one.name,
                (expand_content(one.content, state.variables, self._escape) if one.expand else one.content).encode(),
            )
            for one in instruction.heredocs
        )
        resolved = state.resolve(destination if destination != "." else "./")
        return Copy(
            source,
            tuple(selected),
            resolved,
            self._owner(state, instruction),
            _mode(instruction, expand(instruction.flag("chmod"), state.variables, self._escape)),
            inline,
            extract=instruction.name == "ADD",
            clamp=self._epoch,
            now=self._now // 1_000_000_000,
        )

    def _words(self, state: StageState, instruction: Instruction) -> list[str]:
        if instruction.json is not None:
            return [expand(word, state.variables, self._escape) for word in instruction.json]
        names = {one.name for one in instruction.heredocs}
        words = expand_words(instruction.text, state.variables, self._escape)
        return [word for word in words if not (word.startswith("<<") and word.lstrip("<-").strip("\"'") in names)]

    def _source(self, instruction: Instruction) -> Source:
        name = instruction.flag("from")
        if not name:
            return self._context_source()
        for number, state in reversed(self._states.items()):
            if self._dockerfile.stages[number].name == name.lower() or str(number) == name:
                return Source(
                    self._views.of(state.chain_id) or self._workspace.subdirectory("empty"),
                    identity=state.chain_id or "scratch",
                )
        replaced = self._request.build_contexts.get(name, "")
        if replaced and not replaced.startswith("docker-image://"):
            return Source(replaced)
        state = self._base(name)
        return Source(self._views.of(state.chain_id), identity=state.chain_id)

    def _context_source(self) -> Source:
        if self._context is None:
            if not self._request.context:
                raise InvalidInput(
                    "COPY needs a build context, and there is none", hint="give a directory to build from"
                )
            ignore = IgnorePatterns.parse(self._request.ignore) if self._request.ignore else None
            self._context = Source(self._request.context, ignore=ignore)
            self._digests = Digests(self._cache, self._context.root)
        return self._context

    def _owner(self, state: StageState, instruction: Instruction) -> tuple[int, int] | None:
        text = expand(instruction.flag("chown"), state.variables, self._escape)
        if not text:
            return None
        name, _, group = text.partition(":")
        if name.isdigit() and (not group or group.isdigit()):
            return int(name), int(group or name)
        view = self._views.of(state.chain_id) or self._workspace.subdirectory("empty")
        user = resolve_user(view, text if group else f"{name}:{name}" if _has_group(view, name) else name)
        return user.uid, user.gid

    # --- the image

    def _export(self, state: StageState) -> BuildResult:
        task = self._begin("exporting to image")
        labels = {**state.defaults.labels, **self._request.labels}
        config = state.changed(labels=labels).config._replace(
            created=state.created,
            architecture=state.config.architecture or self._platform.architecture,
            os=state.config.os or "linux",
        )
        names = [parse_reference(tag) for tag in self._request.tags]
        size = sum(snapshot.size for snapshot in map(self._store.snapshots.get, _chains(config)) if snapshot)
        image = self._store.images.create(config, state.layers, lease=self._lease, names=names, size=size)
        self._progress(Finished(task))
        return BuildResult(image.id, image.manifest_digest, tuple(name.familiar() for name in names))


def _with_path(state: StageState) -> StageState:
    """As BuildKit does, an image always says its PATH, so that `ENV PATH=/mine:$PATH` means what it says."""
    if "PATH" in state.environment:
        return state
    return state.changed(env=(*state.defaults.env, f"PATH={DEFAULT_PATH}"))


def _chains(config: ImageConfig) -> list[str]:
    from wherry.oci.config import chain_ids

    return chain_ids(config.rootfs)


def _one_line(instruction: Instruction) -> str:
    flags = "".join(f"--{name}={value} " for name, value in instruction.flags)
    return f"{instruction.name} {flags}{instruction.text}"


def _run_by(state: StageState, args: tuple[str, ...]) -> str:
    """The history of a RUN: the arguments that it saw come first, as `|N NAME=VALUE`."""
    declared = [f"{name}={value}" for name, value in state.arguments.items() if name not in state.environment]
    shown = f"|{len(declared)} {' '.join(declared)} " if declared else ""
    return f"RUN {shown}{' '.join(args)} # buildkit"


def _created_by(before: StageState, after: StageState, instruction: Instruction) -> str:
    """The history of a configuring step, in BuildKit's words."""
    if instruction.name == "ENV":
        added = [entry for entry in after.defaults.env if entry not in before.defaults.env]
        return f"ENV {' '.join(added or [instruction.text])}"
    if instruction.name in ("CMD", "ENTRYPOINT"):
        words = after.defaults.cmd if instruction.name == "CMD" else after.defaults.entrypoint
        quoted = " ".join(f'"{word}"' for word in words or ())
        return f"{instruction.name} [{quoted}]"
    if instruction.name == "EXPOSE":
        ports = [port for port in after.defaults.exposed_ports if port not in before.defaults.exposed_ports]
        return f"EXPOSE map[{' '.join(f'{port}:{{}}' for port in ports)}]"
    return f"{instruction.name} {instruction.text}"


def _script(instruction: Instruction) -> tuple[str, tuple[tuple[str, str], ...]]:
    """What the shell is given for a RUN with here-documents; bodies are never expanded by the builder."""
    if not instruction.heredocs or instruction.json is not None:
        return instruction.text, ()
    first = instruction.heredocs[0]
    alone = len(instruction.heredocs) == 1 and instruction.text.lstrip("<-").strip("\"' ") == first.name
    if not alone:
        bodies = "".join(f"{one.content}{one.name}\n" for one in instruction.heredocs)
        return f"{instruction.text}\n{bodies}", ()
    if first.content.startswith("#!"):
        path = f"/dev/pipes/{first.name}"
        return path, ((path, first.content),)
    return first.content, ()


def _mode(instruction: Instruction, text: str) -> int | None:
    if not text:
        return None
    try:
        return int(text, 8)
    except ValueError:
        raise Unsupported(f"line {instruction.line}: --chmod={text}: only octal modes are supported") from None


def _has_group(view: str, name: str) -> bool:
    from wherry.kernel.rooted import read_in_root

    return any(
        line.startswith(f"{name}:") for line in read_in_root(view, "etc/group").decode(errors="replace").splitlines()
    )
