"""The audit log: who changed what, when, from where; one JSON object a line, in `audit.log` of the data."""

from __future__ import annotations

import json
import os

from wherry.base.clock import rfc3339
from wherry.base.errors import Unavailable
from wherry.base.files import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.registry.access import Caller

__all__ = ["Audit"]


class Audit:
    """Lines are appended whole, by several processes too. A log that was moved away is begun anew."""

    def __init__(self, path: str, clock: Callable[[], int]) -> None:
        self._path = path
        self._clock = clock

    def note(self, action: str, caller: Caller, repository: str = "", **details: object) -> None:
        """Write down that `caller` did `action`. Raises Unavailable: without it nothing is acknowledged."""
        entry = {
            "time": rfc3339(self._clock()),
            "action": action,
            "actor": caller.name or caller.kind,
            "kind": caller.kind,
            **({"repository": repository} if repository else {}),
            **{name: value for name, value in details.items() if value not in ("", [], None)},
        }
        line = json.dumps(entry, separators=(",", ":")) + "\n"
        try:
            self._append(line.encode())
        except OSError as error:
            raise Unavailable(f"cannot write the audit log {self._path}: {error.strerror}") from None

    def _append(self, line: bytes) -> None:
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            write_all(fd, line)
        finally:
            os.close(fd)
