"""Logs of containers that are gone: kept beside the environment, bounded in size, the oldest instances first to go."""

from __future__ import annotations

import os

from wherry.base.files import ensure_directory, remove_tree
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ArchivedLog", "LogArchive"]

_BYTES = 256 * 1024 * 1024


class ArchivedLog(NamedTuple):
    """The log of one container that is gone, in the format of `runtime.logs`."""

    instance: str
    service: str
    container: str  # the first 12 digits of its identifier
    path: str


class LogArchive:
    """The logs of one environment, below `directory`; at most `limit` bytes of instances that are gone."""

    def __init__(self, directory: str, limit: int = _BYTES) -> None:
        self._directory = directory
        self._limit = limit

    def keep(self, instance: str, service: str, container_id: str, log: str) -> None:
        """Keep the log at the path `log` (on the same file system) whatever becomes of its container. Idempotent."""
        ensure_directory(f"{self._directory}/{instance}", 0o700)
        try:
            os.link(log, f"{self._directory}/{instance}/{service}@{container_id[:12]}")
        except (FileExistsError, FileNotFoundError):
            return

    def trim(self) -> None:
        """Remove what is over the limit."""
        left = self._limit
        for instance in sorted(self._instances(), key=self._age, reverse=True):
            left -= sum(os.stat(path).st_size for path in self._files(instance))
            if left < 0:
                remove_tree(f"{self._directory}/{instance}")

    def logs(self) -> Iterator[ArchivedLog]:
        """Everything that is kept, the oldest instance first."""
        for instance in sorted(self._instances(), key=self._age):
            for path in self._files(instance):
                service, _, container = os.path.basename(path).partition("@")
                yield ArchivedLog(instance, service, container, path)

    def _instances(self) -> list[str]:
        try:
            return os.listdir(self._directory)
        except FileNotFoundError:
            return []

    def _files(self, instance: str) -> list[str]:
        base = f"{self._directory}/{instance}"
        return [f"{base}/{name}" for name in sorted(os.listdir(base))]

    def _age(self, instance: str) -> float:
        return os.stat(f"{self._directory}/{instance}").st_mtime
