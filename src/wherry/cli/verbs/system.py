"""`system df|prune|info`."""

from __future__ import annotations

from wherry.cli.context import engine
from wherry.cli.flags import Command, Flag
from wherry.cli.group import confirm, dispatch
from wherry.cli.output import human_size, print_list

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """One of the words."""
    return dispatch("system", argv, {"info": "info"}, {"df": _usage, "prune": _prune})


def _usage(argv: list[str]) -> int:
    from wherry.engine.system import disk_usage

    flags = (Flag("format", "str", "table, json, or a Go template"),)
    parsed = Command("wherry system df", "[OPTIONS]", "Show what takes space", flags, most=0).parse(argv)
    rows = []
    for line in disk_usage(engine()):
        share = f" ({line.reclaimable * 100 // line.size}%)" if line.size else ""
        rows.append(
            {
                "Type": line.kind,
                "TotalCount": str(line.total),
                "Active": str(line.active),
                "Size": human_size(line.size),
                "Reclaimable": human_size(line.reclaimable) + share,
            }
        )
    columns = [("TYPE", "Type"), ("TOTAL", "TotalCount"), ("ACTIVE", "Active"), ("SIZE", "Size")]
    print_list(rows, [*columns, ("RECLAIMABLE", "Reclaimable")], parsed["format"])
    return 0


def _prune(argv: list[str]) -> int:
    flags = (
        Flag("all", "bool", "All images that no container uses, not only those without a name", short="a"),
        Flag("filter", "list", "Remove only what fits (until=, label=, label!=)"),
        Flag("force", "bool", "Do not ask", short="f"),
        Flag("volumes", "bool", "Anonymous volumes too"),
    )
    parsed = Command("wherry system prune", "[OPTIONS]", "Remove what is not used", flags, most=0).parse(argv)
    from wherry.cli.verbs.container import prune_filter

    images = "all images without at least one container" if parsed["all"] else "all dangling images"
    warning = f"This will remove all stopped containers, {images} and all build cache."
    if not parsed["force"] and not confirm(warning):
        return 0
    from wherry.cli.verbs.builder import prune_cache

    opened, keep = engine(), prune_filter(parsed["filter"])
    caches, freed = ([], 0) if parsed["filter"] else prune_cache(opened)  # it has neither labels nor ages
    pruned = opened.prune(every=parsed["all"], volumes=parsed["volumes"], keep=keep)
    for title, lines in (
        ("Deleted Containers:", pruned.containers),
        ("Deleted Volumes:", pruned.volumes),
        ("Deleted Images:", pruned.images),
        ("Deleted build cache objects:", caches),
    ):
        if lines:
            print(title, *lines, sep="\n")
            print()
    print(f"Total reclaimed space: {human_size(freed + pruned.bytes)}")
    return 0
