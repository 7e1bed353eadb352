"""What values of a Compose file may be: each kind reads a value into its canonical form and merges two of them.

A schema is a tree of kinds. Reading checks, casts what was written as text (`"80"`), and expands short forms; places
are kept, so that every error says where. Merging follows the Compose specification, "Merge and override": mappings
merge, sequences append, scalars are replaced, and sequences whose items have an identity keep one of each.
"""

from __future__ import annotations

from wherry.base.clock import duration_text
from wherry.compose.tree import OVERRIDE, RAW, RESET, Node, invalid, nearest
from wherry.compose.units import go_text, parse_duration, parse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wherry.compose.tree import Path

    Expand = Callable[[Node, Path], list[Node]]

__all__ = [
    "Anything",
    "Duration",
    "Fields",
    "Flag",
    "Kind",
    "ListOf",
    "MapOf",
    "Number",
    "Pairs",
    "Scalar",
    "Size",
    "Text",
    "Whole",
]

_TRUE, _FALSE = ("true", "yes", "y", "on", "1"), ("false", "no", "n", "off", "0")


class Kind:
    """The contract. `expected` says in an error what should be there; `nullable` whether nothing may be."""

    expected = "a value"
    nullable = False

    def read(self, node: Node, path: Path) -> Node:
        """The canonical form. Raises InvalidInput with the place."""
        if node.tag in (RESET, RAW):
            return node
        if node.value is None:
            if self.nullable:
                return node
            raise self.unexpected(node, path)
        return self._read(node, path)._replace(tag=node.tag)

    def merge(self, base: Node, over: Node) -> Node:
        """What two canonical values give of which `over` comes later; `!reset` and `!override` are obeyed.

        A later nothing does not hide a list or a mapping.
        """
        if over.tag in (RESET, OVERRIDE) or base.tag == RESET or base.value is None:
            return over
        if over.value is None and isinstance(base.value, (dict, list)):
            return base
        return over if RAW in (base.tag, over.tag) else self._merge(base, over)

    def _read(self, node: Node, path: Path) -> Node:
        raise NotImplementedError

    def _merge(self, base: Node, over: Node) -> Node:  # noqa: ARG002 (most kinds are replaced whole)
        return over

    def unexpected(self, node: Node, path: Path) -> Exception:
        """The error for another kind of value."""
        hint = "check the indentation" if node.value is None else ""
        return invalid(node.mark, path, f"expected {self.expected}, found {node.kind}", hint)


class Anything(Kind):
    """Whatever is there, as it is: what other tools define."""

    nullable = True

    def _read(self, node: Node, path: Path) -> Node:  # noqa: ARG002
        return node


class Scalar(Kind):
    """One value that is neither a list nor a mapping, as text."""

    expected = "text"

    def _read(self, node: Node, path: Path) -> Node:
        if isinstance(node.value, (dict, list)):
            raise self.unexpected(node, path)
        return node.at(go_text(node.value))


class Text(Kind):
    """Text, one of `choices` where there are any. A number is refused, since YAML may have changed it."""

    expected = "text"

    def __init__(self, choices: Sequence[str] = (), *, nullable: bool = False) -> None:
        self.choices = choices
        self.nullable = nullable

    def _read(self, node: Node, path: Path) -> Node:
        if not isinstance(node.value, str):
            hint = "put it in quotes" if not isinstance(node.value, (dict, list)) else ""
            raise invalid(node.mark, path, f"expected text, found {node.kind}", hint)
        if self.choices and node.value not in self.choices:
            near = nearest(node.value, self.choices)
            hint = f"did you mean {near}?" if near else ""
            raise invalid(node.mark, path, f'"{node.value}" is not one of {", ".join(self.choices)}', hint)
        return node


class Flag(Kind):
    """true or false, as text too."""

    expected = "true or false"

    def _read(self, node: Node, path: Path) -> Node:
        if isinstance(node.value, bool):
            return node
        words = node.value.lower() if isinstance(node.value, str) else ""
        if words not in _TRUE + _FALSE:
            raise self.unexpected(node, path)
        return node.at(words in _TRUE)


