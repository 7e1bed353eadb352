"""Dockerfile text to stages of instructions, by BuildKit's rules (Dockerfile reference; frontend/dockerfile/parser).

Nothing is expanded here. Errors are InvalidInput in Docker's form, `dockerfile parse error on line N: ...`.
"""

from __future__ import annotations

import json
import re

from wherry.base.errors import InvalidInput
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Dockerfile", "Heredoc", "Instruction", "Stage", "parse_dockerfile", "parse_trigger"]

_INSTRUCTIONS = (
    "ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL USER VOLUME"
    " WORKDIR"
).split()
_FLAGS = {
    "FROM": {"platform"},
    "ADD": {"keep-git-dir", "checksum", "chmod", "chown", "link", "unpack", "exclude"},
    "COPY": {"from", "chmod", "chown", "link", "parents", "exclude"},
    "RUN": {"mount", "network", "security", "device"},
    "HEALTHCHECK": {"interval", "timeout", "start-period", "start-interval", "retries"},
}
_LIST_FLAGS = {"mount", "exclude", "device"}
_JSON = {"ADD", "COPY", "CMD", "ENTRYPOINT", "RUN", "SHELL", "VOLUME", "HEALTHCHECK"}
_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.*?)\s*$")
_HEREDOC = re.compile(r"<<(-?)\s*([\"']?)([A-Za-z_][\w.-]*)\2")


class Heredoc(NamedTuple):
    """One here-document; `expand` where its delimiter was not quoted."""

    name: str
    content: str
    expand: bool


class Instruction(NamedTuple):
    """One instruction. `json` is the array where the JSON form was used, else `text` is all that follows the flags."""

    name: str
    line: int
    end_line: int
    source: str
    text: str
    flags: tuple[tuple[str, str], ...] = ()
    json: tuple[str, ...] | None = None
    heredocs: tuple[Heredoc, ...] = ()

    def flag(self, name: str, default: str = "") -> str:
        """The value of a flag; the last where there are several."""
        return dict(self.flags).get(name, default)

    def all_flags(self, name: str) -> list[str]:
        """Every value of a flag that may be repeated."""
        return [value for key, value in self.flags if key == name]


class Stage(NamedTuple):
    """FROM and what follows it. `base` and `platform` are not expanded; `name` is lower case, empty for none."""

    number: int
    name: str
    base: str
    platform: str
    instructions: tuple[Instruction, ...]
    line: int


class Dockerfile(NamedTuple):
    """The whole: parser directives, the ARGs before the first FROM, and the stages."""

    directives: dict[str, str]
    arguments: tuple[Instruction, ...]
    stages: tuple[Stage, ...]

    @property
    def escape(self) -> str:
        """The character that continues lines and takes away meaning."""
        return self.directives.get("escape", "\\")


