"""Go's text/template, as far as `--format` uses it: fields, pipelines, range, if, with, variables, functions.

Values are Python's JSON values; a field of an object that lacks it is an error, as with Docker. Docker's own functions
(`json split join title lower upper pad truncate println`) are there beside Go's.
"""

from __future__ import annotations

import json
import re
from collections import ChainMap

from wherry.base.errors import InvalidInput
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

__all__ = ["Row", "Template", "Types"]

_TOKEN = re.compile(
    r'\s*(?:(?P<string>"(?:[^"\\]|\\.)*"|`[^`]*`)|(?P<number>-?\d+)|(?P<sign>:=|=|\||\(|\)|,)'
    r"|(?P<word>\$?[A-Za-z_]\w*(?:\.\w+)*|\$(?:\.\w+)*|(?:\.\w+)+|\.))"
)
_ACTION = re.compile(r"\{\{(-\s)?(.*?)(\s-)?\}\}", re.DOTALL)


class Row(dict):  # type: ignore[type-arg]
    """One line of a list, as Docker's formatter sees it: fields may be functions (`.Label "key"`), JSON is sorted."""


class _Map(dict):  # type: ignore[type-arg]
    """A Go map, as opposed to a struct: a key that it lacks is no error."""


class _NoMap(_Map):
    """A nil map: shown as an empty one, null in JSON."""


class _NoList(list):  # type: ignore[type-arg]
    """A nil slice: shown as an empty one, null in JSON."""


class _NoPointer:
    """A nil pointer: `<nil>`, null in JSON."""

    def __bool__(self) -> bool:
        return False


_NIL = _NoPointer()


class _Struct(dict):  # type: ignore[type-arg]
    """A Go struct of which `pointers` may be nil, which JSON leaves out."""

    pointers: frozenset[str] = frozenset()


class Types(NamedTuple):
    """The names of fields that are maps, slices, and pointers left out of JSON where nil, in Docker's types."""

    maps: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()
    pointers: frozenset[str] = frozenset()


class Template:
    """Parsed once, rendered for many values. Raises InvalidInput in Docker's words for what is not a template.

    `types` says what JSON does not: a key that a map lacks has no value, and what is nil is used as if it were empty.
    """

    def __init__(self, text: str, types: Types | None = None) -> None:
        self._nodes = _Parser(text).parse()
        self._types = types

    def render(self, value: Any) -> str:
        """The text for one value."""
        marked = _mark(value, self._types) if self._types else value
        return "".join(_run(self._nodes, marked, ChainMap({"$": marked})))


def _mark(value: Any, types: Types, name: str = "") -> Any:
    if isinstance(value, list):
        return [_mark(item, types) for item in value]
    if value is None and name in types.maps:
        return _NoMap()
    if value is None and name in types.lists:
        return _NoList()
    if not isinstance(value, dict):
        return value
    marked = {key: _mark(item, types, key) for key, item in value.items()}
    if name in types.maps:
        return _Map(marked)
    struct = _Struct(marked)
    struct.pointers = types.pointers
    return struct


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, (_NoMap, _NoList, _NoPointer)):
        return None
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


class _Parser:
    def __init__(self, text: str) -> None:
        self._pieces = list(_split(text))

    def parse(self) -> list[Any]:
        nodes, end = self._block()
        if end:
            raise _bad(f"unexpected {{{{{end}}}}}")
        return nodes

    def _block(self) -> tuple[list[Any], str]:
        nodes: list[Any] = []
        while self._pieces:
            is_action, text = self._pieces.pop(0)
            if not is_action:
                nodes.append(text)
                continue
            word = text.split(None, 1)[0] if text.split() else ""
            if text.startswith("/*"):
                continue
            if word in ("end", "else"):
                return nodes, text
            if word in ("range", "if", "with"):
                nodes.append(self._control(word, text[len(word) :]))
            else:
                nodes.append(("print", *_pipeline(text)))
        return nodes, ""

    def _control(self, word: str, condition: str) -> tuple[Any, ...]:
        body, end = self._block()
        otherwise: list[Any] = []
        if end.startswith("else"):
            rest = end[4:].strip()
            if rest:
                nested, _, more = rest.partition(" ")
                otherwise = [self._control(nested, more)]
                return (word, *_pipeline(condition), body, otherwise)
            otherwise, end = self._block()
        if end != "end":
            raise _bad("unexpected EOF")
        return (word, *_pipeline(condition), body, otherwise)


def _split(text: str) -> Iterator[tuple[bool, str]]:
    position, trim = 0, False
    for match in _ACTION.finditer(text):
        plain = text[position : match.start()]
        plain = plain.lstrip() if trim else plain
        yield False, plain.rstrip() if match.group(1) else plain
        yield True, match.group(2).strip()
        position, trim = match.end(), bool(match.group(3))
    rest = text[position:]
    if "{{" in rest:
        raise _bad("unclosed action")
    yield False, rest.lstrip() if trim else rest


