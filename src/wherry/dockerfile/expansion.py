"""Words and variables as BuildKit's shell lexer expands them: quotes taken off, `$v`, `${v...}` and escapes."""

from __future__ import annotations

import re

from wherry.base.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["expand", "expand_content", "expand_words", "split_pairs"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]")


def expand(text: str, variables: Mapping[str, str], escape: str = "\\") -> str:
    """One word: variables replaced, quotes and escapes taken off. Raises InvalidInput for an unset `${v:?...}`."""
    return " ".join(_Lexer(text, variables, escape).words(split=False))


def expand_words(text: str, variables: Mapping[str, str], escape: str = "\\") -> list[str]:
    """Several words, split at unquoted blanks after expansion."""
    return _Lexer(text, variables, escape).words(split=True)


def expand_content(text: str, variables: Mapping[str, str], escape: str = "\\") -> str:
    """The content of a here-document: variables replaced, quotes kept."""
    return _Lexer(text, variables, escape, keep_quotes=True).words(split=False)[0] if text else ""


def split_pairs(text: str, escape: str = "\\") -> list[tuple[str, str]]:
    """`a=1 b="x y"` as pairs, or the old form `name value with blanks` as one. Values keep quotes, to be expanded.

    Raises InvalidInput where a pair lacks its `=`.
    """
    words = _split_quoted(text, escape)
    if words and "=" not in words[0]:
        name, _, value = text.partition(" ")
        if not value.strip():
            raise InvalidInput(f"must have two arguments: {text!r}", hint="write name=value")
        return [(name, value.strip())]
    pairs = [word.partition("=") for word in words]
    for name, equals, _ in pairs:
        if not equals:
            raise InvalidInput(f"Syntax error - can't find = in {name!r}. Must be of the form: name=value")
    return [(name, value) for name, _, value in pairs]


def _split_quoted(text: str, escape: str) -> list[str]:
    words: list[str] = []
    current, quote, position = "", "", 0
    while position < len(text):
        letter = text[position]
        if letter == escape and quote != "'" and position + 1 < len(text):
            current += text[position : position + 2]
            position += 2
            continue
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter.isspace():
            if current:
                words.append(current)
            current, position = "", position + 1
            continue
        current += letter
        position += 1
    return [*words, current] if current else words


