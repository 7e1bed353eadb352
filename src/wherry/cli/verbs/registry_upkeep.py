"""`registry gc|check|stats`."""

from __future__ import annotations

from wherry.cli.flags import Command, Flag
from wherry.cli.output import human_size, print_list
from wherry.cli.verbs.registry import DATA_FLAGS, opened

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """One of the words."""
    return {"gc": _collect, "check": _check, "stats": _stats}[argv[0]](argv[1:])


def _collect(argv: list[str]) -> int:
    flags = (
        *DATA_FLAGS,
        Flag("grace", "str", "Keep what was pushed or asked for since (default: the configuration's, 24h)"),
        Flag("untagged", "bool", "Remove manifests that no tag, index or subject holds, too"),
    )
    summary = "Remove what nothing names any more; pushes may go on meanwhile"
    parsed = Command("wherry registry gc", "[OPTIONS]", summary, flags, most=0).parse(argv)
    from wherry.registry.collecting import collect, expire_uploads
    from wherry.registry.configuration import parse_span

    service = opened(parsed)
    configuration = service.configuration
    grace = parse_span(parsed["grace"]) if parsed["grace"] else configuration.gc_grace
    now = service.clock()
    stale, before = now - configuration.upload_expiry * 1_000_000_000, now - grace * 1_000_000_000
    uploads = service.reserve.lend(lambda: expire_uploads(service.catalog, service.storage, stale))
    untagged = parsed["untagged"] or configuration.gc_untagged
    found = service.reserve.lend(lambda: collect(service.catalog, service.storage, before, untagged=untagged))
    print(f"{found.manifests} manifests, {found.blobs} blobs, {uploads} uploads")
    print(f"Total reclaimed space: {human_size(found.freed)}")
    return 0


def _check(argv: list[str]) -> int:
    flags = (*DATA_FLAGS, Flag("quick", "bool", "Do not read the blobs, compare their sizes alone"))
    summary = "Verify that everything is there, byte for byte"
    parsed = Command("wherry registry check", "[OPTIONS]", summary, flags, most=0).parse(argv)
    from wherry.registry.checking import check

    service, problems = opened(parsed), 0
    for problem in check(service.catalog, service.storage, read=not parsed["quick"]):
        print(problem)
        problems += 1
    if problems:
        from wherry.base.errors import Corrupt

        raise Corrupt(
            f"{problems} problems were found",
            hint="push the images again that need what is missing or damaged, after removing the damaged files",
        )
    print("everything is there")
    return 0


def _stats(argv: list[str]) -> int:
    flags = (*DATA_FLAGS, Flag("format", "str", "table, json, or a Go template"))
    parsed = Command("wherry registry stats", "[OPTIONS]", "Show what the repositories hold", flags, most=0).parse(argv)
    from wherry.registry.metadata import statistics

    service = opened(parsed)
    rows = [
        {
            "Repository": each.repository,
            "Tags": str(each.tags),
            "Manifests": str(each.manifests),
            "Blobs": str(each.blobs),
            "Size": human_size(each.size),
        }
        for each in statistics(service.catalog.reading)
    ]
    columns = [("REPOSITORY", "Repository"), ("TAGS", "Tags"), ("MANIFESTS", "Manifests"), ("BLOBS", "Blobs")]
    print_list(rows, [*columns, ("SIZE", "Size")], parsed["format"])
    return 0
