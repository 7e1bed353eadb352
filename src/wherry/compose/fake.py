"""A `ComposeEngine` that runs nothing: for tests, here and elsewhere. Everything that it is asked is in `calls`."""

from __future__ import annotations

import threading
from contextlib import contextmanager

from wherry.base.errors import Conflict, NotFound
from wherry.compose import labels as label
from wherry.compose.state import ObservedContainer, ObservedMount, ObservedResource
from wherry.runtime.logs import LogRecord

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any, TypeVar

    from wherry.base.progress import Sink
    from wherry.build import BuildRequest
    from wherry.compose.engine import ContainerWish, FileWish, NetworkWish, VolumeWish
    from wherry.engine.containerfiles import ContainerFiles
    from wherry.engine.containers import Streams
    from wherry.engine.request import ExecRequest

    T = TypeVar("T")

__all__ = ["FakeEngine", "FakeFiles"]


class FakeFiles:
    """Copies nothing, and tells `note` of what it was asked to."""

    def __init__(self, note: Callable[[str, str], None]) -> None:
        self._note = note

    def copy_from(self, text: str, path: str, target: str, *, follow: bool) -> int:
        """See ContainerFiles."""
        self._note("copy-from", f"{text}:{path} {target}{' followed' if follow else ''}")
        return 0

    def copy_to(self, text: str, path: str, source: str, *, follow: bool, archive: bool) -> int:
        """See ContainerFiles."""
        how = f"{' followed' if follow else ''}{' archive' if archive else ''}"
        self._note("copy-to", f"{source} {text}:{path}{how}")
        return 0