def parse_dockerfile(text: str) -> Dockerfile:
    """Parse the text of a Dockerfile. Raises InvalidInput."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    directives = _directives(lines)
    escape = directives.get("escape", "\\")
    if escape not in ("\\", "`"):
        raise InvalidInput(f"invalid ESCAPE '{escape}'. Must be ` or \\")
    instructions = _instructions(lines, escape)
    if not instructions:
        raise InvalidInput("the Dockerfile cannot be empty", hint="it needs at least a FROM instruction")
    return _stages(directives, instructions)


def parse_trigger(text: str) -> Instruction:
    """The instruction that an ONBUILD holds. Raises InvalidInput."""
    instructions = _instructions(text.split("\n"), "\\")
    if len(instructions) != 1:
        raise InvalidInput(f"ONBUILD needs one instruction: {text!r}")
    return instructions[0]


def _directives(lines: Sequence[str]) -> dict[str, str]:
    """Directives stand at the very top; the first line that is none ends them."""
    found: dict[str, str] = {}
    for line in lines:
        match = _DIRECTIVE.match(line.strip())
        name = match.group(1).lower() if match else ""
        if match is None or name not in ("syntax", "escape", "check"):
            break
        if name in found:
            raise InvalidInput(f"only one {name} parser directive can be used")
        found[name] = match.group(2)
    return found


def _bad(line: int, why: str, hint: str = "") -> InvalidInput:
    return InvalidInput(f"dockerfile parse error on line {line}: {why}", hint=hint)


def _instructions(lines: Sequence[str], escape: str) -> list[Instruction]:
    found: list[Instruction] = []
    position = 0
    while position < len(lines):
        start = position
        stripped = lines[position].strip()
        if not stripped or stripped.startswith("#"):
            position += 1
            continue
        logical, position = _join(lines, position, escape)
        heredocs, position = _heredocs(logical, lines, position, start + 1)
        source = "\n".join(lines[start:position])
        if logical.strip():
            found.append(_instruction(logical.strip(), start + 1, position, source, tuple(heredocs)))
    return found


def _join(lines: Sequence[str], position: int, escape: str) -> tuple[str, int]:
    """One logical line: continuations joined, comments and empty lines within them left out."""
    continued = re.compile(rf"(?<!{re.escape(escape)}){re.escape(escape)}[ \t]*$")
    line = lines[position].lstrip()
    position += 1
    logical = ""
    while True:
        match = continued.search(line)
        if not match:
            return logical + line, position
        logical += line[: match.start()]
        while position < len(lines) and (not lines[position].strip() or lines[position].lstrip().startswith("#")):
            position += 1
        if position >= len(lines):
            return logical, position
        line = lines[position]
        position += 1


def _heredocs(logical: str, lines: Sequence[str], position: int, line: int) -> tuple[list[Heredoc], int]:
    word = logical.split(None, 1)[0].upper() if logical.split() else ""
    found: list[Heredoc] = []
    if word not in ("RUN", "COPY", "ADD") or "<<" not in logical:
        return found, position
    for match in _HEREDOC.finditer(_without_quoted(logical)):
        strip, quote, name = match.groups()
        content: list[str] = []
        while True:
            if position >= len(lines):
                raise _bad(line, f"unterminated heredoc: {name}", f"end it with a line that is only {name}")
            current = lines[position].lstrip("\t") if strip else lines[position]
            position += 1
            if current == name:
                break
            content.append(current)
        found.append(Heredoc(name, "".join(each + "\n" for each in content), not quote))
    return found, position


def _without_quoted(text: str) -> str:
    """The text with quoted `<<` made harmless, but the quotes of delimiters kept."""
    return re.sub(r"(?<!<)([\"'])(?:(?!\1).)*<<(?:(?!\1).)*\1", lambda match: " " * len(match.group()), text)


def _instruction(logical: str, line: int, end: int, source: str, heredocs: tuple[Heredoc, ...]) -> Instruction:
    word, _, rest = logical.partition(" ") if " " in logical.split("\t", 1)[0] else logical.partition("\t")
    name = word.upper()
    if name not in _INSTRUCTIONS:
        raise _bad(line, f"unknown instruction: {word}", _suggest(name))
    flags, text = _flags(name, rest.strip(), line)
    array = _json_form(text, line, name) if name in _JSON else None
    if not text and array is None and name not in ("SHELL",):
        raise _bad(
            line,
            f"{name} requires at least one argument"
            if name != "FROM"
            else "FROM requires either one or three arguments",
        )
    return Instruction(name, line, end, source, text, tuple(flags), array, heredocs)


def _suggest(name: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, _INSTRUCTIONS, 1)
    return f"did you mean {close[0]}?" if close else ""


def _flags(name: str, rest: str, line: int) -> tuple[list[tuple[str, str]], str]:
    flags: list[tuple[str, str]] = []
    known = _FLAGS.get(name, set())
    while rest.startswith("--") and known:
        word, _, after = rest.partition(" ")
        if word == "--":
            return flags, after.strip()
        key, equals, value = word[2:].partition("=")
        if key not in known:
            raise _bad(line, f"unknown flag: --{key}", f"{name} has: {', '.join(sorted(known))}")
        if key in dict(flags) and key not in _LIST_FLAGS:
            raise _bad(line, f"duplicate flag specified: {key}")
        flags.append((key, value if equals else "true"))
        rest = after.strip()
    return flags, rest


def _json_form(text: str, line: int, name: str) -> tuple[str, ...] | None:
    """The array; None for the shell form, which malformed JSON silently is too."""
    body = text.split(None, 1)[1] if name == "HEALTHCHECK" and len(text.split(None, 1)) > 1 else text
    if not body.startswith("["):
        return None
    try:
        value = json.loads(body)
    except ValueError:
        return None
    if not isinstance(value, list):
        return None
    if not all(isinstance(item, str) for item in value):
        raise _bad(line, "only string type is allowed in JSON format arrays")
    return tuple(value)


def _stages(directives: dict[str, str], instructions: Sequence[Instruction]) -> Dockerfile:
    arguments: list[Instruction] = []
    stages: list[Stage] = []
    body: list[Instruction] = []
    head: Instruction | None = None
    for instruction in instructions:
        if instruction.name == "FROM":
            if head is not None:
                stages.append(_stage(head, body, len(stages)))
            head, body = instruction, []
        elif head is not None:
            body.append(instruction)
        elif instruction.name == "ARG":
            arguments.append(instruction)
        else:
            raise _bad(instruction.line, "no build stage in current context", "begin with FROM")
    if head is None:
        raise InvalidInput("no build stage in current context", hint="the Dockerfile needs a FROM instruction")
    stages.append(_stage(head, body, len(stages)))
    return Dockerfile(directives, tuple(arguments), tuple(stages))


def _stage(head: Instruction, body: Sequence[Instruction], number: int) -> Stage:
    words = head.text.split()
    if len(words) not in (1, 3) or (len(words) == 3 and words[1].upper() != "AS"):
        raise _bad(head.line, "FROM requires either one or three arguments")
    name = words[2].lower() if len(words) == 3 else ""
    if name and not re.fullmatch(r"[a-z][a-z0-9-_.]*", name):
        raise _bad(
            head.line, f'invalid name for build stage: "{words[2]}", name can\'t start with a number or contain symbols'
        )
    return Stage(number, name, words[0], head.flag("platform"), tuple(body), head.line)
