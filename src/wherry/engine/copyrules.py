"""Where `cp` puts what: Docker's rules about names, pure (docs.docker.com, `docker container cp`).

A path that ends in `/` speaks of a directory, one that ends in `/.` of what is in it; everything else follows from
what is there.
"""

from __future__ import annotations

import posixpath

from wherry.base.errors import Conflict, NotFound
from wherry.base.values import NamedTuple

__all__ = ["Target", "absolute", "names_content", "names_directory", "placed", "split_entry"]


class Target(NamedTuple):
    """Where to copy to: an absolute path, links at its end followed, and what is there."""

    path: str
    exists: bool = False
    is_directory: bool = False


def names_content(path: str) -> bool:
    """Whether the path speaks of what is in a directory, not of the directory."""
    return path == "." or path.endswith("/.")


def names_directory(path: str) -> bool:
    """Whether the path can only be a directory."""
    return path.endswith("/") or names_content(path)


def absolute(path: str, directory: str = "/") -> str:
    """The path below `directory`, without `..` and doubled slashes, its `/` or `/.` at the end kept."""
    clean = posixpath.normpath(posixpath.join("/", directory, path))
    clean = "/" + clean.lstrip("/")
    ending = "/." if names_content(path) else "/" if path.endswith("/") else ""
    return clean.rstrip("/") + ending if ending else clean


def split_entry(path: str) -> tuple[str, str]:
    """The directory that an entry is in, and its name; `.` for the content of a directory."""
    if names_content(path):
        return posixpath.normpath(path), "."
    clean = posixpath.normpath(path)
    return posixpath.dirname(clean), posixpath.basename(clean)


def placed(name: str, target: Target, *, is_directory: bool) -> tuple[str, str]:
    """The directory that `name` is copied into, and what it is called there.

    Raises Conflict for a directory onto a file, NotFound for a file to a directory that is not there.
    """
    if target.exists and target.is_directory:
        return target.path, name
    if target.exists and is_directory:
        raise Conflict("cannot copy directory", hint=f"{target.path} is not a directory")
    if not target.exists and not is_directory and names_directory(target.path):
        raise NotFound(f"{target.path}: no such directory", hint="leave the / at its end out to name the copy")
    return split_entry(target.path)