class Whole(Kind):
    """A whole number between `least` and `most`, as text too."""

    expected = "a whole number"

    def __init__(self, least: int | None = None, most: int | None = None) -> None:
        self.least = least
        self.most = most

    def _read(self, node: Node, path: Path) -> Node:
        value = node.value
        if isinstance(value, str):
            digits = value.strip()
            if not digits.removeprefix("-").isdecimal():
                raise invalid(node.mark, path, f'expected a whole number, found "{value}"')
            value = int(digits)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.unexpected(node, path)
        if (self.least is not None and value < self.least) or (self.most is not None and value > self.most):
            bounds = f"at least {self.least}" + (f" and at most {self.most}" if self.most is not None else "")
            raise invalid(node.mark, path, f"{value} is out of range: it has to be {bounds}")
        return node.at(value)


class Number(Kind):
    """A number, as text too."""

    expected = "a number"

    def _read(self, node: Node, path: Path) -> Node:
        if isinstance(node.value, (bool, dict, list)):
            raise self.unexpected(node, path)
        try:
            value = float(node.value)
        except ValueError:
            raise invalid(node.mark, path, f'expected a number, found "{node.value}"') from None
        return node.at(int(value) if value.is_integer() else value)


class Size(Kind):
    """Bytes, as a number or with a unit (`512m`); canonically the number of bytes as text, as Compose prints it."""

    expected = "a size such as 512m"

    def _read(self, node: Node, path: Path) -> Node:
        value = node.value
        if isinstance(value, (bool, dict, list)):
            raise self.unexpected(node, path)
        if isinstance(value, (int, float)):
            return node.at(str(int(value)))
        if value.strip() == "-1":
            return node.at("-1")
        try:
            return node.at(str(parse_size(value)))
        except ValueError:
            hint = "write a number with b, k, m or g, for instance 512m"
            raise invalid(node.mark, path, f'invalid size "{value}"', hint) from None


class Duration(Kind):
    """A duration (`1m30s`), canonically as Go prints it."""

    expected = "a duration such as 1m30s"

    def _read(self, node: Node, path: Path) -> Node:
        if not isinstance(node.value, str):
            raise self.unexpected(node, path)
        try:
            return node.at(duration_text(parse_duration(node.value)))
        except ValueError:
            hint = "write for instance 30s, 1m30s or 500ms"
            raise invalid(node.mark, path, f'invalid duration "{node.value}"', hint) from None


class Fields(Kind):
    """A mapping with known keys, of which `required` must be there; `x-` keys are kept as they are.

    `short` makes the mapping from a value that is not one, where there is a short form.
    """

    expected = "a mapping"

    def __init__(
        self,
        fields: Mapping[str, Kind],
        *,
        required: Sequence[str] = (),
        short: Callable[[Node, Path], Node] | None = None,
        words: str = "",
    ) -> None:
        self.fields = dict(fields)
        self.required = required
        self.nullable = not required
        self.short = short
        self.expected = words or self.expected

    def _read(self, node: Node, path: Path) -> Node:
        if self.short is not None and not isinstance(node.value, dict):
            node = self.short(node, path)
            if node.tag == RAW:
                return node
        if not isinstance(node.value, dict):
            raise self.unexpected(node, path)
        for name in self.required:
            if name not in node.value:
                raise invalid(node.mark, path, f'the key "{name}" is missing', f"write {name}: there")
        return node.at({key: self._field(key, child, path) for key, child in node.value.items()})

    def _field(self, key: str, child: Node, path: Path) -> Node:
        if key in self.fields:
            return self.fields[key].read(child, (*path, key))
        if key.startswith("x-"):
            return child
        near = nearest(key, self.fields)
        hint = f'did you mean "{near}"?' if near else f"the keys here are {', '.join(sorted(self.fields))}"
        raise invalid(child.key, (*path, key), "unknown key", hint)

    def _merge(self, base: Node, over: Node) -> Node:
        merged = dict(base.value)
        for key, child in over.value.items():
            kind = self.fields.get(key)
            known = kind is not None and key in merged
            merged[key] = kind.merge(merged[key], child) if known and kind is not None else child
        return over._replace(value=merged, tag=base.tag)


