"""`copy`: an image from one place to another."""

from __future__ import annotations

import sys

from wherry.base.errors import UsageError
from wherry.base.progress import nobody
from wherry.cli.context import engine
from wherry.cli.flags import Command, Flag
from wherry.cli.verbs.push import COMPRESSION, compression

__all__ = ["run"]

_FLAGS = (
    Flag("all", "bool", "Copy every image of an index", short="a"),
    COMPRESSION,
    Flag("platform", "str", "Which image of an index is copied (this machine's)"),
    Flag("quiet", "bool", "Print only the digest", short="q"),
)
_SUMMARY = """Copy an image between registries, layouts, archives and the store

A place is docker://NAME, oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME] or store:NAME."""


def run(argv: list[str]) -> int:
    """Copy, and print the digest of what is there now."""
    parsed = Command("wherry copy", "[OPTIONS] SOURCE DESTINATION", _SUMMARY, _FLAGS, least=2, most=2).parse(argv[1:])
    from wherry.cli.transfers import layer_lines

    if parsed["all"] and parsed["platform"]:
        raise UsageError("--all and --platform are mutually exclusive")
    source, target = parsed.args
    copied = engine().exchange.copy(
        source,
        target,
        platform=parsed["platform"],
        everything=parsed["all"],
        compression=compression(parsed["compression"]) if parsed["compression"] else "",
        progress=nobody if parsed["quiet"] else layer_lines(sys.stderr),
    )
    print(copied.digest)
    return 0
