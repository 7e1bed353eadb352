"""Sources of Compose files, environment files and the like: the disk, or a dict in tests and tools."""

from __future__ import annotations

import os
import sys

from wherry.base.errors import InvalidInput, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


__all__ = ["DiskSource", "MemorySource"]


class DiskSource:
    """The files of this machine. Standard input is read once in a process, whoever asks for it."""

    _input: tuple[object, str] = (None, "")  # the stream, and what it held

    def read(self, path: str) -> str:
        """See `Source.read`."""
        try:
            with open(path, encoding="utf-8-sig") as file:
                return file.read()
        except UnicodeDecodeError:
            raise InvalidInput(f"{path}: this is not UTF-8 text") from None
        except IsADirectoryError:
            raise InvalidInput(f"read {path}: is a directory") from None
        except OSError as error:
            raise NotFound(f"open {path}: {error.strerror}") from None

    def is_file(self, path: str) -> bool:
        """See `Source.is_file`."""
        return os.path.isfile(path)

    def standard_input(self) -> str:
        """See `Source.standard_input`."""
        if DiskSource._input[0] is not sys.stdin:
            DiskSource._input = sys.stdin, sys.stdin.read()
        return DiskSource._input[1]


class MemorySource:
    """Files given as a dict of absolute paths to text."""

    def __init__(self, files: Mapping[str, str], standard_input: str = "") -> None:
        self._files = dict(files)
        self._input = standard_input

    def read(self, path: str) -> str:
        """See `Source.read`."""
        if path not in self._files:
            raise NotFound(f"open {path}: No such file or directory")
        return self._files[path]

    def is_file(self, path: str) -> bool:
        """See `Source.is_file`."""
        return path in self._files

    def standard_input(self) -> str:
        """See `Source.standard_input`."""
        return self._input