def _bad(why: str) -> InvalidInput:
    return InvalidInput(f"template parsing error: template: :1: {why}")


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match or match.lastgroup is None:
            raise _bad(f"unexpected {text[position:].strip()[:10]!r} in command")
        tokens.append((match.lastgroup, match.group(match.lastgroup)))
        position = match.end()
    return tokens


def _pipeline(text: str) -> tuple[tuple[bool, list[str]], Any]:
    """The variables (and whether they are declared, `:=`, or set again, `=`), and the expression."""
    tokens = _tokens(text)
    variables: list[str] = []
    declares = True
    signs = [value for kind, value in tokens if kind == "sign"]
    if ":=" in signs or "=" in signs:
        while tokens and tokens[0][1] not in (":=", "="):
            kind, value = tokens.pop(0)
            if kind == "word":
                variables.append(value)
        declares = tokens.pop(0)[1] == ":="
    expression = _expression(tokens)
    if tokens:
        raise _bad(f"unexpected {tokens[0][1]!r}")
    return (declares, variables), expression


def _expression(tokens: list[tuple[str, str]]) -> Any:
    """Commands joined by `|`: the value of each is the last argument of the next."""
    if not tokens:
        raise _bad("missing value for command")
    command = _command(tokens)
    while tokens and tokens[0][1] == "|":
        tokens.pop(0)
        name, *arguments = _command(tokens)
        command = (name, *arguments, command)
    return command


def _command(tokens: list[tuple[str, str]]) -> tuple[Any, ...]:
    operands: list[Any] = []
    while tokens and tokens[0][1] not in ("|", ")"):
        operands.append(_operand(tokens))
    if not operands:
        raise _bad("missing value for command")
    return tuple(operands)


def _operand(tokens: list[tuple[str, str]]) -> Any:
    kind, value = tokens.pop(0)
    if value == "(" and kind == "sign":
        inner = _expression(tokens)
        if not tokens or tokens.pop(0)[1] != ")":
            raise _bad("unclosed left paren")
        if tokens and tokens[0][0] == "word" and tokens[0][1].startswith(".") and tokens[0][1] != ".":
            return ("field", inner, tokens.pop(0)[1])
        return inner
    if kind == "string":
        return ("literal", value[1:-1] if value[0] == "`" else json.loads(value))
    if kind == "number":
        return ("literal", int(value))
    if kind == "sign":
        raise _bad(f"unexpected {value!r} in operand")
    if value in ("true", "false", "nil"):
        return ("literal", {"true": True, "false": False, "nil": None}[value])
    if value[0] not in ".$" and value not in _FUNCTIONS:
        raise _bad(f'function "{value}" not defined')
    return ("name", value)


def _run(nodes: list[Any], dot: Any, scope: ChainMap[str, Any]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, str):
            yield node
        elif node[0] == "print":
            _, variables, expression = node
            value = _evaluate(expression, dot, scope)
            if variables[1]:
                _assign(variables, value, scope)
            else:
                yield show(value)
        elif node[0] == "range":
            yield from _range(node, dot, scope)
        else:
            word, variables, expression, body, otherwise = node
            value = _evaluate(expression, dot, scope)
            block = scope.new_child()
            if variables[1]:
                _assign(variables, value, block)
            inner = value if word == "with" and value else dot
            yield from _run(body if value else otherwise, inner, block)


def _assign(variables: tuple[bool, list[str]], value: Any, scope: ChainMap[str, Any]) -> None:
    """`:=` makes a variable of this block; `=` sets the one that is in sight."""
    declares, (name, *_) = variables
    if declares:
        scope[name] = value
        return
    for block in scope.maps:
        if name in block:
            block[name] = value
            return
    raise _bad(f"undefined variable: {name}")


def _range(node: tuple[Any, ...], dot: Any, scope: ChainMap[str, Any]) -> Iterator[str]:
    _, (_, variables), expression, body, otherwise = node
    value = _evaluate(expression, dot, scope)
    if isinstance(value, _NoPointer):
        value = None
    if value is not None and not isinstance(value, (dict, list, tuple)):
        raise InvalidInput(f"template: :1: range can't iterate over {show(value)}")
    pairs = sorted(value.items()) if isinstance(value, dict) else list(enumerate(value or ()))
    if not pairs:
        yield from _run(otherwise, dot, scope)
    for key, item in pairs:
        inner = scope.new_child()
        if len(variables) == 2:
            inner[variables[0]], inner[variables[1]] = key, item
        elif variables:
            inner[variables[0]] = item
        yield from _run(body, item, inner)


