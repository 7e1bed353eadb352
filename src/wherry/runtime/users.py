"""Who a process in a container is: Docker's USER strings against the image's own passwd and group files."""

from __future__ import annotations

from wherry.base.errors import InvalidInput
from wherry.base.values import NamedTuple
from wherry.kernel.rooted import read_in_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["User", "resolve_user"]

_MAX_ID = 2**31 - 1


class User(NamedTuple):
    """Numbers, and the home directory that the process starts with."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def resolve_user(root: str, text: str, add_groups: Iterable[str] = ()) -> User:
    """`user[:group]`, by name or number; empty is root. Raises InvalidInput in Docker's words.

    A named user is in the groups that list it; naming a group drops those. The files are read without leaving `root`.
    """
    passwd = _entries(read_in_root(root, "etc/passwd"), 6)
    group_file = _entries(read_in_root(root, "etc/group"), 3)
    name, colon, group = text.partition(":")
    entry = _find(passwd, name or "0")
    if entry is None and not name.isdigit() and name:
        raise InvalidInput(f"unable to find user {name}: no matching entries in passwd file")
    uid = _number(entry[2] if entry else name or "0")
    gid = _number(entry[3]) if entry else 0
    groups: list[int] = []
    if colon and group:
        gid = _group(group_file, group)
    elif entry:
        groups = [_number(line[2]) for line in group_file if entry[0] in (line[3].split(",") if len(line) > 3 else ())]
    groups += [_group(group_file, each) for each in add_groups]
    home = (entry[5] if entry else "") or "/"
    return User(uid, gid, tuple(dict.fromkeys(groups)), home)


def _entries(data: bytes, fields: int) -> list[list[str]]:
    lines = (line.split(":") for line in data.decode(errors="replace").splitlines())
    return [line for line in lines if len(line) >= fields and line[2].isdigit()]


def _find(passwd: list[list[str]], name: str) -> list[str] | None:
    by_name = next((line for line in passwd if line[0] == name), None)
    if by_name is not None or not name.isdigit():
        return by_name
    return next((line for line in passwd if int(line[2]) == int(name)), None)


def _group(group_file: list[list[str]], name: str) -> int:
    for line in group_file:
        if line[0] == name:
            return _number(line[2])
    if not name.isdigit():
        raise InvalidInput(f"unable to find group {name}: no matching entries in group file")
    return _number(name)


def _number(text: str) -> int:
    if not text.isdigit() or int(text) > _MAX_ID:
        raise InvalidInput(f"uids and gids must be in range 0-{_MAX_ID}: {text}")
    return int(text)
