"""The verbs about images: images rmi tag history."""

from __future__ import annotations

import sys

from wherry.base.clock import rfc3339, system_clock
from wherry.base.errors import InvalidInput, NotFound, WherryError
from wherry.cli.context import engine
from wherry.cli.filters import split_filter
from wherry.cli.flags import Command, Flag
from wherry.cli.output import ago, human_size, print_list, short_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from wherry.engine import Engine
    from wherry.store import Image

__all__ = ["run"]

_LIST = (
    Flag("all", "bool", "Show all images (there are no intermediate ones)", short="a"),
    Flag("digests", "bool", "Show digests"),
    Flag("filter", "list", "Show only what fits (dangling=, label=, reference=, before=, since=)", short="f"),
    Flag("format", "str", "table, json, or a Go template"),
    Flag("no-trunc", "bool", "Show whole values"),
    Flag("quiet", "bool", "Show only identifiers", short="q"),
)
_COLUMNS = [
    ("REPOSITORY", "Repository"),
    ("TAG", "Tag"),
    ("DIGEST", "Digest"),
    ("IMAGE ID", "ID"),
    ("CREATED", "CreatedSince"),
    ("SIZE", "Size"),
]
_FORMATS = (Flag("format", "str", "table, json, or a Go template"), Flag("no-trunc", "bool", "Show whole values"))


def run(argv: list[str]) -> int:
    """One of the verbs."""
    return {"images": _images, "rmi": _rmi, "tag": _tag, "history": _history}[argv[0]](argv[1:])


def _images(argv: list[str]) -> int:
    parsed = Command("wherry images", "[OPTIONS] [REPOSITORY[:TAG]]", "List images", _LIST, most=1).parse(argv)
    opened, wanted = engine(), [split_filter(text) for text in parsed["filter"]]
    patterns = [*parsed.args, *(value for key, value in wanted if key == "reference")]
    rows = [
        row
        for image in opened.images.all()
        if all(_fits(opened, image, key, value) for key, value in wanted)
        for row in _rows(image, whole=parsed["no-trunc"])
        if not patterns or any(_is_called(row, pattern) for pattern in patterns)
    ]
    if parsed["quiet"] and not parsed["format"]:
        for identifier in dict.fromkeys(row["ID"] for row in rows):
            print(identifier)
        return 0
    columns = [column for column in _COLUMNS if parsed["digests"] or column[1] != "Digest"]
    print_list(rows, columns, parsed["format"])
    return 0


def _is_called(row: dict[str, Any], pattern: str) -> bool:
    """Whether a name, with its tag or without, fits the pattern, whose `*` and `?` stand for no slash."""
    from fnmatch import fnmatchcase

    from wherry.oci.reference import parse_reference

    try:
        reference = parse_reference(pattern, default_tag=False)
    except InvalidInput:  # it has wildcards
        parts = pattern.split("/")
        names = (row["Repository"], f"{row['Repository']}:{row['Tag']}")
        return any(
            len(parts) == name.count("/") + 1 and all(map(fnmatchcase, name.split("/"), parts)) for name in names
        )
    same = row["Repository"] == reference.familiar_name()
    return same and (not reference.tag or row["Tag"] == reference.tag)


def _rows(image: Image, *, whole: bool) -> Iterator[dict[str, Any]]:
    from wherry.oci.reference import parse_reference

    common = {
        "ID": short_id(image.id, whole=whole),
        "Digest": image.manifest_digest,
        "CreatedAt": rfc3339(image.created),
        "CreatedSince": ago(image.created, system_clock()),
        "Size": human_size(image.size, digits=3),
        "VirtualSize": human_size(image.size, digits=4),
        "Containers": "N/A",
        "SharedSize": "N/A",
        "UniqueSize": "N/A",
    }
    for name in image.names or ("",):
        reference = parse_reference(name) if name else None
        yield {
            "Repository": reference.familiar_name() if reference else "<none>",
            "Tag": (reference.tag if reference else "") or "<none>",
            **common,
        }


def _fits(opened: Engine, image: Image, key: str, value: str) -> bool:
    if key == "dangling":
        return (not image.names) == _is_true(f"{key}={value}", value)
    if key == "label":
        name, equals, wanted = value.partition("=")
        labels = opened.images.config(image).config.labels
        return name in labels and (not equals or labels[name] == wanted)
    if key in ("before", "since"):
        other = opened.images.resolve(value)
        return image.created < other.created if key == "before" else image.created > other.created
    if key == "reference":  # of each of its names
        return True
    raise InvalidInput(f"Invalid filter '{key}'", hint="there are: dangling, label, reference, before, since")


def _is_true(filter: str, value: str) -> bool:
    if value.lower() not in ("true", "false", "1", "0", "t", "f"):
        raise InvalidInput(f"Invalid filter '{filter}'", hint="write true or false")
    return value.lower() in ("true", "1", "t")


def _rmi(argv: list[str]) -> int:
    flags = (
        Flag("force", "bool", "Remove names even where containers or several names use the image", short="f"),
        Flag("no-prune", "bool", "Do not remove parents without a name (there are none)"),
    )
    parsed = Command("wherry rmi", "[OPTIONS] IMAGE [IMAGE...]", "Remove images", flags, least=1).parse(argv)
    opened, code = engine(), 0
    for name in parsed.args:
        try:
            removals = opened.images.remove(name, force=parsed["force"])
        except WherryError as error:
            print(f"Error: {error.message}", file=sys.stderr)
            code = code if parsed["force"] and isinstance(error, NotFound) else 1
            continue
        for removal in removals:
            print(f"{removal.what}: {removal.name}")
    return code


def _tag(argv: list[str]) -> int:
    command = Command(
        "wherry tag",
        "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
        "Give an image a further name",
        least=2,
        most=2,
        interspersed=False,
    )
    source, target = command.parse(argv).args
    engine().images.tag(source, target)
    return 0


def _history(argv: list[str]) -> int:
    flags = (
        *_FORMATS,
        Flag("human", "bool", "Sizes and times for people", short="H", default=True),
        Flag("quiet", "bool", "Show only identifiers", short="q"),
    )
    parsed = Command("wherry history", "[OPTIONS] IMAGE", "Show how an image came to be", flags, least=1, most=1).parse(
        argv
    )
    human, whole = parsed["human"], parsed["no-trunc"]
    rows = []
    for entry in engine().images.history(parsed.args[0]):
        by = entry.created_by if whole or len(entry.created_by) <= 45 else entry.created_by[:44] + "…"
        rows.append(
            {
                "ID": short_id(entry.id, whole=whole),
                "CreatedAt": rfc3339(entry.created),
                "CreatedSince": ago(entry.created, system_clock()) if human else rfc3339(entry.created),
                "CreatedBy": by,
                "Size": human_size(entry.size, digits=3) if human else str(entry.size),
                "Comment": entry.comment,
            }
        )
    if parsed["quiet"]:
        print("\n".join(row["ID"] for row in rows))
        return 0
    columns = [("IMAGE", "ID"), ("CREATED", "CreatedSince"), ("CREATED BY", "CreatedBy"), ("SIZE", "Size")]
    print_list(rows, [*columns, ("COMMENT", "Comment")], parsed["format"])
    return 0
