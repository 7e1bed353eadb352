"""JSON for what most commands read and write, without the `json` package: that loads `re` and a dozen modules more,
which every `run` would wait for. The scanner and the encoder are those that `json` itself works with.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["decode", "encode"]

_SPACE = " \t\n\r"


class _Strict:
    """What the scanner asks for: the settings of `json.loads`."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int

    def parse_constant(self, name: str) -> float:
        return float(name.replace("Infinity", "inf"))


def _scanner() -> Callable[[str, int], tuple[Any, int]] | None:
    try:
        from _json import make_scanner

        made: Callable[[str, int], tuple[Any, int]] = make_scanner(_Strict())  # type: ignore[arg-type]  # any object with these attributes
    except (ImportError, TypeError):
        return None  # another interpreter
    return made


def _encoder() -> Callable[[Any, int], tuple[str, ...]] | None:
    try:
        from _json import encode_basestring_ascii, make_encoder

        made: Callable[[Any, int], tuple[str, ...]] = make_encoder(
            {}, _refuse, encode_basestring_ascii, None, ": ", ", ", False, False, True
        )
    except (ImportError, TypeError):
        return None
    return made


def _refuse(value: object) -> object:
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


_scan = _scanner()
_write = _encoder()


def decode(data: str | bytes) -> Any:
    """As `json.loads`. Raises ValueError where it is not JSON."""
    if _scan is not None:
        try:
            text = (data if isinstance(data, str) else data.decode()).strip(_SPACE)
            value, end = _scan(text, 0)
            if end == len(text):
                return value
        except (StopIteration, ValueError):
            pass  # `json` says what is wrong
    import json

    return json.loads(data)


def encode(value: Any) -> str:
    """As `json.dumps`."""
    if _write is not None:
        return "".join(_write(value, 0))
    import json

    return json.dumps(value)
