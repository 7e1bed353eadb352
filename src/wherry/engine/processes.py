"""`top`: the host's `ps`, limited to some processes."""

from __future__ import annotations

from wherry.base.errors import InvalidInput
from wherry.base.programs import require, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["list_processes"]


def list_processes(pids: Iterable[int], arguments: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Titles and rows of `ps` with `arguments` (`-ef` where there are none). Raises InvalidInput without PIDs."""
    output = run((require("ps"), *(arguments or ("-ef",)))).stdout.decode(errors="replace").splitlines()
    titles = output[0].split() if output else []
    if "PID" not in titles:
        raise InvalidInput("Couldn't find PID field in ps output", hint="let ps print the PID column")
    wanted, column = set(pids), titles.index("PID")
    rows = [line.split(None, len(titles) - 1) for line in output[1:]]
    return titles, [row for row in rows if len(row) > column and row[column].isdigit() and int(row[column]) in wanted]
