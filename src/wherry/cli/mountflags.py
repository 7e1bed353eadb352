"""What `--volume`, `--mount` and `--tmpfs` mean. Docker's grammar and words."""

from __future__ import annotations

import os

from wherry.base.errors import InvalidInput, UsageError
from wherry.cli.parsing import BOOLEANS, parse_size
from wherry.engine.request import MountRequest

__all__ = ["parse_mount", "parse_tmpfs", "parse_volume"]

_PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
# What may stand after the second colon of a volume: one of each.
_OPTIONS = (_PROPAGATIONS, ("ro", "rw"), ("nocopy",), ("z", "Z"), ("cached", "delegated", "consistent"))


def parse_volume(text: str) -> MountRequest:
    """`[source:]target[:options]`; a source that begins with `/`, `.` or `~` is a path, else a volume's name."""
    parts = text.split(":")
    if not 1 <= len(parts) <= 3 or not parts[0] or (len(parts) > 1 and not parts[1]):
        raise InvalidInput(
            f"invalid spec: {text}: empty section between colons"
            if "" in parts
            else f"invalid volume specification: '{text}'"
        )
    if len(parts) == 1:
        return MountRequest("volume", _absolute(parts[0], text))
    options = parts[2].split(",") if len(parts) == 3 else []
    chosen = [[option for option in options if option in words] for words in _OPTIONS]
    if sum(map(len, chosen)) < len(options) or any(len(words) > 1 for words in chosen):
        raise InvalidInput(f"invalid volume specification: '{text}': invalid mode: {parts[2]}")
    read_only, no_copy = "ro" in options, "nocopy" in options
    propagation = next(iter(chosen[0]), "rprivate")
    source, target = parts[0], _absolute(parts[1], text)
    if source[0] in "/.~":
        path = os.path.abspath(os.path.expanduser(source))
        return MountRequest("bind", target, path, read_only, propagation=propagation, create_source=True)
    return MountRequest("volume", target, source, read_only, no_copy=no_copy)


def _absolute(path: str, text: str) -> str:
    if not path.startswith("/"):
        raise InvalidInput(
            f"invalid volume specification: '{text}': invalid mount path: '{path}' mount path must be absolute"
        )
    return path


_KINDS = ("bind", "volume", "tmpfs")
_SWITCHES = ("readonly", "ro", "volume-nocopy")
_NAMES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
_KEYS = {
    "type", "source", "target", "readonly", "consistency", "bind-propagation", "volume-nocopy", "tmpfs-size",
    "tmpfs-mode",
}  # fmt: skip


def parse_mount(text: str) -> MountRequest:
    """`type=bind,source=...,target=...,readonly`; a field that holds a comma stands in double quotes.

    Raises UsageError: for a field that is none, a value that does not fit, or an option of another type of mount.
    """
    try:
        return _mount(_fields(text))
    except InvalidInput as error:
        raise UsageError(f'invalid argument "{text}" for "--mount" flag: {error.message}') from None


def _fields(text: str) -> dict[str, str]:
    import csv

    try:
        fields = next(csv.reader([text]), [])
    except csv.Error as error:
        raise InvalidInput(str(error)) from None
    values: dict[str, str] = {}
    for field in fields:
        key, equals, value = field.partition("=")
        name = key.lower()
        if not equals and name not in _SWITCHES:
            raise InvalidInput(f"invalid field '{field}' must be a key=value pair")
        name = _NAMES.get(name, name)
        if name not in _KEYS:
            raise InvalidInput(f"unexpected key '{key}' in '{field}'")
        values[name] = value if equals else "true"
    return values


def _mount(values: dict[str, str]) -> MountRequest:
    kind = values.get("type", "volume").lower()
    if kind not in _KINDS:
        raise InvalidInput(f'mount type unknown: "{kind}"', hint=f"there are: {', '.join(_KINDS)}")
    if not values.get("target"):
        raise InvalidInput("target is required")
    for other in _KINDS:
        if other != kind and any(name.startswith(f"{other}-") for name in values):
            raise InvalidInput(f"cannot mix '{other}-*' options with mount type '{kind}'")
    source, target = values.get("source", ""), values["target"]
    if not target.startswith("/"):
        raise InvalidInput(f"invalid mount path: '{target}' mount path must be absolute")
    if kind == "bind" and not source.startswith("/"):
        raise InvalidInput(f"invalid mount path: '{source}' mount path must be absolute")
    if kind == "tmpfs" and source:
        raise InvalidInput('invalid mount config for type "tmpfs": field Source must not be specified')
    propagation = values.get("bind-propagation", "rprivate").lower()
    if propagation not in _PROPAGATIONS:
        raise InvalidInput(f'invalid propagation mode "{propagation}"', hint=f"there are: {', '.join(_PROPAGATIONS)}")
    return MountRequest(
        kind,
        target,
        source,
        _boolean(values, "readonly"),
        (f"mode={mode:o}",) if (mode := _octal(values, "tmpfs-mode")) else (),
        _size(values, "tmpfs-size"),
        propagation,
        no_copy=_boolean(values, "volume-nocopy"),
    )


def _boolean(values: dict[str, str], name: str) -> bool:
    text = values.get(name, "false")
    if text.lower() not in BOOLEANS:
        raise InvalidInput(f"invalid value for {name}: {text}", hint="write true or false")
    return BOOLEANS[text.lower()]


def _octal(values: dict[str, str], name: str) -> int:
    text = values.get(name, "0")
    try:
        return int(text, 8)
    except ValueError:
        raise InvalidInput(f"invalid value for {name}: {text}", hint="write for instance 1777") from None


def _size(values: dict[str, str], name: str) -> int:
    text = values.get(name, "0")
    try:
        return parse_size(text)
    except InvalidInput:
        raise InvalidInput(f"invalid value for {name}: {text}", hint="write for instance 64m") from None


def parse_tmpfs(text: str) -> MountRequest:
    """`/target[:options]`."""
    target, _, options = text.partition(":")
    return MountRequest("tmpfs", _absolute(target, text), options=tuple(each for each in options.split(",") if each))
