"""`RUN --mount=...` as a value, by BuildKit's rules (Dockerfile reference, RUN --mount; parseMount). Pure."""

from __future__ import annotations

import re

from wherry.base.errors import InvalidInput, Unsupported
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MountFlag", "mount_source", "parse_mount"]

_KINDS = ("bind", "cache", "tmpfs", "secret", "ssh")
_SHARING = ("shared", "private", "locked")
_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")
_NAMES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly", "rw": "readwrite"}
_ONLY = {
    "size": ("tmpfs",),
    "required": ("secret", "ssh"),
    "sharing": ("cache",),
    "mode": ("cache", "secret", "ssh"),
    "uid": ("cache", "secret", "ssh"),
    "gid": ("cache", "secret", "ssh"),
    "env": ("secret",),
}


class MountFlag(NamedTuple):
    """One mount as it was written, expanded. `mode`, `uid` and `gid` are None where not given; `size` in bytes."""

    kind: str
    target: str = ""
    source: str = ""
    origin: str = ""  # from=: a stage, an image or a named context
    id: str = ""
    read_only: bool = True
    sharing: str = "shared"
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    size: int = 0
    env: str = ""
    required: bool = False


def mount_source(text: str) -> str:
    """What `from=` names; empty for none."""
    return dict(_fields(text)).get("from") or ""


def parse_mount(text: str, expand: Callable[[str], str]) -> MountFlag:
    """The value of one `--mount`, its variables replaced by `expand`. Raises InvalidInput."""
    given: dict[str, str | None] = {}
    for name, value in _fields(text):
        if name == "from" and value and re.search(r"\$.", value):
            raise InvalidInput(
                "'from' doesn't support variable expansion, define alias stage instead", hint=f"--mount={text}"
            )
        given[name] = expand(value) if value is not None else None
    kind = given.pop("type", "bind") or ""
    if kind not in _KINDS:
        raise InvalidInput(f'unsupported mount type "{kind}"', hint=f"it is one of {', '.join(_KINDS)}")
    if kind == "ssh":
        raise Unsupported("RUN --mount=type=ssh is not supported", hint="give the step what it needs as a secret")
    for name, value in given.items():
        _check(kind, name, value)
    return _checked(_value(kind, given))


def _fields(text: str) -> list[tuple[str, str | None]]:
    """The fields of a CSV line as pairs; None where there is no `=`."""
    import csv

    try:
        words = next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise InvalidInput(f"failed to parse csv mounts: {error}") from None
    pairs = []
    for word in words:
        name, equals, value = word.partition("=")
        name = _NAMES.get(name.lower(), name.lower())
        if not equals and name not in ("readonly", "readwrite", "required"):
            raise InvalidInput(f"invalid field '{word}' must be a key=value pair")
        pairs.append((name, value if equals else None))
    return pairs


def _check(kind: str, name: str, value: str | None) -> None:
    known = ("from", "source", "target", "readonly", "readwrite", "id", *_ONLY)
    if name not in known:
        from difflib import get_close_matches

        close = get_close_matches(name, known, 1)
        raise InvalidInput(
            f"unexpected key '{name}' in '{name}={value}'", hint=f"did you mean {close[0]}?" if close else ""
        )
    if name in _ONLY and kind not in _ONLY[name]:
        raise InvalidInput(f"unexpected key '{name}' for mount type '{kind}'")
    if name == "sharing" and value not in _SHARING:
        raise InvalidInput(f'unsupported sharing value "{value}"', hint=f"it is one of {', '.join(_SHARING)}")


def _value(kind: str, given: dict[str, str | None]) -> MountFlag:
    read_only = kind not in ("cache", "tmpfs")
    if "readonly" in given:
        read_only = _truth("readonly", given["readonly"])
    if "readwrite" in given:
        read_only = not _truth("readwrite", given["readwrite"])
    return MountFlag(
        kind,
        given.get("target") or "",
        given.get("source") or "",
        given.get("from") or "",
        given.get("id") or "",
        read_only,
        given.get("sharing") or "shared",
        _number("mode", given.get("mode"), 8),
        _number("uid", given.get("uid"), 10),
        _number("gid", given.get("gid"), 10),
        _bytes(given.get("size")),
        given.get("env") or "",
        "required" in given and _truth("required", given["required"]),
    )


def _checked(mount: MountFlag) -> MountFlag:
    if mount.kind == "secret":
        if mount.origin:
            raise InvalidInput("secret mount should not have a from")
        if not (mount.source or mount.target or mount.id):
            raise InvalidInput("invalid secret mount. one of source, target required", hint="name it with id=")
        if mount.source and mount.id:
            raise InvalidInput("both source and id can't be set")
    elif not mount.target:
        raise InvalidInput(f"a {mount.kind} mount needs a target", hint="add target=/path")
    return mount


def _truth(name: str, value: str | None) -> bool:
    if value is None or value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise InvalidInput(f"invalid value for {name}: {value}")


def _number(name: str, value: str | None, base: int) -> int | None:
    if value is None:
        return None
    digits = "01234567" if base == 8 else "0123456789"
    if not value or set(value) - set(digits) or int(value, base) >= 1 << 32:
        raise InvalidInput(f"invalid value {value} for {name}")
    return int(value, base)


def _bytes(value: str | None) -> int:
    if value is None:
        return 0
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?", value.lower())
    if not match:
        raise InvalidInput(f"invalid value for size: {value}")
    return int(float(match[1]) * 1024 ** " kmgtp".index(match[2] or " "))
