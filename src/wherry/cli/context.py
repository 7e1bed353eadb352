"""What every verb needs: the opened installation, and several targets handled one after another."""

from __future__ import annotations

import os
import sys

from wherry.base.errors import WherryError
from wherry.base.paths import Layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wherry.engine import Engine

__all__ = ["each", "engine"]


def engine(*, repair: bool = True) -> Engine:
    """The installation that the environment names, at rest."""
    from wherry.engine import open_engine

    return open_engine(Layout.from_environment(os.environ, os.geteuid()), repair=repair)


def each(names: Iterable[str], action: Callable[[str], str | None]) -> int:
    """Do `action` for every name and print what it returns (the name for None); errors are told and counted.

    As Docker: what fails does not keep the rest from being done; the exit code is then 1.
    """
    code = 0
    for name in names:
        try:
            said = action(name)
        except WherryError as error:
            print(f"Error: {error.message}", file=sys.stderr)
            if error.hint:
                print(error.hint, file=sys.stderr)
            code = 1
            continue
        if said != "":
            print(name if said is None else said)
    return code