class _Lexer:
    def __init__(self, text: str, variables: Mapping[str, str], escape: str, *, keep_quotes: bool = False) -> None:
        self._text = text
        self._position = 0
        self._variables = variables
        self._escape = escape
        self._keep_quotes = keep_quotes

    def words(self, *, split: bool) -> list[str]:
        words: list[str] = []
        current, begun = "", False
        while (letter := self._peek()) is not None:
            if letter == "'" and not self._keep_quotes:
                current, begun = current + self._single(), True
            elif letter == '"' and not self._keep_quotes:
                current, begun = current + self._double(), True
            elif letter == "$":
                value = self._dollar()
                if split:
                    pieces = value.split(" ")
                    for piece in pieces[:-1]:
                        if current + piece:
                            words.append(current + piece)
                        current = ""
                    current += pieces[-1]
                else:
                    current += value
                begun = begun or bool(value)
            elif split and letter.isspace():
                self._next()
                if begun:
                    words.append(current)
                current, begun = "", False
            else:
                current, begun = current + self._plain(), True
        return [*words, current] if begun or not split else words

    def _peek(self) -> str | None:
        return self._text[self._position] if self._position < len(self._text) else None

    def _next(self) -> str:
        self._position += 1
        return self._text[self._position - 1]

    def _plain(self) -> str:
        letter = self._next()
        if letter == self._escape and self._peek() is not None:
            following = self._peek() or ""
            if self._keep_quotes and following not in ("$", self._escape):
                return letter
            return self._next()
        return letter

    def _single(self) -> str:
        self._next()
        end = self._text.find("'", self._position)
        if end < 0:
            raise InvalidInput("unexpected end of statement while looking for matching single-quote")
        inner, self._position = self._text[self._position : end], end + 1
        return inner

    def _double(self) -> str:
        self._next()
        inner = ""
        while (letter := self._peek()) is not None:
            if letter == '"':
                self._next()
                return inner
            if letter == "$":
                inner += self._dollar()
            elif letter == self._escape:
                self._next()
                following = self._peek()
                inner += self._next() if following in ('"', "$", self._escape) else letter
            else:
                inner += self._next()
        raise InvalidInput("unexpected end of statement while looking for matching double-quote")

    def _dollar(self) -> str:
        self._next()
        if self._peek() == "{":
            return self._braces()
        match = _NAME.match(self._text, self._position)
        if not match:
            return "$"
        self._position = match.end()
        return self._variables.get(match.group(), "")

    def _braces(self) -> str:
        self._next()
        match = _NAME.match(self._text, self._position)
        if not match:
            raise InvalidInput(f"syntax error: bad substitution in {self._text!r}")
        name = match.group()
        self._position = match.end()
        operator = self._operator()
        if operator == "}":
            return self._variables.get(name, "")
        if operator in ("/", "//"):
            pattern, replacement = self._until("/", raw=True), self._until("}", raw=True)
            expression = re.compile(_glob(pattern, greedy=True))
            count = 0 if operator == "//" else 1
            return expression.sub(lambda _: replacement, self._variables.get(name, ""), count=count)
        return self._substitute(name, operator, self._until("}", raw=operator[0] in "#%"))

    def _operator(self) -> str:
        for operator in ("}", ":-", ":+", ":?", "##", "%%", "//", "-", "+", "?", "#", "%", "/"):
            if self._text.startswith(operator, self._position):
                self._position += len(operator)
                return operator
        raise InvalidInput(f"unsupported modifier in substitution: {self._text!r}")

    def _until(self, stop: str, *, raw: bool) -> str:
        """The word up to `stop`, expanded; `raw` keeps escapes, which take the meaning from letters of a pattern."""
        word = ""
        while (letter := self._peek()) is not None:
            if letter == stop:
                self._next()
                return word
            if raw and letter == self._escape:
                word += self._next() + (self._next() if self._peek() is not None else "")
            elif letter == "$":
                word += self._dollar()
            elif letter == "'":
                word += self._single()
            elif letter == '"':
                word += self._double()
            else:
                word += self._plain()
        raise InvalidInput(f"syntax error: missing '{stop}' in substitution: {self._text!r}")

    def _substitute(self, name: str, operator: str, word: str) -> str:
        value = self._variables.get(name)
        present = value is not None and (bool(value) or not operator.startswith(":"))
        kind = operator[-1]
        if kind == "-" and operator in (":-", "-"):
            return value or "" if present else word
        if kind == "+":
            return word if present else ""
        if kind == "?":
            if not present:
                raise InvalidInput(
                    f"{name}: {word or 'not allowed to be unset'}", hint=f"set it with --build-arg {name}=..."
                )
            return value or ""
        return _trim(value or "", operator, word)


def _trim(value: str, operator: str, word: str) -> str:
    greedy = len(operator) == 2
    if operator[0] == "#":
        match = re.match(_glob(word, greedy=greedy), value)
        return value[match.end() :] if match else value
    for start in range(len(value) + 1) if greedy else range(len(value), -1, -1):
        if re.fullmatch(_glob(word, greedy=True), value[start:]):
            return value[:start]
    return value


def _glob(pattern: str, *, greedy: bool) -> str:
    """A shell pattern of `*`, `?` and escapes as a regular expression; brackets mean themselves."""
    wild = {"*": ".*" if greedy else ".*?", "?": "."}
    return re.sub(
        r"\\(.)|(.)",
        lambda match: re.escape(match[1]) if match[1] else wild.get(match[2], re.escape(match[2])),
        pattern,
        flags=re.DOTALL,
    )
