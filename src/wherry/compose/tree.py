"""A Compose document as a tree of values that know where they were written."""

from __future__ import annotations

from wherry.base.errors import InvalidInput
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    Path = tuple[str, ...]

__all__ = ["OVERRIDE", "RAW", "RESET", "Mark", "Node", "invalid", "nearest", "plain", "settle"]

RESET, OVERRIDE = "!reset", "!override"  # what a file says about the value of the files before it
RAW = "$"  # the tag of text whose variables are to stay as they are written


class Mark(NamedTuple):
    """A place in a file; lines and columns are counted from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Node(NamedTuple):
    """A value: a dict of Nodes, a list of Nodes, or a scalar (str, int, float, bool, None).

    `mark` is where the value begins, `key` where its key in a mapping does (the same for all else).
    """

    value: Any
    mark: Mark
    key: Mark
    tag: str = ""

    def at(self, value: Any) -> Node:
        """Another value at the same place, untagged."""
        return Node(value, self.mark, self.key)

    @property
    def kind(self) -> str:
        """What it is, in words for people."""
        names = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}
        return names.get(type(self.value), "a number")


def plain(node: Node) -> Any:
    """The value without its places."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def settle(node: Node) -> Node:
    """The tree without what `!reset` removes, when nothing is merged any more."""
    if isinstance(node.value, dict):
        kept = {key: settle(child) for key, child in node.value.items() if child.tag != RESET}
        return node._replace(value=kept, tag="")
    if isinstance(node.value, list):
        return node._replace(value=[settle(child) for child in node.value if child.tag != RESET], tag="")
    return node if node.tag == RAW else node._replace(tag="")


def invalid(mark: Mark, path: Path, what: str, hint: str = "") -> InvalidInput:
    """The error for something in a file: where, which key, what is wrong."""
    where = f"{'.'.join(path)}: " if path else ""
    return InvalidInput(f"{mark}: {where}{what}", hint=hint)


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that somebody who wrote `word` probably meant, or an empty string."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word.lower(), list(known), 1, 0.6)), "")
