"""The logs of an environment as one archive: a file for each service of each instance."""

from __future__ import annotations

import os
import tarfile
import tempfile

from wherry.base.clock import rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

    from wherry.deploy.target import LogLine

__all__ = ["write_bundle"]

_OPEN = 100  # files at once, at most


def write_bundle(path: str, name: str, lines: Iterable[LogLine]) -> int:
    """Write `path` (.tar.gz), readable by its owner alone; how many files are in it, at `name/INSTANCE/SERVICE.log`.

    Each line begins with its time (RFC 3339) and `out` or `err`. Accessories are at `name/accessories`.
    """
    with tempfile.TemporaryDirectory(prefix="wherry-logs-") as directory:
        _sort(lines, f"{directory}/{name}")
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
            found = sorted(f"{where}/{one}" for where, _, files in os.walk(directory) for one in files)
            for one in found:
                archive.add(one, os.path.relpath(one, directory), filter=_nobodys)
    return len(found)


def _sort(lines: Iterable[LogLine], directory: str) -> None:
    """Each line to the end of its own file."""
    files: dict[str, BinaryIO] = {}
    try:
        for line in lines:
            path = f"{directory}/{line.instance or 'accessories'}/{line.service}.log"
            if path not in files:
                if len(files) >= _OPEN:
                    _close(files)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                files[path] = open(path, "ab")  # noqa: SIM115 (closed below)
            stream = "err" if line.stream == 2 else "out"
            files[path].write(f"{rfc3339(line.time)} {stream} ".encode() + line.data.removesuffix(b"\n") + b"\n")
    finally:
        _close(files)


def _close(files: dict[str, BinaryIO]) -> None:
    for one in files.values():
        one.close()
    files.clear()


def _nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry
