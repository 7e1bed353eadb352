"""What Compose asks of whatever runs its containers: a contract small enough to be played by a fake.

Every method may be called from several threads at once. Errors are the tree of `base.errors`: NotFound for what is not
there, Conflict for what is in use, Unsupported for what the engine cannot do yet.
"""

from __future__ import annotations

from wherry.base.values import NamedTuple
from wherry.engine.request import ContainerRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Any, Protocol, TypeVar

    from wherry.base.progress import Sink
    from wherry.build import BuildRequest
    from wherry.compose.state import ObservedContainer, ObservedResource
    from wherry.engine.containerfiles import ContainerFiles
    from wherry.engine.containers import Streams
    from wherry.engine.request import ExecRequest
    from wherry.runtime.logs import LogRecord

    T = TypeVar("T")
else:
    Protocol = object

__all__ = ["Attachment", "ComposeEngine", "ContainerWish", "FileWish", "NetworkWish", "VolumeWish"]


class Attachment(NamedTuple):
    """One network of a container, by the network's own name, with names that it has there besides its own.

    The first of several is the container's first interface.
    """

    network: str
    aliases: tuple[str, ...] = ()
    ipv4_address: str = ""
    mac_address: str = ""


class FileWish(NamedTuple):
    """A secret or a config that the container sees, read-only. `source` is a path; where it is empty, `content` counts.

    `content` is never part of the container's request, so that nothing that shows a container shows it. With an empty
    `target` it is no file but variables of all its processes: KEY=VALUE texts, each ended by NUL.
    """

    target: str
    source: str = ""
    content: str = ""
    mode: int = 0o444
    uid: int = 0
    gid: int = 0


class ContainerWish(NamedTuple):
    """One container to make."""

    request: ContainerRequest
    attachments: tuple[Attachment, ...] = ()
    files: tuple[FileWish, ...] = ()


class NetworkWish(NamedTuple):
    """One network to make: `config` is the model's network."""

    name: str
    config: dict[str, Any]
    labels: dict[str, str]


class VolumeWish(NamedTuple):
    """One volume to make: `config` is the model's volume."""

    name: str
    config: dict[str, Any]
    labels: dict[str, str]


class ComposeEngine(Protocol):
    """The contract."""

    def holding(self, project: str, waiting: Callable[[], None]) -> AbstractContextManager[None]:
        """Hold the project: no other command that holds it changes it meanwhile.

        What a holder that died left is repaired first. `waiting` is called where another holds it for over a second.
        """

    def containers(self, project: str = "") -> list[ObservedContainer]:
        """The containers of a project, or of all projects; the oldest first."""

    def container(self, container_id: str) -> ObservedContainer | None:
        """One of them, None where it is gone."""

    def command(self, container_id: str) -> tuple[str, ...]:
        """What the container runs, for lists."""

    def networks(self) -> dict[str, ObservedResource]:
        """Every network by name."""

    def volumes(self) -> dict[str, ObservedResource]:
        """Every volume by name."""

    def image_ids(self, names: Sequence[str]) -> dict[str, str]:
        """The identifiers of those images that are here."""

    def create_network(self, wish: NetworkWish) -> None:
        """Make it."""

    def remove_network(self, name: str) -> None:
        """Remove it. Raises Conflict while a container is on it, NotFound where it is gone."""

    def create_volume(self, wish: VolumeWish) -> None:
        """Make it."""

    def remove_volume(self, name: str) -> None:
        """Remove it with its content. Raises Conflict while a container has it."""

    def create(self, wish: ContainerWish) -> str:
        """Make a container; its identifier."""

    def start(self, container_id: str, files: Sequence[FileWish] = ()) -> None:
        """Start it, with its secrets and configs laid out where they are not any more; thaw it where it is paused."""

    def lacks_files(self, container_id: str) -> bool:
        """Whether files that the container was made with are gone, as after a reboot."""

    def renew_files(self, container_id: str, files: Sequence[FileWish]) -> None:
        """Write those again that are gone. Raises Conflict where one of them is not among `files`."""

    def run_attached(self, container_id: str, streams: Streams) -> int | None:
        """Start it and stay with it; its exit code, None where the user detached."""

    def stop(self, container_id: str, timeout: int | None) -> None:
        """Stop it, within `timeout` seconds or what it was made with; harmless where it does not run."""

    def restart(self, container_id: str, timeout: int | None) -> None:
        """Stop and start it."""

    def kill(self, container_id: str, signal: str) -> None:
        """Send it a signal."""

    def pause(self, container_id: str, *, resume: bool = False) -> None:
        """Freeze or thaw it."""

    def remove(self, container_id: str, *, volumes: bool = False) -> None:
        """Remove it, running or not, with its anonymous volumes where `volumes`; harmless where it is gone."""

    def rename(self, container_id: str, name: str) -> None:
        """Give it another name."""

    def wait_until(self, condition: Callable[[], T | None], timeout: float | None = None) -> T | None:
        """Block until `condition` gives something, asking it whenever a container changed; None after `timeout` (s)."""

    def logs(
        self, container_id: str, *, follow: bool = False, tail: int = -1, since: int = 0, until: int = 0
    ) -> Iterator[LogRecord]:
        """What it wrote; times in nanoseconds, `tail` in lines (-1 for all)."""

    def execute(self, container_id: str, request: ExecRequest) -> int:
        """Run a further command in it on this process's streams; its exit code."""

    def attach(self, container_id: str, streams: Streams) -> int | None:
        """Attach to it until it ends; its exit code, None where the user detached."""

    def top(self, container_id: str) -> tuple[list[str], list[list[str]]]:
        """Titles and rows of its processes."""

    def files(self) -> ContainerFiles:
        """What copies files in and out of containers."""

    def image_details(self, image_id: str) -> tuple[list[str], int]:
        """The names of an image and its size in bytes."""

    def remove_image(self, name: str) -> None:
        """Remove the name, and the image with its last one."""

    def pull(self, name: str, platform: str, progress: Sink) -> None:
        """Fetch an image."""

    def push(self, name: str, progress: Sink) -> None:
        """Send an image to its registry."""

    def build(self, requests: Mapping[str, BuildRequest], progress: Sink) -> dict[str, str]:
        """Build images that need nothing of each other, at once; their identifiers, under the same keys."""
