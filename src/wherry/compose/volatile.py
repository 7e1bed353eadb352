"""Secrets and configs whose content comes from the model, as files that are gone after a reboot."""

from __future__ import annotations

import os

from wherry.base.errors import Conflict, NotFound
from wherry.base.files import ensure_directory, remove_tree, write_all
from wherry.base.locks import FileLock
from wherry.engine.request import MountRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wherry.compose.engine import FileWish
    from wherry.engine.request import ContainerRequest

__all__ = ["VolatileFiles"]


class VolatileFiles:
    """Those files, below `root`, a directory in memory.

    One directory for each container, for root alone; each file is bound read-only into the container, but the one that
    holds secret variables. They go with the container, and directories that no container has are swept.
    """

    def __init__(self, root: str) -> None:
        self._root = root

    def lay_out(self, wishes: Sequence[FileWish]) -> _Laid:
        """A context in which they are there for a container to be made; if it fails, nothing of the files is left."""
        return _Laid(self._root, wishes)

    def lacks(self, request: ContainerRequest) -> bool:
        """Whether a reboot took files of the container."""
        return not all(map(os.path.exists, self._own(request)))

    def renew(self, request: ContainerRequest, wishes: Sequence[FileWish]) -> None:
        """Write again what a reboot took."""
        contents = {wish.target: wish for wish in wishes if not wish.source}
        for source, target in self._own(request).items():
            if os.path.exists(source):
                continue
            if target not in contents:
                what = f"the file for {target} is" if target else "the secret variables are"
                raise Conflict(f"{what} gone", hint="start the service with `wherry compose up`")
            ensure_directory(os.path.dirname(source), 0o700)
            _write(source, contents[target])

    def remove(self, request: ContainerRequest) -> None:
        """Remove a container's files."""
        for directory in self._directories(request):
            remove_tree(directory)

    def _directories(self, request: ContainerRequest) -> set[str]:
        return {os.path.dirname(source) for source in self._own(request)}

    def _own(self, request: ContainerRequest) -> dict[str, str]:
        """What the container's files are for, by their paths."""
        sources = {mount.source: mount.target for mount in request.mounts} | {request.secret_environment: ""}
        return {source: target for source, target in sources.items() if source.startswith(f"{self._root}/")}

    def sweep(self, requests: Callable[[], list[ContainerRequest]]) -> None:
        """Remove what belongs to no container and is not being made."""
        try:
            names = {name.removesuffix(".lock") for name in os.listdir(self._root)}
        except FileNotFoundError:
            return
        for name in names if names - self._used(requests()) else ():
            try:
                with FileLock(f"{self._root}/{name}.lock", wait=False) as lock:
                    if name not in self._used(requests()):
                        remove_tree(f"{self._root}/{name}")
                    lock.remove()
            except BlockingIOError:
                continue

    def _used(self, requests: list[ContainerRequest]) -> set[str]:
        return {os.path.basename(directory) for request in requests for directory in self._directories(request)}


class _Laid:
    def __init__(self, root: str, wishes: Sequence[FileWish]) -> None:
        self._root = root
        self._wishes = wishes
        self._directory = f"{root}/{os.urandom(8).hex()}"
        self._lock: FileLock | None = None

    def __enter__(self) -> _Laid:
        if any(not wish.source for wish in self._wishes):
            ensure_directory(self._root, 0o700)
            self._lock = FileLock(f"{self._directory}.lock").acquire()
            ensure_directory(self._directory, 0o700)
        return self

    def given_to(self, request: ContainerRequest) -> ContainerRequest:
        """The request with the files, which are there now. Raises NotFound for a path that is not."""
        for number, wish in enumerate(self._wishes):
            path = self._written(number, wish)
            if wish.target:
                mount = MountRequest("bind", wish.target, path, read_only=True)
                request = request._replace(mounts=(*request.mounts, mount))
            else:
                request = request._replace(secret_environment=path)
        return request

    def _written(self, number: int, wish: FileWish) -> str:
        if wish.source:
            if not os.path.exists(wish.source):
                raise NotFound(f"{wish.target}: the file {wish.source} is not there")
            return wish.source
        path = f"{self._directory}/{number}"
        _write(path, wish)
        return path

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            remove_tree(self._directory)
        if self._lock is not None:
            self._lock.remove()
            self._lock.release()


def _write(path: str, wish: FileWish) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_all(fd, wish.content.encode())
        os.fchown(fd, wish.uid, wish.gid)
        os.fchmod(fd, wish.mode)
    finally:
        os.close(fd)