class MapOf(Kind):
    """A mapping with names of the user's and values of one kind; `short` makes one from a list."""

    expected = "a mapping"
    nullable = True

    def __init__(self, kind: Kind, *, short: Callable[[Node, Path], Node] | None = None, words: str = "") -> None:
        self.kind = kind
        self.short = short
        self.expected = words or self.expected

    def _read(self, node: Node, path: Path) -> Node:
        if self.short is not None and not isinstance(node.value, dict):
            node = self.short(node, path)
        if not isinstance(node.value, dict):
            raise self.unexpected(node, path)
        return node.at({key: self.kind.read(child, (*path, key)) for key, child in node.value.items()})

    def _merge(self, base: Node, over: Node) -> Node:
        merged = dict(base.value)
        for key, child in over.value.items():
            merged[key] = self.kind.merge(merged[key], child) if key in merged else child
        return over._replace(value=merged, tag=base.tag)


class ListOf(Kind):
    """A list of one kind. Items with the same `identity` are one item, the later; None means that it has none.

    With `single`, one value that is not a list is a list of one. `expand` makes several items of one (port ranges).
    With `replaces`, a later list takes the place of an earlier one (commands).
    """

    expected = "a list"
    nullable = True

    def __init__(
        self,
        kind: Kind,
        *,
        identity: Callable[[Node], str | None] | None = None,
        single: bool = False,
        expand: Expand | None = None,
        replaces: bool = False,
        short: Callable[[Node, Path], Node] | None = None,
    ) -> None:
        self.kind = kind
        self.identity = identity
        self.single = single
        self.expand = expand
        self.replaces = replaces
        self.short = short

    def _read(self, node: Node, path: Path) -> Node:
        if self.short is not None and not isinstance(node.value, list):
            node = self.short(node, path)
        if self.single and not isinstance(node.value, (list, dict)):
            node = node.at([node])
        if not isinstance(node.value, list):
            raise self.unexpected(node, path)
        items: list[Node] = []
        for number, child in enumerate(node.value):
            here = (*path, str(number))
            parts = self.expand(child, here) if self.expand is not None else [child]
            items += [self.kind.read(part, here) for part in parts]
        return node.at(self._unique(items))

    def _unique(self, items: list[Node]) -> list[Node]:
        if self.identity is None:
            return items
        kept: dict[str, Node] = {}
        for number, item in enumerate(items):
            name = self.identity(item)
            kept[name if name is not None else f"\0{number}"] = item
        return list(kept.values())

    def _merge(self, base: Node, over: Node) -> Node:
        if self.replaces:
            return over
        return over._replace(value=self._unique([*base.value, *over.value]), tag=base.tag)


class Pairs(Kind):
    """Names and values, as a mapping or as a list of `NAME=VALUE`; canonically a mapping to text.

    Where `bare` is None a name without a value stays one (an environment's, which the host's value may fill).
    """

    expected = "a mapping, or a list of NAME=VALUE"
    nullable = True

    def __init__(self, bare: str | None = "", separators: str = "=") -> None:
        self.bare = bare
        self.separators = separators

    def _read(self, node: Node, path: Path) -> Node:
        if isinstance(node.value, list):
            return node.at(dict(self._pair(child, (*path, str(n))) for n, child in enumerate(node.value)))
        if not isinstance(node.value, dict):
            raise self.unexpected(node, path)
        return node.at({key: self._value(child, (*path, key)) for key, child in node.value.items()})

    def _pair(self, child: Node, path: Path) -> tuple[str, Node]:
        if not isinstance(child.value, str):
            raise invalid(child.mark, path, f"expected NAME=VALUE, found {child.kind}", "put it in quotes")
        cut = min((at for one in self.separators if (at := child.value.find(one)) > 0), default=-1)
        if cut < 0:
            return child.value, child.at(self.bare)
        return child.value[:cut], Node(child.value[cut + 1 :], child.mark, child.key, child.tag)

    def _value(self, child: Node, path: Path) -> Node:
        if child.tag in (RESET, RAW):
            return child
        if isinstance(child.value, (dict, list)):
            raise invalid(child.mark, path, f"expected text, a number or true/false, found {child.kind}")
        return child.at(self.bare if child.value is None else go_text(child.value))

    def _merge(self, base: Node, over: Node) -> Node:
        return over._replace(value={**base.value, **over.value}, tag=base.tag)
