"""File modes as --chmod takes them: octal, or chmod(1)'s symbols (Dockerfile reference, COPY --chmod). Pure."""

from __future__ import annotations

import re

from wherry.base.errors import InvalidInput

__all__ = ["change_mode", "check_mode"]

_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)")
_ACTION = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_SHIFT = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 4, "w": 2, "x": 1}


def check_mode(text: str) -> None:
    """Raises InvalidInput for what is neither octal nor a list of symbolic changes."""
    if re.fullmatch(r"[0-7]{1,5}", text) and int(text, 8) <= 0o7777:
        return
    if not all(_CLAUSE.fullmatch(clause) for clause in text.split(",")):
        raise InvalidInput(
            f"invalid chmod parameter: '{text}'", hint="give an octal mode (0755) or changes (u=rwX,go=rX)"
        )


def change_mode(text: str, mode: int, *, is_directory: bool) -> int:
    """`mode` (permission bits) as the checked `text` changes it; empty changes nothing."""
    if not text:
        return mode
    if text[0].isdigit():
        return int(text, 8)
    for clause in text.split(","):
        match = _CLAUSE.fullmatch(clause)
        assert match
        who = match[1].replace("a", "ugo") or "ugo"
        for operator, what in _ACTION.findall(match[2]):
            mode = _apply(mode, "".join(dict.fromkeys(who)), operator, what, is_directory=is_directory)
    return mode


def _apply(mode: int, who: str, operator: str, what: str, *, is_directory: bool) -> int:
    change = cleared = 0
    for letter in who:
        change |= _bits(mode, letter, what, is_directory=is_directory)
        cleared |= 7 << _SHIFT[letter] | {"u": 0o4000, "g": 0o2000, "o": 0}[letter]
    if operator == "+":
        return mode | change
    if operator == "-":
        return mode & ~change
    return mode & ~cleared | change


def _bits(mode: int, who: str, what: str, *, is_directory: bool) -> int:
    """The bits that `what` means for one of u, g and o."""
    shift = _SHIFT[who]
    if what in _SHIFT:
        return (mode >> _SHIFT[what] & 7) << shift
    bits = 0
    for letter in what:
        if letter == "X":
            bits |= (1 << shift) if is_directory or mode & 0o111 else 0
        elif letter == "s":
            bits |= {"u": 0o4000, "g": 0o2000, "o": 0}[who]
        elif letter == "t":
            bits |= 0o1000 if who == "o" else 0
        else:
            bits |= _BITS[letter] << shift
    return bits
