"""Signals as Docker names them: `TERM`, `SIGTERM`, `15`, `RTMIN+1`, `RTMAX-2`."""

from __future__ import annotations

from wherry.base.errors import InvalidInput

__all__ = ["signal_number"]

_REALTIME = {"RTMIN": 34, "RTMAX": 64}  # as the kernel's users have them; the C library keeps 32 and 33


def signal_number(text: str) -> int:
    """The number, 1 to 64. Raises InvalidInput in Docker's words for what is no signal."""
    import signal

    name = text.upper().removeprefix("SIG")
    if name.isascii() and name.isdigit() and 0 < int(name) < 65:
        return int(name)
    if f"SIG{name}" in signal.Signals.__members__ and name not in _REALTIME:
        return int(signal.Signals[f"SIG{name}"])
    number = _realtime(name)
    if number is None:
        raise InvalidInput(f"Invalid signal: {text}", hint="write a name (TERM, RTMIN+1) or a number from 1 to 64")
    return number


def _realtime(name: str) -> int | None:
    base, sign, distance = name[:5], name[5:6], name[6:]
    if base not in _REALTIME or (name[5:] and not (sign in "+-" and distance.isascii() and distance.isdigit())):
        return None
    number = _REALTIME[base] + (int(distance) if sign == "+" else -int(distance or 0))
    return number if 34 <= number <= 64 else None
