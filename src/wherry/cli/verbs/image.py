"""`image ...`: the grouped spelling of the image verbs, and `image prune`."""

from __future__ import annotations

from wherry.cli.context import engine
from wherry.cli.flags import Command, Flag
from wherry.cli.group import confirm, dispatch
from wherry.cli.output import human_size

__all__ = ["run"]

_WORDS = {
    "ls": "images", "list": "images", "rm": "rmi", "remove": "rmi", "tag": "tag", "history": "history",
    "build": "build", "pull": "pull", "push": "push", "save": "save", "load": "load",
}  # fmt: skip


def run(argv: list[str]) -> int:
    """Hand over to the verb, or prune or inspect."""
    return dispatch("image", argv, _WORDS, {"prune": _prune, "inspect": _inspect})


def _inspect(argv: list[str]) -> int:
    from wherry.cli.verbs.inspect import inspect_things

    flags = (Flag("format", "str", "json, or a Go template", short="f"),)
    parsed = Command("wherry image inspect", "IMAGE...", "Show everything about images", flags, least=1).parse(argv)
    return inspect_things(parsed.args, parsed["format"], ["image"])


def _prune(argv: list[str]) -> int:
    flags = (
        Flag("all", "bool", "Remove all images that no container uses, not only those without a name", short="a"),
        Flag("filter", "list", "Remove only what fits (until=, label=)"),
        Flag("force", "bool", "Do not ask", short="f"),
    )
    parsed = Command("wherry image prune", "[OPTIONS]", "Remove unused images", flags, most=0).parse(argv)
    what = "all images without at least one container associated to them" if parsed["all"] else "all dangling images"
    if not parsed["force"] and not confirm(f"This will remove {what}."):
        return 0
    until, labels = _filters(parsed["filter"])
    removals, freed = engine().images.prune(every=parsed["all"], until=until, labels=labels)
    if removals:
        print("Deleted Images:")
        for removal in removals:
            print(f"{removal.what.lower()}: {removal.name}")
        print()
    print(f"Total reclaimed space: {human_size(freed)}")
    return 0


def _filters(given: list[str]) -> tuple[int, dict[str, str]]:
    from wherry.base.errors import InvalidInput
    from wherry.cli.verbs.logs import parse_moment

    until, labels = 0, {}
    for text in given:
        key, _, value = text.partition("=")
        if key == "until":
            until = parse_moment(value)
        elif key == "label":
            name, _, wanted = value.partition("=")
            labels[name] = wanted
        else:
            raise InvalidInput(f"Invalid filter '{key}'", hint="there are: until, label")
    return until, labels
