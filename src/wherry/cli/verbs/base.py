"""`base list|build`."""

from __future__ import annotations

import sys

from wherry.cli.context import engine
from wherry.cli.flags import Command, Flag
from wherry.cli.group import dispatch
from wherry.cli.output import human_size, print_list, short_id

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """One of the words."""
    return dispatch("base", argv, {}, {"list": _list, "ls": _list, "build": _build})


def _list(argv: list[str]) -> int:
    flags = (Flag("format", "str", "table, json, or a Go template"),)
    parsed = Command(
        "wherry base list", "[OPTIONS]", "List the families and what is built of them", flags, most=0
    ).parse(argv)
    from wherry.build.bases import FAMILIES, find_base
    from wherry.oci.reference import parse_reference

    opened = engine()
    rows = []
    for family in FAMILIES.values():
        image = find_base(opened, family.name)
        names = [parse_reference(name).familiar() for name in image.names] if image else []
        labels = opened.images.config(image).config.labels if image else {}
        rows.append(
            {
                "Family": family.name,
                "Version": labels.get("io.wherry.base.version", "-"),
                "Distribution": labels.get("io.wherry.base.distribution", "-"),
                "Names": ", ".join(names) or "not built",
                "ID": short_id(image.id) if image else "-",
                "Size": human_size(image.size, digits=3) if image else "-",
                "Summary": family.summary,
            }
        )
    columns = [
        ("FAMILY", "Family"),
        ("VERSION", "Version"),
        ("NAMES", "Names"),
        ("SIZE", "Size"),
        ("WHAT IT HAS", "Summary"),
    ]
    print_list(rows, columns, parsed["format"])
    return 0


def _build(argv: list[str]) -> int:
    flags = (
        Flag(
            "ca-bundle", "str", "CA certificates that steps see while they run (a file, host, or none)", default="host"
        ),
        Flag("if-missing", "bool", "Do nothing for families that are built already"),
        Flag("progress", "str", "How progress is shown (auto, plain, tty)", default="auto"),
    )
    usage = "[OPTIONS] NAME[:TAG] [NAME[:TAG]...]"
    parsed = Command("wherry base build", usage, "Make base images from packages", flags, least=1).parse(argv)
    from wherry.build.bases import build_base
    from wherry.build.definition import ca_bundle
    from wherry.cli.progress import choose

    opened, sink = engine(), choose(parsed["progress"], sys.stderr)
    for name in parsed.args:
        built = build_base(
            opened, name, sink, ca_bundle=ca_bundle(parsed["ca-bundle"]), if_missing=bool(parsed["if-missing"])
        )
        print(f"{short_id(built.image.id)}  {'  '.join(built.names)}")
    return 0
