"""Wherry's own engine behind the contract `ComposeEngine`.

What the engine cannot do yet is refused here, in one place each, with words that say so.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager

from wherry.base.errors import Conflict, NotFound, Unsupported
from wherry.compose import labels as label
from wherry.compose.attaching import attached, network_names, network_request
from wherry.compose.holding import held
from wherry.compose.state import ObservedContainer, ObservedMount, ObservedResource
from wherry.compose.volatile import VolatileFiles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import TypeVar

    from wherry.base.paths import Layout
    from wherry.base.progress import Sink
    from wherry.build import BuildRequest
    from wherry.compose.engine import ContainerWish, FileWish, NetworkWish, VolumeWish
    from wherry.engine import Engine
    from wherry.engine.containerfiles import ContainerFiles
    from wherry.engine.containers import Streams
    from wherry.engine.records import Container
    from wherry.engine.request import ExecRequest
    from wherry.runtime.logs import LogRecord
    from wherry.store import Image

    T = TypeVar("T")

__all__ = ["WherryEngine", "docker_status"]


def docker_status(status: str) -> str:
    """Docker's word for a container's status."""
    return {"starting": "created", "creating": "created", "removing": "dead"}.get(status, status)


class WherryEngine:
    """The containers of one installation. Each thread has an engine of its own: a database connection is not shared."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._threads = threading.local()
        self._files = VolatileFiles(f"{layout.run}/compose")
        self._open(repair=True)
        self._files.sweep(lambda: [one.request for one in self._engine.containers.all()])

    def _open(self, *, repair: bool) -> Engine:
        from wherry.engine import open_engine

        self._threads.engine = open_engine(self._layout, repair=repair)
        opened: Engine = self._threads.engine
        return opened

    @property
    def _engine(self) -> Engine:
        opened: Engine | None = getattr(self._threads, "engine", None)
        return opened if opened is not None else self._open(repair=False)

    @contextmanager
    def holding(self, project: str, waiting: Callable[[], None]) -> Iterator[None]:
        """See ComposeEngine."""
        with held(f"{self._layout.locks}/compose-{project}", waiting) as waited:
            if waited:
                self._engine.repair()
            yield

    # --- what there is

    def containers(self, project: str = "") -> list[ObservedContainer]:
        """See ComposeEngine."""
        found = [one for one in self._engine.containers.all() if _is_of(one, project)]
        return [self._observed(one) for one in reversed(found)]

    def container(self, container_id: str) -> ObservedContainer | None:
        """See ComposeEngine."""
        try:
            return self._observed(self._engine.containers.resolve(container_id))
        except NotFound:
            return None

    def _observed(self, one: Container) -> ObservedContainer:
        mounts = [mount for mount in self._engine.containers.mounts(one) if mount["kind"] == "volume"]
        return ObservedContainer(
            one.id,
            one.name,
            one.request.labels,
            docker_status(one.state.status),
            one.state.exit_code,
            one.state.health,
            one.image,
            one.image_id,
            network_names(one),
            tuple(ObservedMount(mount["target"], mount["name"], self._is_anonymous(mount["name"])) for mount in mounts),
            one.network.ports,
            one.created,
            one.state.started,
            one.state.finished,
        )

    def _is_anonymous(self, volume: str) -> bool:
        try:
            return self._engine.volumes.get(volume).anonymous
        except NotFound:
            return False

    def command(self, container_id: str) -> tuple[str, ...]:
        """See ComposeEngine."""
        return self._engine.containers.command(self._engine.containers.resolve(container_id))

    def networks(self) -> dict[str, ObservedResource]:
        """See ComposeEngine."""
        return {one.name: ObservedResource(one.name, one.labels) for one in self._engine.networks.all()}

    def volumes(self) -> dict[str, ObservedResource]:
        """See ComposeEngine."""
        return {one.name: ObservedResource(one.name, one.labels) for one in self._engine.volumes.all()}

    def image_ids(self, names: Sequence[str]) -> dict[str, str]:
        """See ComposeEngine."""
        found = {}
        for name in dict.fromkeys(names):
            try:
                found[name] = self._engine.images.resolve(name).id
            except NotFound:
                continue
        return found

    def opened(self) -> Engine:
        """The calling thread's engine, for those who need what Compose does not."""
        return self._engine

    # --- networks and volumes

    def create_network(self, wish: NetworkWish) -> None:
        """See ComposeEngine."""
        self._engine.network_verbs.create(network_request(wish))

    def remove_network(self, name: str) -> None:
        """See ComposeEngine."""
        self._engine.network_verbs.remove(self._engine.networks.resolve(name))

    def create_volume(self, wish: VolumeWish) -> None:
        """See ComposeEngine."""
        if wish.config.get("driver", "local") != "local":
            raise Unsupported(f"volume {wish.name}: the driver {wish.config['driver']} is not supported")
        if wish.config.get("driver_opts"):
            raise Unsupported(f"volume {wish.name}: driver_opts are not supported yet", hint="mount the path instead")
        self._engine.volumes.create(wish.name, labels=wish.labels)

    def remove_volume(self, name: str) -> None:
        """See ComposeEngine."""
        self._engine.volumes.remove(name, force=True)

    # --- containers

    def create(self, wish: ContainerWish) -> str:
        """See ComposeEngine."""
        from wherry.base.progress import nobody

        with self._files.lay_out(wish.files) as laid:
            request = laid.given_to(attached(wish.request, wish.attachments))
            return self._engine.containers.create(request, nobody)

    def start(self, container_id: str, files: Sequence[FileWish] = ()) -> None:
        """See ComposeEngine."""
        container = self._engine.containers.resolve(container_id)
        if container.state.status == "paused":
            self._engine.lifecycle.pause(container.id, resume=True)
            return
        self._files.renew(container.request, files)
        self._engine.containers.start(container.id)

    def lacks_files(self, container_id: str) -> bool:
        """See ComposeEngine."""
        return self._files.lacks(self._engine.containers.resolve(container_id).request)

    def renew_files(self, container_id: str, files: Sequence[FileWish]) -> None:
        """See ComposeEngine."""
        self._files.renew(self._engine.containers.resolve(container_id).request, files)

    def run_attached(self, container_id: str, streams: Streams) -> int | None:
        """See ComposeEngine."""
        return self._engine.containers.run_attached(container_id, streams)

    def stop(self, container_id: str, timeout: int | None) -> None:
        """See ComposeEngine."""
        self._engine.lifecycle.stop(container_id, timeout=timeout)

    def restart(self, container_id: str, timeout: int | None) -> None:
        """See ComposeEngine."""
        self._engine.lifecycle.restart(container_id, timeout=timeout)

    def kill(self, container_id: str, signal: str) -> None:
        """See ComposeEngine."""
        self._engine.lifecycle.kill(container_id, signal)

    def pause(self, container_id: str, *, resume: bool = False) -> None:
        """See ComposeEngine."""
        self._engine.lifecycle.pause(container_id, resume=resume)

    def remove(self, container_id: str, *, volumes: bool = False) -> None:
        """See ComposeEngine."""
        try:
            container = self._engine.containers.resolve(container_id)
        except NotFound:
            return
        inherited = [one["name"] for one in self._engine.containers.mounts(container) if one["kind"] == "volume"]
        self._engine.lifecycle.remove(container.id, force=True, volumes=volumes)
        self._files.remove(container.request)
        for name in inherited if volumes else ():
            self._remove_anonymous(name)

    def _remove_anonymous(self, name: str) -> None:
        """A volume that was taken over from an earlier container is anonymous still."""
        try:
            if self._is_anonymous(name):
                self._engine.volumes.remove(name, force=True)
        except Conflict:
            pass  # another container has it

    def rename(self, container_id: str, name: str) -> None:
        """See ComposeEngine."""
        self._engine.containers.rename(container_id, name)

    def wait_until(self, condition: Callable[[], T | None], timeout: float | None = None) -> T | None:
        """See ComposeEngine: every change of a container is written to the database."""
        return self._engine.store.database.wait_until(condition, timeout)

    def logs(
        self, container_id: str, *, follow: bool = False, tail: int = -1, since: int = 0, until: int = 0
    ) -> Iterator[LogRecord]:
        """See ComposeEngine."""
        return self._engine.containers.logs(container_id, follow=follow, tail=tail, since=since, until=until)

    def execute(self, container_id: str, request: ExecRequest) -> int:
        """See ComposeEngine."""
        return self._engine.containers.execute(container_id, request)

    def attach(self, container_id: str, streams: Streams) -> int | None:
        """See ComposeEngine."""
        return self._engine.containers.attach(container_id, streams)

    def top(self, container_id: str) -> tuple[list[str], list[list[str]]]:
        """See ComposeEngine."""
        return self._engine.containers.top(container_id, ())

    def files(self) -> ContainerFiles:
        """See ComposeEngine."""
        return self._engine.files

    # --- images

    def image_details(self, image_id: str) -> tuple[list[str], int]:
        """See ComposeEngine."""
        image = self._engine.images.resolve(image_id)
        return list(image.names), sum(entry.size for entry in self._engine.images.history(image.id))

    def remove_image(self, name: str) -> None:
        """See ComposeEngine."""
        self._engine.images.remove(name)

    def pull(self, name: str, platform: str, progress: Sink) -> None:
        """See ComposeEngine."""
        self._engine.images.pull(name, platform=platform, progress=progress)

    def push(self, name: str, progress: Sink) -> None:
        """See ComposeEngine."""
        from wherry.oci.reference import parse_reference

        self._engine.exchange.push(parse_reference(name), platform="", compression="gzip", progress=progress)

    def build(self, requests: Mapping[str, BuildRequest], progress: Sink) -> dict[str, str]:
        """See ComposeEngine."""
        from wherry.build import build_all
        from wherry.build.bases import stand_in

        engine = self._engine

        def fallback(request: BuildRequest) -> Callable[[str], Image] | None:
            if request.base_fallback != "distro":
                return None
            return lambda name: stand_in(engine, name, progress, ca_bundle=request.ca_bundle)

        return {name: one.image_id for name, one in build_all(engine, requests, progress, fallback).items()}


def _is_of(container: Container, project: str) -> bool:
    own = container.request.labels.get(label.PROJECT, "")
    return own == project if project else bool(own)
