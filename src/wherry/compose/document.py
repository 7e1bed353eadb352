"""YAML text to a tree, by the rules of the Go library that Compose reads its files with.

The syntax is PyYAML's business (its C parser keeps places and is fast); what a plain scalar means is decided here,
because YAML 1.1 as PyYAML reads it makes `yes` true and `22:22` a number, and Compose does not. Source: YAML 1.2 core
schema, with the octal (`0755`) and underscores (`1_000`) of YAML 1.1 that Compose's reader keeps.
"""

from __future__ import annotations

import re

from wherry.base.errors import InvalidInput
from wherry.compose.tree import OVERRIDE, RESET, Mark, Node, invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["parse_documents", "resolve_scalar"]

_DEEPEST = 100
_MOST_NODES = 200_000  # aliases of aliases are written in a few lines and unfold to more than any machine has
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_NUMBER = re.compile(r"[-+.0-9]")
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_STANDARD = "tag:yaml.org,2002:"


def parse_documents(text: str, file: str) -> list[Node]:
    """The documents of `text`, empty ones left out. Raises InvalidInput with the place of what is not YAML."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        documents = []
        while loader.check_node():
            documents.append(_Reader(file, loader).read(loader.get_node()))
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark or error.context_mark
        line, column = (place.line + 1, place.column + 1) if place else (1, 1)
        what = " ".join(part for part in (error.context, error.problem) if part)
        raise invalid(Mark(file, line, column), (), f"not YAML: {what}", "check the indentation, quote text") from None
    except RecursionError:
        raise InvalidInput(f"{file}: values are nested too deeply") from None
    except yaml.YAMLError as error:
        raise InvalidInput(f"{file}: not YAML: {error}") from None
    finally:
        loader.dispose()
    return [one for one in documents if one.value is not None]


class _Reader:
    """One document's nodes to ours: tags resolved, merge keys merged, keys checked."""

    def __init__(self, file: str, loader: Any) -> None:
        self._file = file
        self._loader = loader
        self._left = _MOST_NODES
        self._inside: set[int] = set()

    def read(self, node: Any, key: Mark | None = None) -> Node:
        mark = self._mark(node)
        self._left -= 1
        if self._left < 0:
            raise invalid(mark, (), "the document unfolds to too many values", "use fewer aliases of aliases")
        if len(self._inside) > _DEEPEST:
            raise invalid(mark, (), f"values are nested more than {_DEEPEST} deep")
        if id(node) in self._inside:
            raise invalid(mark, (), "an anchor that contains an alias of itself")
        tag = node.tag if node.tag in (RESET, OVERRIDE) else ""
        if node.id == "scalar":
            return Node(self._scalar(node), mark, key or mark, tag)
        self._inside.add(id(node))
        value = self._mapping(node) if node.id == "mapping" else [self.read(child) for child in node.value]
        self._inside.discard(id(node))
        return Node(value, mark, key or mark, tag)

    def _scalar(self, node: Any) -> Any:
        """Quoted is text and plain is what it looks like, unless a tag says otherwise."""
        implicit = self._loader.resolve(type(node), node.value, (not node.style, bool(node.style)))
        if node.tag == implicit or not node.tag.startswith(_STANDARD):
            return node.value if node.style else resolve_scalar(node.value)
        return node.value if node.tag == _STANDARD + "str" else resolve_scalar(node.value)

    def _mark(self, node: Any) -> Mark:
        return Mark(self._file, node.start_mark.line + 1, node.start_mark.column + 1)

    def _mapping(self, node: Any) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key, value in node.value:
            if key.id == "scalar" and key.value == "<<" and not key.style:
                merged = {**self._merged(value), **merged}
                continue
            name, mark = self._key(key), self._mark(key)
            if name in entries:
                first = entries[name].key
                raise invalid(mark, (), f'the key "{name}" is there already, at line {first.line}')
            entries[name] = self.read(value, mark)
        return {**merged, **entries}

    def _key(self, key: Any) -> str:
        if key.id == "scalar":
            value = self._scalar(key)
            if isinstance(value, str):
                return value
        words = key.value if key.id == "scalar" else f"a {key.id}"
        raise invalid(self._mark(key), (), f"a key has to be text, and {words} is not", "put it in quotes")

    def _merged(self, node: Any) -> dict[str, Node]:
        """What `<<` brings; of several mappings the first that has a key wins (YAML 1.1 merge type)."""
        sources = node.value if node.id == "sequence" else [node]
        merged: dict[str, Node] = {}
        for source in reversed(sources):
            read = self.read(source)
            if not isinstance(read.value, dict):
                raise invalid(read.mark, ("<<",), f"a mapping (or a list of them) can be merged, not {read.kind}")
            merged.update(read.value)
        return merged


def resolve_scalar(text: str) -> Any:
    """What a plain scalar means: nothing, true or false, a number, or the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    return _number(text) if _NUMBER.match(text) else text


def _number(text: str) -> Any:
    digits = text.replace("_", "")
    match = _INTEGER.fullmatch(digits)
    if match:
        sign, hexadecimal, binary, octal, decimal = match.groups()
        for written, base in ((hexadecimal, 16), (binary, 2), (octal, 8), (decimal, 10)):
            if written is not None:
                value = int(written, base)
                return -value if sign == "-" else value
    if _FLOAT.fullmatch(digits) and digits[-1:] not in "+-":
        return float(digits)
    return text
