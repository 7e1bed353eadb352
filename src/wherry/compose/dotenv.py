"""Environment files: `.env`, `--env-file`, `env_file`. Source: compose-spec, 05-services.md#env_file-format.

`NAME=VALUE`, `NAME: VALUE`, `NAME` (the host's value), `export`, comments, single quotes (as they are), double quotes
(escapes and variables), values over several lines within quotes, and variables in all but single quotes.
"""

from __future__ import annotations

import re

from wherry.base.errors import InvalidInput
from wherry.compose.interpolation import BadTemplate, MissingVariable, interpolate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.compose.interpolation import Lookup

__all__ = ["parse_environment_file", "parse_raw"]

_KEY = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.\[\]-]*)[ \t]*(=|:(?=[ \t])|(?=\n|$|\#))[ \t]*")
_ESCAPE = re.compile(r"\\([abfnrtv\"'\\$]|0[0-7]{0,3})")
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def parse_environment_file(text: str, file: str, lookup: Lookup) -> dict[str, str]:
    """The variables that `text` sets, in its order; `lookup` gives the host's, which win in expansions.

    Raises InvalidInput with file and line.
    """
    return _Parser(text.replace("\r\n", "\n"), file, lookup).parse()


def parse_raw(text: str, file: str) -> dict[str, str]:
    """`NAME=VALUE` lines taken as they are, quotes and dollar signs included (`format: raw`)."""
    values: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.strip() or " " in name.strip():
            raise InvalidInput(f"{file}:{number}: expected NAME=VALUE, found {line!r}")
        values[name.strip()] = value
    return values


class _Parser:
    def __init__(self, text: str, file: str, lookup: Lookup) -> None:
        self._text = text
        self._file = file
        self._host = lookup
        self._position = 0
        self._values: dict[str, str] = {}

    def parse(self) -> dict[str, str]:
        while self._skip_blank():
            match = _KEY.match(self._text, self._position)
            if not match:
                line = self._text[self._position :].partition("\n")[0]
                raise self._error(f"unexpected character in variable name near {line!r}", "write NAME=VALUE")
            name, separator = match.groups()
            self._position = match.end()
            if separator:
                self._values[name] = self._value()
            else:
                self._inherit(name)
            self._end_line()
        return self._values

    def _skip_blank(self) -> bool:
        """Move to the next statement; whether there is one."""
        text = self._text
        while self._position < len(text):
            if text[self._position].isspace():
                self._position += 1
            elif text[self._position] == "#":
                self._end_line()
            else:
                return True
        return False

    def _end_line(self) -> None:
        end = self._text.find("\n", self._position)
        self._position = len(self._text) if end < 0 else end + 1

    def _inherit(self, name: str) -> None:
        value = self._host(name)
        if value is not None:
            self._values[name] = value

    def _value(self) -> str:
        quote = self._text[self._position : self._position + 1]
        if quote not in ("'", '"') or not quote:
            return self._expand(self._unquoted())
        inner = self._quoted(quote)
        if quote == "'":
            return inner.replace("\\'", "'")
        return self._expand(_ESCAPE.sub(_unescape, inner))

    def _unquoted(self) -> str:
        end = self._text.find("\n", self._position)
        line = self._text[self._position : end if end >= 0 else None]
        self._position += len(line)
        comment = re.search(r"(^|\s)#", line)
        return (line[: comment.start()] if comment else line).strip()

    def _quoted(self, quote: str) -> str:
        start = self._position + 1
        end = start
        while end < len(self._text) and self._text[end] != quote:
            end += 2 if self._text[end] == "\\" else 1
        if end >= len(self._text):
            raise self._error(f"the quote {quote} is not closed")
        self._position = end + 1
        return self._text[start:end]

    def _expand(self, value: str) -> str:
        def lookup(name: str) -> str | None:
            found = self._host(name)
            return found if found is not None else self._values.get(name)

        try:
            return interpolate(value, lookup)
        except BadTemplate:
            raise self._error(f"invalid variable in {value!r}", "put the value in single quotes") from None
        except MissingVariable as error:
            raise self._error(str(error)) from None

    def _error(self, what: str, hint: str = "") -> InvalidInput:
        line = self._text.count("\n", 0, min(self._position, len(self._text))) + 1
        return InvalidInput(f"{self._file}:{line}: {what}", hint=hint)


def _unescape(match: re.Match[str]) -> str:
    escaped = match.group(1)
    if escaped == "$":
        return "$$"
    if escaped[0] == "0":
        return chr(int(escaped, 8) & 0xFF)
    return _ESCAPED.get(escaped, escaped)