class FakeEngine:
    """Containers are values in a dict; `fails` names what raises Conflict, `health` what each service's becomes.

    `ends` gives the exit code of a service whose containers end as soon as they are started. `timeouts` are what
    containers were given to stop (s, None for their own), by name.
    """

    def __init__(
        self,
        images: Sequence[str] = (),
        *,
        health: dict[str, str] | None = None,
        ends: dict[str, int] | None = None,
        fails: Sequence[str] = (),
    ) -> None:
        self.images = {name: f"sha256:{number:064d}" for number, name in enumerate(images, 1)}
        self.health = health or {}
        self.ends = ends or {}
        self.fails = set(fails)
        self.without_files: set[str] = set()
        self.calls: list[tuple[str, str]] = []
        self.timeouts: dict[str, int | None] = {}
        self.wishes: dict[str, ContainerWish] = {}
        self._containers: dict[str, ObservedContainer] = {}
        self._networks: dict[str, ObservedResource] = {}
        self._volumes: dict[str, ObservedResource] = {}
        self._logs: dict[str, list[LogRecord]] = {}
        self._changed = threading.Condition(threading.RLock())
        self._count = 0

    def _note(self, verb: str, name: str) -> None:
        with self._changed:
            self.calls.append((verb, name))
            self._changed.notify_all()
        if f"{verb} {name}" in self.fails:
            raise Conflict(f"{verb} {name} fails")

    def change(self, container_id: str, **values: Any) -> None:
        """Let something happen to a container (`status`, `health`, `exit_code`, ...)."""
        with self._changed:
            self._containers[container_id] = self._containers[container_id]._replace(**values)
            self._changed.notify_all()

    def write(self, container_id: str, text: str, *, second: int = 0) -> None:
        """Let a container write a line."""
        with self._changed:
            record = LogRecord(f"2026-01-01T00:00:{second:02d}Z", 1, text.encode() + b"\n")
            self._logs.setdefault(container_id, []).append(record)
            self._changed.notify_all()

    @contextmanager
    def holding(self, project: str, waiting: Callable[[], None]) -> Iterator[None]:
        """See ComposeEngine: nobody else is there."""
        del waiting
        self._note("hold", project)
        yield

    def containers(self, project: str = "") -> list[ObservedContainer]:
        """See ComposeEngine."""
        with self._changed:
            every = list(self._containers.values())
        return [one for one in every if not project or one.labels.get(label.PROJECT) == project]

    def container(self, container_id: str) -> ObservedContainer | None:
        """See ComposeEngine."""
        return self._containers.get(container_id)

    def command(self, container_id: str) -> tuple[str, ...]:
        """See ComposeEngine."""
        return self.wishes[container_id].request.command or ()

    def networks(self) -> dict[str, ObservedResource]:
        """See ComposeEngine."""
        return dict(self._networks)

    def volumes(self) -> dict[str, ObservedResource]:
        """See ComposeEngine."""
        return dict(self._volumes)

    def image_ids(self, names: Sequence[str]) -> dict[str, str]:
        """See ComposeEngine."""
        return {name: self.images[name] for name in names if name in self.images}

    def create_network(self, wish: NetworkWish) -> None:
        """See ComposeEngine."""
        self._note("create-network", wish.name)
        self._networks[wish.name] = ObservedResource(wish.name, wish.labels)

    def remove_network(self, name: str) -> None:
        """See ComposeEngine."""
        self._note("remove-network", name)
        del self._networks[name]

    def create_volume(self, wish: VolumeWish) -> None:
        """See ComposeEngine."""
        self._note("create-volume", wish.name)
        self._volumes[wish.name] = ObservedResource(wish.name, wish.labels)

    def remove_volume(self, name: str) -> None:
        """See ComposeEngine."""
        self._note("remove-volume", name)
        del self._volumes[name]

    def create(self, wish: ContainerWish) -> str:
        """See ComposeEngine."""
        name = wish.request.name
        self._note("create", name)
        with self._changed:
            if any(one.name == name for one in self._containers.values()):
                raise Conflict(f'The container name "/{name}" is already in use')
            self._count += 1
            identifier = f"{self._count:064x}"
            targets = [mount.target for mount in wish.request.mounts]
            if len(set(targets)) < len(targets):
                raise Conflict(f"Duplicate mount point: {targets}")
            mounts = [mount for mount in wish.request.mounts if mount.kind == "volume"]
            observed = tuple(
                ObservedMount(one.target, one.source or f"{identifier}{n}", not one.source or len(one.source) > 60)
                for n, one in enumerate(mounts)
            )
            self.wishes[identifier] = wish
            self._containers[identifier] = ObservedContainer(
                identifier,
                name,
                wish.request.labels,
                "created",
                image=wish.request.image,
                image_id=self.images.get(wish.request.image, ""),
                networks=tuple(one.network for one in wish.attachments),
                mounts=observed,
            )
            self._changed.notify_all()
        return identifier

    def start(self, container_id: str, files: Sequence[FileWish] = ()) -> None:  # noqa: ARG002
        """See ComposeEngine."""
        one = self._require(container_id)
        self._note("start", one.name)
        if one.service in self.ends:
            self.change(container_id, status="exited", exit_code=self.ends[one.service])
        else:
            self.change(container_id, status="running", health=self.health.get(one.service, ""))

    def lacks_files(self, container_id: str) -> bool:
        """See ComposeEngine."""
        return container_id in self.without_files

    def renew_files(self, container_id: str, files: Sequence[FileWish]) -> None:
        """See ComposeEngine."""
        self._note(f"renew {', '.join(one.target for one in files)}", self._require(container_id).name)
        self.without_files.discard(container_id)

    def run_attached(self, container_id: str, streams: Streams) -> int | None:  # noqa: ARG002
        """See ComposeEngine."""
        self.start(container_id)
        return self._require(container_id).exit_code

    def stop(self, container_id: str, timeout: int | None) -> None:
        """See ComposeEngine."""
        name = self._require(container_id).name
        self.timeouts[name] = timeout
        self._note("stop", name)
        self.change(container_id, status="exited", health="")

    def restart(self, container_id: str, timeout: int | None) -> None:  # noqa: ARG002
        """See ComposeEngine."""
        self._note("restart", self._require(container_id).name)
        self.change(container_id, status="running")

    def kill(self, container_id: str, signal: str) -> None:
        """See ComposeEngine."""
        self._note(f"kill {signal}", self._require(container_id).name)
        self.change(container_id, status="exited", exit_code=137)

    def pause(self, container_id: str, *, resume: bool = False) -> None:
        """See ComposeEngine."""
        self._note("unpause" if resume else "pause", self._require(container_id).name)
        self.change(container_id, status="running" if resume else "paused")

    def remove(self, container_id: str, *, volumes: bool = False) -> None:
        """See ComposeEngine."""
        one = self._require(container_id)
        self._note("remove volumes" if volumes else "remove", one.name)
        with self._changed:
            del self._containers[container_id]
            self._changed.notify_all()

    def rename(self, container_id: str, name: str) -> None:
        """See ComposeEngine."""
        self._note("rename", name)
        self.change(container_id, name=name)

    def wait_until(self, condition: Callable[[], T | None], timeout: float | None = None) -> T | None:
        """See ComposeEngine."""
        with self._changed:
            return self._changed.wait_for(condition, timeout) or None

    def logs(
        self, container_id: str, *, follow: bool = False, tail: int = -1, since: int = 0, until: int = 0
    ) -> Iterator[LogRecord]:
        """See ComposeEngine."""
        del since, until
        position = max(0, len(self._logs.get(container_id, [])) - tail) if tail >= 0 else 0
        while True:
            with self._changed:
                written = self._logs.get(container_id, [])
                one = self._containers.get(container_id)
                if position >= len(written):
                    if not follow or one is None or not one.is_running:
                        return
                    self._changed.wait()
                    continue
            yield written[position]
            position += 1

    def execute(self, container_id: str, request: ExecRequest) -> int:
        """See ComposeEngine."""
        self._note(f"exec {' '.join(request.command)}", self._require(container_id).name)
        return 0

    def attach(self, container_id: str, streams: Streams) -> int | None:  # noqa: ARG002
        """See ComposeEngine."""
        self._note("attach", self._require(container_id).name)
        return 0

    def top(self, container_id: str) -> tuple[list[str], list[list[str]]]:
        """See ComposeEngine."""
        return ["PID", "CMD"], [["1", self._require(container_id).name]]

    def files(self) -> ContainerFiles:
        """See ComposeEngine."""
        return FakeFiles(self._note)  # type: ignore[return-value]

    def image_details(self, image_id: str) -> tuple[list[str], int]:
        """See ComposeEngine."""
        return [name for name, one in self.images.items() if one == image_id], 0

    def remove_image(self, name: str) -> None:
        """See ComposeEngine."""
        self._note("remove-image", name)
        del self.images[name]

    def pull(self, name: str, platform: str, progress: Sink) -> None:  # noqa: ARG002
        """See ComposeEngine."""
        self._note("pull", name)
        self.images[name] = f"sha256:{len(self.calls):064d}"

    def push(self, name: str, progress: Sink) -> None:  # noqa: ARG002
        """See ComposeEngine."""
        self._note("push", name)

    def build(self, requests: Mapping[str, BuildRequest], progress: Sink) -> dict[str, str]:  # noqa: ARG002
        """See ComposeEngine."""
        self._note("build", " ".join(one.tags[0] for one in requests.values()))
        built = {}
        for number, (name, request) in enumerate(requests.items()):
            built[name] = f"sha256:{len(self.calls) + number * 1000:064d}"
            self.images.update(dict.fromkeys(request.tags, built[name]))
        return built

    def _require(self, container_id: str) -> ObservedContainer:
        one = self._containers.get(container_id)
        if one is None:
            raise NotFound(f"No such container: {container_id}")
        return one
