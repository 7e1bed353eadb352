"""Control groups of both versions: where a container's are, what they say, and removing what was left behind."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Controllers", "cgroup_path", "is_oom_killed", "process_ids", "remove", "version"]

ROOT = "/sys/fs/cgroup"
"""Where the hierarchies are mounted; every function takes another place as `root`."""
Controllers = dict[str, str]


def version(root: str = ROOT) -> str:
    """`v2`, `v1`, or `hybrid` (v1 controllers with an empty v2 beside them)."""
    if os.path.exists(f"{root}/cgroup.controllers"):
        return "v2"
    return "hybrid" if os.path.exists(f"{root}/unified/cgroup.procs") else "v1"


def cgroup_path(tag: str, container_id: str) -> str:
    """The path of a container's group below each hierarchy; `tag` is the installation's."""
    return f"/wherry{'-' + tag if tag else ''}/{container_id}"


def _directories(path: str, root: str) -> Iterator[str]:
    if version(root) == "v2":
        yield root + path
        return
    for controller in sorted(os.listdir(root)):
        directory = f"{root}/{controller}"
        if os.path.isdir(directory) and not os.path.islink(directory):
            yield directory + path


def process_ids(path: str, root: str = ROOT) -> list[int]:
    """The processes in the group and the groups below it; empty where it is gone."""
    base = root if version(root) == "v2" else f"{root}/{'pids' if os.path.isdir(f'{root}/pids') else 'memory'}"
    found: list[int] = []
    for directory, _, _ in os.walk(base + path):
        try:
            with open(f"{directory}/cgroup.procs", encoding="ascii") as file:
                found += [int(line) for line in file]
        except OSError:
            continue
    return sorted(found)


def is_oom_killed(path: str, root: str = ROOT) -> bool:
    """Whether the kernel has killed a process of the group for want of memory."""
    name = "memory.events" if version(root) == "v2" else "memory.oom_control"
    base = root if version(root) == "v2" else f"{root}/memory"
    try:
        with open(f"{base}{path}/{name}", encoding="ascii") as file:
            return any(line.startswith("oom_kill ") and int(line.split()[1]) for line in file)
    except OSError:
        return False


def remove(path: str, root: str = ROOT) -> None:
    """Remove the group in every hierarchy, with the groups below it; groups that still have processes stay."""
    for top in _directories(path, root):
        for directory, _, _ in sorted(os.walk(top), reverse=True):
            try:
                os.rmdir(directory)
            except OSError:
                continue
