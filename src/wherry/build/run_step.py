"""RUN as it is written, against the state of its stage: the command, its surroundings, mounts and cache key."""

from __future__ import annotations

import os

from wherry.base.errors import InvalidInput, Unsupported
from wherry.build.cache import step_key
from wherry.build.instructions import shell_of
from wherry.build.mounting import StepMount, describe_mount
from wherry.build.running import Step
from wherry.build.sources import Selection
from wherry.build.state import PROXIES
from wherry.dockerfile import parse_mount
from wherry.dockerfile.expansion import expand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.build.session import Session
    from wherry.build.sources import Source
    from wherry.build.state import StageState
    from wherry.dockerfile import Instruction, MountFlag

__all__ = ["describe_run", "resolve_run"]

_NETWORKS = ("default", "none", "host")


def resolve_run(session: Session, state: StageState, instruction: Instruction, number: int) -> Step:
    """Everything about one RUN of stage `number`. Raises InvalidInput and Unsupported."""
    for flag, default in (("security", "sandbox"), ("device", "")):
        if instruction.flag(flag, default) != default:
            raise Unsupported(
                f"line {instruction.line}: RUN --{flag}={instruction.flag(flag)} is not supported",
                hint="steps get no more rights than containers have",
            )
    network = instruction.flag("network") or session.request.network
    if network not in _NETWORKS:
        raise InvalidInput(
            f"dockerfile parse error on line {instruction.line}: unsupported network mode {network!r}",
            hint=f"it is one of {', '.join(_NETWORKS)}",
        )
    text, scripts = _script(instruction)
    environment = state.step_environment
    return Step(
        args=instruction.json if instruction.json is not None else (*shell_of(state), text),
        environment=(*environment, *_proxies(session, environment)),
        working_dir=state.working_dir,
        user=state.defaults.user,
        network=network,
        line=instruction.line,
        shown=instruction.source.splitlines()[0],
        caches=session.engine.cache_mounts,
        ca_bundle=session.request.ca_bundle,
        add_hosts=session.request.add_hosts,
        shm_size=session.request.shm_size,
        clamp=session.epoch,
        scripts=scripts,
        mounts=tuple(_mount(session, state, instruction, text, number) for text in instruction.all_flags("mount")),
        secrets=session.request.secrets,
    )


def describe_run(session: Session, state: StageState, step: Step) -> str:
    """The cache key: everything that decides the step; not proxies, cache contents or the values of secrets."""
    hosts = list(step.add_hosts)
    key = [
        step.args,
        state.step_environment,
        step.working_dir,
        step.user,
        step.network,
        hosts,
        step.scripts,
        step.clamp,
    ]
    mounts = [describe_mount(one, session.digests) for one in step.mounts]
    return step_key("RUN", state.chain_id, *key, *([mounts] if mounts else []))


def _proxies(session: Session, environment: tuple[str, ...]) -> list[str]:
    """Proxy arguments reach every step, and neither the image nor a cache key."""
    present = {entry.partition("=")[0] for entry in environment}
    given = session.request.build_args
    return [f"{name}={given[name]}" for name in PROXIES if name in given and name not in present]


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


def _mount(session: Session, state: StageState, instruction: Instruction, text: str, number: int) -> StepMount:
    try:
        flag = parse_mount(text, lambda value: expand(value, state.variables, session.escape))
        mounted = _resolved(session, flag, number)
    except InvalidInput as error:
        raise InvalidInput(
            f"dockerfile parse error on line {instruction.line}: {error.message}", hint=error.hint
        ) from None
    target = state.resolve(flag.target).rstrip("/") if flag.target else mounted.target
    if flag.target and not target:
        raise InvalidInput(f'dockerfile parse error on line {instruction.line}: invalid mount target "{flag.target}"')
    return mounted._replace(target=target)


def _resolved(session: Session, flag: MountFlag, number: int) -> StepMount:
    """The mount with its source and name; the target only where the flag does not say it."""
    if flag.kind == "secret":
        name = flag.id or flag.source or os.path.basename(flag.target)
        return StepMount(flag, "" if flag.env else f"/run/secrets/{os.path.basename(name)}", name=name)
    source = session.source(flag.origin, number) if flag.kind == "bind" or flag.origin else None
    if flag.kind == "tmpfs":
        return StepMount(flag)
    selected = Selection(source.select_one(flag.source or "/")) if source else None
    if flag.kind == "cache":
        return StepMount(flag, source=source, selected=selected, name=_cache_name(session, flag, source))
    return StepMount(flag, source=source, selected=selected)


def _cache_name(session: Session, flag: MountFlag, source: Source | None) -> str:
    """What tells a cache from others: its id, and what it began with."""
    namespace = session.request.build_args.get("BUILDKIT_CACHE_MOUNT_NS", "")
    origin = (source.identity or source.root, os.path.normpath("/" + flag.source)) if source else None
    identifier = flag.id or os.path.normpath(flag.target)
    return step_key(namespace, identifier, origin, flag.mode, flag.uid, flag.gid)[:32]
