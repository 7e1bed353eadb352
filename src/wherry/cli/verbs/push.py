"""`push`."""

from __future__ import annotations

import sys

from wherry.base.errors import InvalidInput, UsageError
from wherry.base.progress import nobody
from wherry.cli.context import engine
from wherry.cli.flags import Command, Flag

__all__ = ["COMPRESSION", "compression", "run"]

COMPRESSION = Flag("compression", "str", "How layers are compressed that are stored plain (gzip, zstd, none)")
_FLAGS = (
    Flag("all-tags", "bool", "Push every tag of the repository", short="a"),
    COMPRESSION,
    Flag("disable-content-trust", "bool", "Skip image signing (images are not signed)", default=True),
    Flag("platform", "str", "Push only where the image is for this platform"),
    Flag("quiet", "bool", "Print only the name", short="q"),
)


def compression(text: str) -> str:
    """A value of --compression; empty for none. Raises InvalidInput."""
    if text not in ("gzip", "zstd", "none"):
        raise InvalidInput(f"invalid --compression: {text}", hint="gzip, zstd or none")
    return "" if text == "none" else text


def run(argv: list[str]) -> int:
    """Send images to a registry."""
    command = Command("wherry push", "[OPTIONS] NAME[:TAG]", "Send an image to its registry", _FLAGS, least=1, most=1)
    parsed = command.parse(argv[1:])
    from wherry.cli.transfers import layer_lines
    from wherry.oci.reference import parse_reference

    text, quiet = parsed.args[0], parsed["quiet"]
    bare, chosen = parse_reference(text, default_tag=False), compression(parsed["compression"] or "gzip")
    if bare.digest:
        raise InvalidInput("cannot push a digest reference", hint="name a tag")
    if parsed["all-tags"] and bare.tag:
        raise UsageError("tag can't be used with --all-tags/-a")
    opened = engine()
    every = opened.exchange.tags_here(text) if parsed["all-tags"] else [parse_reference(text)]
    if not quiet:
        if not parsed["all-tags"] and not bare.tag:
            print("Using default tag: latest")
        print(f"The push refers to repository [{bare.name}]", flush=True)
    for reference in every:
        sink = nobody if quiet else layer_lines(sys.stdout)
        sent = opened.exchange.push(reference, platform=parsed["platform"], compression=chosen, progress=sink)
        if not quiet:
            print(f"{reference.tag}: digest: {sent.digest} size: {len(sent.data)}", flush=True)
    if quiet:
        print(bare if parsed["all-tags"] else every[0])
    return 0
