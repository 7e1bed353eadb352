"""The contract of whatever Compose files are read from."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object

__all__ = ["Source"]


class Source(Protocol):
    """The reader that loading is given; nothing else of loading touches a file."""

    def read(self, path: str) -> str:
        """The text of the file. Raises NotFound; InvalidInput for what is no text."""

    def is_file(self, path: str) -> bool:
        """Whether there is a file of that name."""

    def standard_input(self) -> str:
        """All of standard input, the same text each time."""