def _evaluate(expression: Any, dot: Any, scope: ChainMap[str, Any]) -> Any:
    head = expression[0]
    if head == "literal":
        return expression[1]
    if head == "field":
        return _walk(_evaluate(expression[1], dot, scope), expression[2].split(".")[1:])
    if head == "name":
        return _lookup(expression[1], dot, scope)
    if isinstance(head, tuple) and head[0] == "name" and head[1] in _FUNCTIONS:
        return _call(head[1], expression[1:], dot, scope)
    if len(expression) > 1 and callable(method := _evaluate(head, dot, scope)):
        return method(*(_evaluate(argument, dot, scope) for argument in expression[1:]))
    if len(expression) > 1:
        shown = head[1] if isinstance(head, tuple) else head
        raise _bad(f'function "{shown}" not defined')
    return _evaluate(head, dot, scope)


def _call(name: str, arguments: tuple[Any, ...], dot: Any, scope: ChainMap[str, Any]) -> Any:
    if name in ("and", "or"):
        value: Any = None
        for argument in arguments:
            value = _evaluate(argument, dot, scope)
            if bool(value) == (name == "or"):
                return value
        return value
    try:
        return _FUNCTIONS[name](*(_evaluate(argument, dot, scope) for argument in arguments))
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise InvalidInput(f"template: :1: error calling {name}: {error}") from None


def _lookup(name: str, dot: Any, scope: ChainMap[str, Any]) -> Any:
    if name == ".":
        return dot
    if name.startswith("."):
        return _walk(dot, name.split(".")[1:])
    root, *path = name.split(".")
    if root.startswith("$"):
        if root not in scope:
            raise _bad(f"undefined variable: {root}")
        return _walk(scope[root], path)
    if name in _FUNCTIONS:
        return _call(name, (), dot, scope)
    raise _bad(f'function "{name}" not defined')


def _walk(value: Any, path: list[str]) -> Any:
    for name in path:
        if not isinstance(value, dict):
            raise InvalidInput(f"template: :1: can't evaluate field {name} in type {type(value).__name__}")
        if isinstance(value, _Map) and name not in value:
            return None
        if isinstance(value, Row) and name not in value:
            raise InvalidInput(
                f'failed to execute template: template: :1: executing "" at <.{name}>: can\'t evaluate field {name}'
            )
        if name not in value and not (isinstance(value, _Struct) and name in value.pointers):
            raise InvalidInput(f'template: :1: map has no entry for key "{name}"')
        value = value.get(name, _NIL)
    return value


def show(value: Any) -> str:
    """As Go prints a value with `%v`."""
    if value is None:
        return "<no value>"
    if value is _NIL:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{show(item)}" for key, item in sorted(value.items())) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(show(item) for item in value) + "]"
    return str(value)


def _json(value: Any) -> str:
    if not isinstance(value, Row):
        return json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False)
    fields = {name: field for name, field in sorted(value.items()) if not callable(field)}
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")  # as Go's encoder does


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = value.get(key, "") if isinstance(value, dict) else value[key]
    return value


def _printf(pattern: str, *values: Any) -> str:
    rest = list(values)

    def one(match: re.Match[str]) -> str:
        if match.group(2) == "%":
            return "%"
        value = rest.pop(0) if rest else None
        text = {"q": json.dumps(str(value)), "d": str(value)}.get(match.group(2), show(value))
        width = match.group(1)
        return text.ljust(int(width[1:])) if width.startswith("-") else text.rjust(int(width or 0))

    return re.sub(r"%(-?\d*)([vsdq%])", one, pattern)


def _join(values: Any, separator: str = " ") -> str:
    return separator.join(str(value) for value in values)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "and": lambda: None,
    "or": lambda: None,
    "json": _json,
    "split": lambda text, separator: text.split(separator),
    "join": _join,
    "title": lambda text: text[:1].upper() + text[1:],
    "lower": str.lower,
    "upper": str.upper,
    "pad": lambda text, before, after: " " * before + text + " " * after if text else "",
    "truncate": lambda text, length: text[:length],
    "println": lambda *values: " ".join(show(value) for value in values) + "\n",
    "print": lambda *values: "".join(show(value) for value in values),
    "printf": _printf,
    "len": len,
    "index": _index,
    "slice": lambda value, *bounds: value[slice(*bounds)] if len(bounds) > 1 else value[bounds[0] :],
    "not": lambda value: not value,
    "eq": lambda first, *others: any(first == other for other in others),
    "ne": lambda first, second: first != second,
    "lt": lambda first, second: first < second,
    "le": lambda first, second: first <= second,
    "gt": lambda first, second: first > second,
    "ge": lambda first, second: first >= second,
}
