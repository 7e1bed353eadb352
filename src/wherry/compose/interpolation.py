"""Variables in values: `$NAME`, `${NAME}`, `${NAME:-default}` and their kin, nested, with `$$` for a dollar sign.

Source: Compose specification, interpolation. Pure: `lookup` tells what a name is, None for a name that is not set.
"""

from __future__ import annotations

import re

from wherry.compose.tree import RAW, Node, invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.compose.tree import Path

    Lookup = Callable[[str], str | None]
    Warn = Callable[[str], None]

__all__ = ["BadTemplate", "MissingVariable", "interpolate", "interpolate_tree", "keep_variables"]

_NAME = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_OPERATORS = (":-", ":?", ":+", "-", "?", "+")


class BadTemplate(ValueError):
    """The text is not a template."""


class MissingVariable(ValueError):
    """A variable that is required (`:?`, `?`) is not there; the message says which, and what its author said."""


def interpolate(text: str, lookup: Lookup, unset: Callable[[str], None] = lambda _: None) -> str:
    """`text` with its variables replaced; `unset(name)` is called for one that is not set and has no default."""
    if "$" not in text:
        return text
    result: list[str] = []
    position = 0
    while True:
        dollar = text.find("$", position)
        if dollar < 0:
            return "".join([*result, text[position:]])
        result.append(text[position:dollar])
        value, position = _replace(text, dollar + 1, lookup, unset)
        result.append(value)


def _replace(text: str, start: int, lookup: Lookup, unset: Callable[[str], None]) -> tuple[str, int]:
    """The value of what follows a dollar sign, and where it ends."""
    if text.startswith("$", start):
        return "$", start + 1
    if text.startswith("{", start):
        end = _closing_brace(text, start)
        return _braced(text[start + 1 : end], lookup, unset), end + 1
    match = _NAME.match(text, start)
    if not match:
        raise BadTemplate(text)
    return _plain(match.group(), lookup, unset), match.end()


def _closing_brace(text: str, start: int) -> int:
    depth, position = 0, start
    while position < len(text):
        if text.startswith("$$", position):
            position += 1
        elif text.startswith("${", position):
            depth += 1
            position += 1
        elif text[position] == "{" and position == start:
            depth += 1
        elif text[position] == "}":
            depth -= 1
            if not depth:
                return position
        position += 1
    raise BadTemplate(text)


def _braced(inner: str, lookup: Lookup, unset: Callable[[str], None]) -> str:
    match = _NAME.match(inner)
    if not match:
        raise BadTemplate("${" + inner + "}")
    name, rest = match.group(), inner[match.end() :]
    if not rest:
        return _plain(name, lookup, unset)
    operator = next((one for one in _OPERATORS if rest.startswith(one)), "")
    if not operator:
        raise BadTemplate("${" + inner + "}")
    value, word = lookup(name), rest[len(operator) :]
    present = value is not None and (value != "" or not operator.startswith(":"))
    if operator.endswith("+"):
        return interpolate(word, lookup, unset) if present else ""
    if present:
        return value or ""
    word = interpolate(word, lookup, unset)
    if operator.endswith("?"):
        raise MissingVariable(f"required variable {name} is missing a value" + (f": {word}" if word else ""))
    return word


def _plain(name: str, lookup: Lookup, unset: Callable[[str], None]) -> str:
    value = lookup(name)
    if value is None:
        unset(name)
    return value or ""


def interpolate_tree(node: Node, lookup: Lookup, warn: Warn, path: Path = ()) -> Node:
    """The tree with the variables in its values replaced; keys stay as they are. Raises InvalidInput with the place."""
    if isinstance(node.value, dict):
        replaced = {key: interpolate_tree(child, lookup, warn, (*path, key)) for key, child in node.value.items()}
        return node._replace(value=replaced)
    if isinstance(node.value, list):
        items = enumerate(node.value)
        return node._replace(value=[interpolate_tree(one, lookup, warn, (*path, str(n))) for n, one in items])
    if not isinstance(node.value, str) or "$" not in node.value:
        return node

    def unset(name: str) -> None:
        warn(f'The "{name}" variable is not set. Defaulting to a blank string.')

    try:
        return node._replace(value=interpolate(node.value, lookup, unset))
    except BadTemplate:
        words = f'invalid interpolation format: "{node.value}"'
        raise invalid(node.mark, path, words, "write $$ for a dollar sign, ${NAME:-default} for a variable") from None
    except MissingVariable as error:
        raise invalid(node.mark, path, str(error), "set it in the environment or in .env") from None


def keep_variables(node: Node) -> Node:
    """The tree with every value marked that has a variable in it, for `--no-interpolate`."""
    if isinstance(node.value, dict):
        return node._replace(value={key: keep_variables(child) for key, child in node.value.items()})
    if isinstance(node.value, list):
        return node._replace(value=[keep_variables(child) for child in node.value])
    return node._replace(tag=RAW) if isinstance(node.value, str) and "$" in node.value else node
