"""Byte sizes and durations as Compose reads them, numbers as Go prints them."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["go_text", "parse_duration", "parse_size"]

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?i?b?)", re.IGNORECASE)
_EXPONENTS = {"": 0, "b": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h|d|w)")
_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 604_800_000_000_000,
}


def parse_size(text: str) -> int:
    """`512m`, `1.5gb`, `1024` in bytes; units are powers of 1024 (compose-spec, byte values); ValueError for others."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(text)
    number, unit = match.groups()
    return int(float(number) * 1024 ** _EXPONENTS[unit.lower()[:1]])


def parse_duration(text: str) -> int:
    """`1m30s`, `1.5h`, `2d` in nanoseconds, negative with a sign; ValueError for what is none."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    parts = _DURATION.findall(rest)
    if not parts or "".join(number + unit for number, unit in parts) != rest:
        raise ValueError(text)
    return sign * sum(round(float(number) * _NANOSECONDS[unit]) for number, unit in parts)


def go_text(value: Any) -> str:
    """A scalar as Go's `%v` prints it: what a number becomes that is wanted as text (`1.10` is 1.1)."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, float):
        return str(value)
    return _float_text(value)


def _float_text(value: float) -> str:
    from decimal import Decimal

    if str(value) in ("inf", "-inf", "nan"):
        return {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}[str(value)]
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    power = len(digits) + exponent - 1
    text = "".join(map(str, digits))
    if value and not -4 <= power < 6:
        mantissa = text[0] + ("." + text[1:] if text[1:] else "")
        return f"{'-' * sign}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"
    return f"{'-' * sign}{Decimal(repr(abs(value))):f}".removesuffix(".0")
