"""The installation as a whole: what it uses, what of that can go, and what it is."""

from __future__ import annotations

import os

from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.engine import Engine

__all__ = ["Pruned", "UsageLine", "disk_usage", "information", "tree_size"]


class UsageLine(NamedTuple):
    """One line of `system df`; sizes in bytes."""

    kind: str
    total: int
    active: int
    size: int
    reclaimable: int


class Pruned(NamedTuple):
    """What `system prune` removed; `bytes` is what it freed."""

    containers: tuple[str, ...]
    images: tuple[str, ...]
    volumes: tuple[str, ...]
    bytes: int


def tree_size(path: str) -> int:
    """Bytes of disk that the files below `path` take; a file with several names counts once."""
    total, pending = 0, [path]
    seen: set[tuple[int, int]] = set()
    while pending:
        try:
            entries = list(os.scandir(pending.pop()))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)
            elif (status.st_ino, status.st_dev) not in seen:
                seen.add((status.st_ino, status.st_dev))
                total += status.st_blocks * 512
    return total


def disk_usage(engine: Engine) -> list[UsageLine]:
    """Images, containers, volumes and what a collection would free."""
    return [_images(engine), _containers(engine), _volumes(engine), _unused(engine)]


def _images(engine: Engine) -> UsageLine:
    images = engine.images.all()
    used = {container.image_id for container in engine.containers.all()}
    active = [image for image in images if image.id in used]
    size = engine.store.weigh(images)
    return UsageLine("Images", len(images), len(active), size, size - engine.store.weigh(active))


def _containers(engine: Engine) -> UsageLine:
    containers = engine.containers.all()
    sizes = {one.id: engine.containers.writable_size(one) for one in containers}
    running = [one for one in containers if one.state.is_running]
    idle = sum(sizes[one.id] for one in containers if not one.state.is_running)
    return UsageLine("Containers", len(containers), len(running), sum(sizes.values()), idle)


def _volumes(engine: Engine) -> UsageLine:
    volumes = engine.volumes.all()
    sizes = {volume.name: tree_size(volume.path) for volume in volumes}
    active = [volume for volume in volumes if engine.volumes.is_used(volume.name)]
    idle = sum(sizes[volume.name] for volume in volumes if volume not in active)
    return UsageLine("Local Volumes", len(volumes), len(active), sum(sizes.values()), idle)


def _unused(engine: Engine) -> UsageLine:
    garbage = engine.store.collect(dry_run=True, cached=False)
    mounts = engine.cache_mounts.all()
    size = garbage.bytes + sum(mounts.values())
    idle = size - sum(mounts[name] for name in mounts if engine.cache_mounts.is_used(name))
    return UsageLine("Build Cache", len(garbage.snapshots) + len(mounts), 0, size, idle)


def information(engine: Engine) -> dict[str, Any]:
    """What `docker info` prints, as far as there is such a thing without a daemon."""
    from wherry import __version__
    from wherry.kernel.cgroups import version

    containers = engine.containers.all()
    statuses = [one.state.status for one in containers]
    system = os.uname()
    return {
        "ID": engine.layout.tag or "default",
        "Containers": len(containers),
        "ContainersRunning": statuses.count("running"),
        "ContainersPaused": statuses.count("paused"),
        "ContainersStopped": len(statuses) - statuses.count("running") - statuses.count("paused"),
        "Images": len(engine.images.all()),
        "Driver": "overlay2",
        "LoggingDriver": "json-file",
        "SecurityOptions": ["name=seccomp,profile=default"],
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": "2" if version() == "v2" else "1",
        "KernelVersion": system.release,
        "OperatingSystem": _operating_system(),
        "OSType": "linux",
        "Architecture": system.machine,
        "NCPU": os.cpu_count() or 1,
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "Name": system.nodename,
        "DockerRootDir": engine.layout.root,
        "RunDirectory": engine.layout.run,
        "DefaultRuntime": engine.runtime().name,
        "ServerVersion": __version__,
    }


def _operating_system() -> str:
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            values = dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line)
    except OSError:
        return "Linux"
    return values.get("PRETTY_NAME", "Linux").strip('"')
