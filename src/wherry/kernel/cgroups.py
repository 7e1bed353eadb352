"""Control groups of both versions: where a container's are, what they say, and removing what was left behind."""

from __future__ import annotations

import os

from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Controllers", "Usage", "cgroup_path", "is_oom_killed", "process_ids", "remove", "usage", "version"]

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


class Usage(NamedTuple):
    """What the processes of a group have taken: seconds of CPU so far, and bytes of memory now without page cache."""

    cpu_seconds: float = 0.0
    memory: int = 0


def usage(path: str, root: str = ROOT) -> Usage:
    """What the group takes; zeros where it is gone. Page cache that is not in use does not count, as Docker counts."""
    if version(root) == "v2":
        micros = _fields(f"{root}{path}/cpu.stat").get("usage_usec", 0)
        memory = _number(f"{root}{path}/memory.current") - _fields(f"{root}{path}/memory.stat").get("inactive_file", 0)
        return Usage(micros / 1e6, max(0, memory))
    cache = _fields(f"{root}/memory{path}/memory.stat").get("total_inactive_file", 0)
    memory = _number(f"{root}/memory{path}/memory.usage_in_bytes") - cache
    return Usage(_number(f"{root}/cpuacct{path}/cpuacct.usage") / 1e9, max(0, memory))


def _number(path: str) -> int:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def _fields(path: str) -> dict[str, int]:
    try:
        with open(path, encoding="ascii") as file:
            return {name: int(value) for name, _, value in (line.partition(" ") for line in file)}
    except (OSError, ValueError):
        return {}


def remove(path: str, root: str = ROOT) -> None:
    """Remove the group in every hierarchy, with the groups below it; groups that still have processes stay."""
    for top in _directories(path, root):
        for directory, _, _ in sorted(os.walk(top), reverse=True):
            try:
                os.rmdir(directory)
            except OSError:
                continue
