"""What operations on environments work with, as one value: records, target, balancer, versions, clock."""

from __future__ import annotations

from wherry.base.progress import nobody
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Protocol

    from wherry.base.paths import Layout
    from wherry.base.progress import Sink
    from wherry.compose.location import ProjectOptions, Warn
    from wherry.deploy.balancer import Listener, LoadBalancer
    from wherry.deploy.probing import Probe
    from wherry.deploy.records import Records
    from wherry.deploy.routing import Check
    from wherry.deploy.target import Target
    from wherry.deploy.versions import Content
else:
    Protocol = object

__all__ = ["Contents", "Parts", "open_parts"]


class Contents(Protocol):
    """What makes the contents of versions, and keeps their images; see `versions.Versions`."""

    def build(self, options: ProjectOptions, owner: str, progress: Sink, warn: Warn) -> Content:
        """The content of a version of a project; its images are kept for `owner`."""

    def draft(self, options: ProjectOptions, warn: Warn) -> Content:
        """What `build` would make of the project now, without images and secrets: nothing is built, fetched or run."""

    def missing(self, images: Iterable[str]) -> list[str]:
        """Those identifiers whose images are not here."""

    def release(self, owner: str) -> None:
        """Let go of a version's images."""


class Parts(NamedTuple):
    """Nothing of it is tied to a thread. `clock` gives nanoseconds since 1970, `pause` waits for seconds.

    `probe` asks an address and port as a health check says, by the host name given.
    """

    layout: Layout
    records: Records
    target: Target
    balancer: LoadBalancer
    listener: Listener
    versions: Contents
    probe: Callable[[str, int, Check, str], Probe]
    clock: Callable[[], int]
    pause: Callable[[float], None]


def open_parts(layout: Layout, progress: Sink = nobody) -> Parts:
    """Those of an installation. `progress` hears of what the balancer does before it runs (its base image's build)."""
    import time

    from wherry.base.clock import system_clock
    from wherry.deploy.haproxy import HAProxy, configured_listener
    from wherry.deploy.local import LocalTarget
    from wherry.deploy.probing import probe
    from wherry.deploy.records import open_records
    from wherry.deploy.versions import Versions

    listener = configured_listener()
    return Parts(
        layout=layout,
        records=open_records(layout),
        target=LocalTarget(layout),
        balancer=HAProxy(layout, listener, progress),
        listener=listener,
        versions=Versions(layout),
        probe=probe,
        clock=system_clock,
        pause=time.sleep,
    )
