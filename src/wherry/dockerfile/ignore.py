"""`.dockerignore`, and Go's `filepath.Match` with `**` (Dockerfile reference, .dockerignore files)."""

from __future__ import annotations

import posixpath
import re

from wherry.base.errors import InvalidInput
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["IgnorePatterns", "match_to_regex"]


class _Pattern(NamedTuple):
    expression: re.Pattern[str]
    negated: bool
    text: str


class IgnorePatterns:
    """The patterns of one file; the last that matches decides."""

    def __init__(self, patterns: Iterable[tuple[str, bool]]) -> None:
        self._patterns = [_Pattern(re.compile(match_to_regex(text)), negated, text) for text, negated in patterns]
        self.has_exceptions = any(pattern.negated for pattern in self._patterns)

    @classmethod
    def parse(cls, text: str) -> IgnorePatterns:
        """Lines: `#` at column 0 is a comment, `!` an exception; blanks around, a leading `/` and `.` parts go."""
        patterns = []
        for line in text.removeprefix("\ufeff").splitlines():
            if line.startswith("#") or not line.strip():
                continue
            body = line.strip()
            negated = body.startswith("!")
            body = body[1:].strip() if negated else body
            if not body:
                raise InvalidInput('illegal exclusion pattern: "!"', hint="name what is to stay after the !")
            patterns.append((posixpath.normpath(body).lstrip("/") or ".", negated))
        return cls(pattern for pattern in patterns if pattern[0] != ".")

    def excludes(self, path: str) -> bool:
        """Whether `path` (relative, with `/`) is left out: it or a directory above it matches, no exception does."""
        excluded = False
        parts = path.split("/")
        prefixes = ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]
        for pattern in self._patterns:
            if pattern.negated == excluded and any(pattern.expression.fullmatch(prefix) for prefix in prefixes):
                excluded = not pattern.negated
        return excluded

    def may_hold_exceptions(self, directory: str) -> bool:
        """Whether an exception may bring back something below an excluded directory, so that it must be walked."""
        for pattern in self._patterns:
            if not pattern.negated:
                continue
            if "*" in pattern.text or "?" in pattern.text or "[" in pattern.text:
                return True
            if pattern.text.startswith(directory + "/"):
                return True
        return False


def match_to_regex(pattern: str) -> str:
    """Go's `filepath.Match`, and `**` for any number of directories, as a regular expression."""
    expression, position = "", 0
    while position < len(pattern):
        letter = pattern[position]
        if pattern.startswith("**", position):
            position += 2
            if pattern.startswith("/", position):
                position += 1
                expression += "(?:.*/)?"
            else:
                expression += ".*"
            continue
        position += 1
        if letter == "*":
            expression += "[^/]*"
        elif letter == "?":
            expression += "[^/]"
        elif letter == "\\" and position < len(pattern):
            expression += re.escape(pattern[position])
            position += 1
        elif letter == "[":
            end = pattern.find("]", position + 1)
            if end < 0:
                raise InvalidInput(f"syntax error in pattern: {pattern}")
            body = pattern[position:end].replace("\\", "\\\\")
            expression += f"[{body}]"
            position = end + 1
        else:
            expression += re.escape(letter)
    return expression
