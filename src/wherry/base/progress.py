"""Progress of long operations, as typed events that any face may draw.

An operation takes a `Sink` and calls it; who renders the events (a terminal, plain lines, a web page, nobody) is the
caller's choice. A task is one line a person would follow: a build step, a layer, a program.
"""

from __future__ import annotations

from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Advanced", "Event", "Finished", "Output", "Sink", "Started", "Turned", "Warned", "nobody", "serialized"]


class Started(NamedTuple):
    """A task begins. `task` is unique within the operation; `title` is what a person reads."""

    task: str
    title: str


class Advanced(NamedTuple):
    """`done` of `total` bytes (or entries, as `unit` says); `total` is 0 where it is not known."""

    task: str
    done: int
    total: int
    unit: str = "bytes"


class Turned(NamedTuple):
    """The task goes on in another state (`Waiting`, `Extracting`, `Already exists`), as a person would word it."""

    task: str
    state: str


class Output(NamedTuple):
    """What the task's own program wrote; `stream` is 1 (standard output) or 2 (standard error)."""

    task: str
    stream: int
    data: bytes


class Finished(NamedTuple):
    """The task ended: done, found in a cache, or failed with the message `error`."""

    task: str
    cached: bool = False
    error: str = ""


class Warned(NamedTuple):
    """Something the user should know and that does not stop the operation."""

    message: str


Event = Started | Advanced | Turned | Output | Finished | Warned
if TYPE_CHECKING:
    Sink = Callable[[Event], None]


def serialized(sink: Sink) -> Sink:
    """`sink` for several threads: it is called by one at a time."""
    from threading import Lock

    lock = Lock()

    def call(event: Event) -> None:
        with lock:
            sink(event)

    return call


def nobody(event: Event) -> None:
    """The sink of operations whose progress no one watches."""
