"""`builder build|prune`."""

from __future__ import annotations

from wherry.cli.context import engine
from wherry.cli.flags import Command, Flag
from wherry.cli.group import confirm, dispatch
from wherry.cli.output import human_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.engine import Engine

__all__ = ["prune_cache", "run"]

_LATER = "the build cache goes as a whole"


def run(argv: list[str]) -> int:
    """One of the words."""
    return dispatch("builder", argv, {"build": "build"}, {"prune": _prune})


def prune_cache(opened: Engine) -> tuple[list[str], int]:
    """Forget every step, and remove the caches that no step has mounted now; what went, and freed bytes of caches.

    What steps made goes with the next collection, where no image needs it.
    """
    from wherry.build.cache import BuildCache

    BuildCache(opened.store).clear()
    return opened.cache_mounts.prune()


def _prune(argv: list[str]) -> int:
    flags = (
        Flag("all", "bool", "All of it (always done)", short="a"),
        Flag("filter", "list", "Remove only what fits", unsupported=_LATER),
        Flag("force", "bool", "Do not ask", short="f"),
        Flag("keep-storage", "str", "What to keep", unsupported=_LATER),
    )
    parsed = Command("wherry builder prune", "[OPTIONS]", "Remove the build cache", flags, most=0).parse(argv)
    if not parsed["force"] and not confirm("This will remove all build cache."):
        return 0
    opened = engine()
    removed, freed = prune_cache(opened)
    collected = opened.store.collect()
    lines = [*removed, *collected.snapshots]
    if lines:
        print("Deleted build cache objects:", *lines, sep="\n")
        print()
    print(f"Total reclaimed space: {human_size(freed + collected.bytes)}")
    return 0
