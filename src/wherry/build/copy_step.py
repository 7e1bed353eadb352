"""COPY and ADD as they are written, against the state of their stage: what to copy, from where, to where, as whose."""

from __future__ import annotations

import re

from wherry.base.errors import InvalidInput, Unsupported
from wherry.build.cache import NotBuilt
from wherry.build.copying import Copy
from wherry.build.sources import Selection
from wherry.dockerfile.expansion import expand, expand_content, expand_words
from wherry.dockerfile.ignore import IgnorePatterns
from wherry.dockerfile.modes import check_mode
from wherry.runtime.users import resolve_user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.build.downloads import Download
    from wherry.build.session import Session
    from wherry.build.sources import Source
    from wherry.build.state import StageState
    from wherry.dockerfile import Instruction

__all__ = ["resolve_copy"]

_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")
_HTTP = re.compile(r"https?://", re.IGNORECASE)
_GIT = re.compile(r"git://|ssh://|git@|https?://[^#?]*\.git([#?]|$)", re.IGNORECASE)


def resolve_copy(session: Session, state: StageState, instruction: Instruction, number: int) -> Copy:
    """Everything about one COPY or ADD of stage `number`. Raises InvalidInput, and Unsupported for git repositories."""
    words = _words(session, state, instruction)
    if len(words) + len(instruction.heredocs) < 2 or not words:
        raise _bad(instruction, f"{instruction.name} requires at least two arguments")
    *patterns, destination = words
    if len(patterns) + len(instruction.heredocs) > 1 and not destination.endswith("/"):
        raise InvalidInput(
            f"line {instruction.line}: When using {instruction.name} with more than one source file,"
            " the destination must be a directory and end with a /"
        )
    is_add = instruction.name == "ADD"
    remote = [pattern for pattern in patterns if is_add and (_HTTP.match(pattern) or _GIT.match(pattern))]
    local = [pattern for pattern in patterns if pattern not in remote]
    source = session.source(instruction.flag("from"), number) if local else session.nothing()
    mode = expand(instruction.flag("chmod"), state.variables, session.escape)
    if mode:
        check_mode(mode)
    exclude = _excluded(session, state, instruction)

    def select() -> tuple[Selection, ...]:
        patterns = None if exclude is None else IgnorePatterns.parse("\n".join(exclude))
        return tuple(_select(instruction, source, local, patterns))

    is_known = bool(source.identity)  # so that nothing has to be mounted to find the step in the cache
    return Copy(
        source,
        () if is_known else select(),
        state.resolve(destination if destination != "." else "./"),
        _owner(session, state, instruction),
        mode,
        _inline(session, state, instruction),
        _remote(session, state, instruction, remote, local),
        unpack=is_add and _switch(instruction, "unpack", default=not remote),
        link=_switch(instruction, "link"),
        clamp=session.epoch,
        now=session.now // 1_000_000_000,
        select=select if is_known else None,
        wanted=(local, exclude, _switch(instruction, "parents")) if is_known else (),
    )


def _bad(instruction: Instruction, why: str, hint: str = "") -> InvalidInput:
    return InvalidInput(f"dockerfile parse error on line {instruction.line}: {why}", hint=hint)


def _switch(instruction: Instruction, name: str, *, default: bool = False) -> bool:
    value = instruction.flag(name)
    if value and value not in (*_TRUE, *_FALSE):
        raise _bad(instruction, f"expecting boolean value for flag {name}, not: {value}")
    return value in _TRUE if value else default


def _words(session: Session, state: StageState, instruction: Instruction) -> list[str]:
    if instruction.json is not None:
        return [expand(word, state.variables, session.escape) for word in instruction.json]
    names = {one.name for one in instruction.heredocs}
    words = expand_words(instruction.text, state.variables, session.escape)
    return [word for word in words if not (word.startswith("<<") and word.lstrip("<-").strip("\"'") in names)]


def _excluded(session: Session, state: StageState, instruction: Instruction) -> list[str] | None:
    return [expand(text, state.variables, session.escape) for text in instruction.all_flags("exclude")] or None


def _select(
    instruction: Instruction, source: Source, patterns: list[str], exclude: IgnorePatterns | None
) -> list[Selection]:
    if _switch(instruction, "parents"):
        return [source.select_with_parents(pattern, exclude or IgnorePatterns(())) for pattern in patterns]
    if exclude is not None:
        return [one for pattern in patterns for one in source.select_leaving_out(pattern, exclude)]
    return [Selection(path) for pattern in patterns for path in source.select(pattern)]


def _inline(session: Session, state: StageState, instruction: Instruction) -> tuple[tuple[str, bytes], ...]:
    found = []
    for one in instruction.heredocs:
        content = expand_content(one.content, state.variables, session.escape) if one.expand else one.content
        found.append((one.name, content.encode(errors="surrogateescape")))
    return tuple(found)


def _remote(
    session: Session, state: StageState, instruction: Instruction, urls: list[str], local: list[str]
) -> tuple[Download, ...]:
    checksum = expand(instruction.flag("checksum"), state.variables, session.escape)
    if checksum and (local or instruction.heredocs):
        raise _bad(instruction, "checksum can't be specified for non-HTTP(S) sources")
    if checksum and len(urls) != 1:
        raise _bad(instruction, "checksum can't be specified for multiple sources")
    if not urls:
        return ()
    if session.only_looks:
        raise NotBuilt("what a URL gives has to be asked for")
    from wherry.build.downloads import look_up

    for url in urls:
        if _GIT.match(url):
            raise Unsupported(
                f"line {instruction.line}: ADD {url}: git repositories are not supported",
                hint="clone it beforehand, or with RUN git clone",
            )
    return tuple(look_up(session.cache, url, checksum) for url in urls)


def _owner(session: Session, state: StageState, instruction: Instruction) -> tuple[int, int] | None:
    text = expand(instruction.flag("chown"), state.variables, session.escape)
    if not text:
        return None
    name, _, group = text.partition(":")
    if name.isdigit() and (not group or group.isdigit()):
        return int(name), int(group or name)
    view = session.views.root(state.chain_id)
    user = resolve_user(view, text if group else f"{name}:{name}" if _has_group(view, name) else name)
    return user.uid, user.gid


def _has_group(view: str, name: str) -> bool:
    from wherry.kernel.rooted import read_in_root

    return any(
        line.startswith(f"{name}:") for line in read_in_root(view, "etc/group").decode(errors="replace").splitlines()
    )
