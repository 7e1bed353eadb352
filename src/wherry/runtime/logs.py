"""The container's log as conmon writes it: `TIME STREAM TAG DATA`, one line each, the kubelet's format.

TAG is F for a whole line and P for a piece of one. Following waits for the kernel's word (inotify), never for a clock.
"""

from __future__ import annotations

import os

from wherry.base.clock import parse_rfc3339
from wherry.base.values import NamedTuple
from wherry.base.watching import watch_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["LogRecord", "read_log"]

_BLOCK = 1 << 16


class LogRecord(NamedTuple):
    """A line, or a piece of one where `data` has no newline at its end. `stream` is 1 or 2; the time is RFC 3339."""

    time: str
    stream: int
    data: bytes


def read_log(
    path: str,
    *,
    follow: bool = False,
    tail: int = -1,
    since: int = 0,
    until: int = 0,
    is_running: Callable[[], bool] = lambda: False,
    end_fd: Callable[[], int] = lambda: -1,
) -> Iterator[LogRecord]:
    """The records of the log: the last `tail` lines (all for -1) from `since` to before `until` (ns, 0 for open).

    With `follow`, goes on until `is_running` says no and everything was read; `end_fd` gives a descriptor that becomes
    readable when the container ends.
    """
    try:
        file = open(path, "rb")
    except FileNotFoundError:
        return
    with file:
        if tail >= 0:
            file.seek(_tail_offset(file.fileno(), tail))
        source = _follow(file, is_running, end_fd) if follow else iter(file.readline, b"")
        for line in source:
            record = _parse(line)
            if record is None:
                continue
            if since or until:
                moment = parse_rfc3339(record.time)
                if moment < since:
                    continue
                if until and moment >= until:
                    return
            yield record


def _parse(line: bytes) -> LogRecord | None:
    parts = line.split(b" ", 3)
    if len(parts) < 4:
        return None
    time, stream, tag, data = parts
    if tag == b"P":
        data = data[:-1]
    return LogRecord(time.decode(errors="replace"), 2 if stream == b"stderr" else 1, data)


def _tail_offset(fd: int, lines: int) -> int:
    """Where the last `lines` whole lines begin; pieces of one line count as one."""
    position = os.fstat(fd).st_size
    if not lines:
        return position
    text = b""
    while position:
        step = min(_BLOCK, position)
        position -= step
        text = os.pread(fd, step, position) + text
        starts = _line_starts(text, whole=not position)
        if len(starts) >= lines:
            return position + starts[-lines]
    return 0


def _line_starts(text: bytes, *, whole: bool) -> list[int]:
    """Where lines begin whose predecessor was not a piece; the first only where `text` begins the file."""
    starts: list[int] = []
    offset, previous = 0, b"F" if whole else b""
    for line in text.splitlines(keepends=True):
        parts = line.split(b" ", 3)
        if previous == b"F" and len(parts) == 4:
            starts.append(offset)
        previous = parts[2] if len(parts) == 4 else b""
        offset += len(line)
    return starts


def _follow(file: object, is_running: Callable[[], bool], end_fd: Callable[[], int]) -> Iterator[bytes]:
    import select
    from io import BufferedReader

    assert isinstance(file, BufferedReader)
    watch = watch_file(f"/proc/self/fd/{file.fileno()}")
    ended = end_fd()
    poll = select.poll()
    poll.register(watch, select.POLLIN)
    if ended >= 0:
        poll.register(ended, select.POLLIN)
    pending = b""
    try:
        while True:
            running = is_running()
            while piece := file.readline():
                pending += piece
                if pending.endswith(b"\n"):
                    yield pending
                    pending = b""
            if not running:
                return
            for fd, _ in poll.poll(None if ended >= 0 else 1000):
                if fd == watch:
                    os.read(watch, 65536)
                else:
                    poll.unregister(fd)
    finally:
        os.close(watch)
        if ended >= 0:
            os.close(ended)
