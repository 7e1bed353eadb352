"""Patterns with `*` and `?` that others may hand in: compared in time that no pattern can make long (pure)."""

from __future__ import annotations

__all__ = ["fits"]


def fits(pattern: str, text: str) -> bool:
    """Whether all of `text` is as `pattern` says: `*` is any run of letters, `?` is one.

    Takes at most the product of both lengths: only the last `*` that was met ever takes more letters.
    """
    at, star, taken = 0, -1, 0
    position = 0
    while position < len(text):
        letter = pattern[at] if at < len(pattern) else ""
        if letter == "*":
            star, taken = at, position
            at += 1
        elif letter and letter in ("?", text[position]):
            at += 1
            position += 1
        elif star >= 0:
            taken += 1
            at, position = star + 1, taken
        else:
            return False
    return not pattern[at:].strip("*")
