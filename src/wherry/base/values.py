"""`NamedTuple` without the price of `typing`: every command defines some forty of them before it does anything.

For the type checker it is `typing.NamedTuple`. At run time it makes the same tuples (fields from the annotations,
defaults from the assignments, methods kept), without compiling each annotation into a forward reference, which is
what makes `typing`'s slow; nothing here asks a field for its type.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NamedTuple
else:
    from collections import namedtuple

    class _Maker(type):
        def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
            if not bases:
                return super().__new__(cls, name, bases, namespace)
            fields = tuple(namespace.get("__annotations__", ()))
            defaults = [namespace[field] for field in fields if field in namespace]
            made = namedtuple(name, fields, defaults=defaults, module=namespace["__module__"])  # noqa: PYI024
            for key, value in namespace.items():
                if key not in fields and key not in ("__module__", "__qualname__"):
                    setattr(made, key, value)
            return made

    class NamedTuple(metaclass=_Maker):
        """A tuple whose items have names; see `typing.NamedTuple`."""


__all__ = ["NamedTuple"]
