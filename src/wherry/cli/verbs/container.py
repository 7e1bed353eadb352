"""`container ...`: the grouped spelling of the container verbs, and `container prune`."""

from __future__ import annotations

from wherry.cli.context import engine
from wherry.cli.flags import Command, Flag
from wherry.cli.group import confirm, dispatch
from wherry.cli.output import human_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.engine.records import Container

__all__ = ["PRUNE_FLAGS", "prune_filter", "run"]

_WORDS = {
    "ls": "ps", "list": "ps", "ps": "ps", "run": "run", "create": "create", "logs": "logs", "exec": "exec",
    "start": "start", "stop": "stop", "restart": "restart", "kill": "kill", "rm": "rm", "pause": "pause",
    "unpause": "unpause", "wait": "wait", "rename": "rename", "attach": "attach", "port": "port", "top": "top",
    "cp": "cp", "export": "export", "diff": "diff",
}  # fmt: skip
PRUNE_FLAGS = (
    Flag("filter", "list", "Remove only what fits (until=, label=, label!=)"),
    Flag("force", "bool", "Do not ask", short="f"),
)


def run(argv: list[str]) -> int:
    """Hand over to the verb, or prune or inspect."""
    return dispatch("container", argv, _WORDS, {"prune": _prune, "inspect": _inspect})


def _inspect(argv: list[str]) -> int:
    from wherry.cli.verbs.inspect import inspect_things

    flags = (Flag("format", "str", "json, or a Go template", short="f"), Flag("size", "bool", "Add sizes", short="s"))
    parsed = Command(
        "wherry container inspect", "CONTAINER...", "Show everything about containers", flags, least=1
    ).parse(argv)
    return inspect_things(parsed.args, parsed["format"], ["container"], sizes=parsed["size"])


def _prune(argv: list[str]) -> int:
    parsed = Command("wherry container prune", "[OPTIONS]", "Remove all stopped containers", PRUNE_FLAGS, most=0).parse(
        argv
    )
    if not parsed["force"] and not confirm("This will remove all stopped containers."):
        return 0
    removed, freed = engine().containers.prune(prune_filter(parsed["filter"]))
    if removed:
        print("Deleted Containers:", *removed, sep="\n")
        print()
    print(f"Total reclaimed space: {human_size(freed)}")
    return 0


class prune_filter:  # noqa: N801 (used as a function)
    """Says of a container whether the filters keep it."""

    def __init__(self, filters: list[str]) -> None:
        from wherry.base.errors import InvalidInput
        from wherry.cli.verbs.logs import parse_moment

        self._until, self._labels = 0, []
        for text in filters:
            key, _, value = text.partition("=")
            if key == "until":
                self._until = parse_moment(value)
            elif key in ("label", "label!"):
                self._labels.append((key == "label", value))
            else:
                raise InvalidInput(f"Invalid filter '{key}'", hint="there are: until, label, label!")

    def __call__(self, container: Container) -> bool:
        """Whether the container stays."""
        if self._until and container.created > self._until:
            return True
        return any(self._has(container, text) != wanted for wanted, text in self._labels)

    def _has(self, container: Container, text: str) -> bool:
        key, equals, value = text.partition("=")
        labels = container.request.labels
        return key in labels and (not equals or labels[key] == value)
