"""What a writable layer changes, by name: no content is read."""

from __future__ import annotations

import os
import stat

from wherry.base.values import NamedTuple
from wherry.layer.packing import hidden_names, is_opaque, is_same_directory, is_whiteout, lower_status, showing_through

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

__all__ = ["Change", "list_changes"]


class Change(NamedTuple):
    """`kind` is A (added), C (changed) or D (deleted); `path` is absolute."""

    kind: str
    path: str


def list_changes(upper: str, lowers: Sequence[str], *, places: Collection[str] = ()) -> Iterator[Change]:
    """What `upper` changes over `lowers` (topmost first), in order; a directory comes before what is in it.

    A directory in which nothing changed is left out where mode and owner are the same. `places` are left out, too,
    where they were added and have nothing in them: what something is mounted on.
    """
    return _inside(b"", os.fsencode(upper), [os.fsencode(lower) for lower in lowers], frozenset(places), opaque=False)


def _inside(
    name: bytes, directory: bytes, lowers: list[bytes], places: frozenset[str], *, opaque: bool
) -> Iterator[Change]:
    """`opaque`: nothing of the lower directories shows, here and below."""
    with os.scandir(directory) as entries:
        inside = sorted(entries, key=lambda entry: entry.name)
    for entry in inside:
        path = name + b"/" + entry.name
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:  # the container runs
            continue
        below = [os.path.join(lower, entry.name) for lower in lowers]
        lower, shown = lower_status(below), os.fsdecode(path)
        if is_whiteout(status):
            if lower is not None:
                yield Change("D", shown)
        elif stat.S_ISDIR(status.st_mode):
            yield from _directory(path, entry.path, status, below, places, opaque=opaque or is_opaque(entry.path))
        elif lower is not None:
            yield Change("C", shown)
        elif status.st_size or shown not in places:
            yield Change("A", shown)


def _directory(
    path: bytes, source: bytes, status: os.stat_result, below: list[bytes], places: frozenset[str], *, opaque: bool
) -> Iterator[Change]:
    lower, showing, shown = lower_status(below), showing_through(below), os.fsdecode(path)
    inside = _inside(path, source, showing, places, opaque=opaque)
    first = next(inside, None)
    hidden = hidden_names(source, showing) if opaque else []
    if lower is None:
        if first or shown not in places:
            yield Change("A", shown)
    elif first or hidden or not stat.S_ISDIR(lower.st_mode) or not is_same_directory(status, lower):
        yield Change("C", shown)
    if first:
        yield first
    yield from inside
    yield from (Change("D", os.fsdecode(path + b"/" + name)) for name in hidden)
