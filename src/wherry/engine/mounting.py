"""What is mounted into a container: binds, volumes and tmpfs, decided when it is created and recorded with it."""

from __future__ import annotations

import os

from wherry.base.errors import InvalidInput, NotFound
from wherry.kernel.rooted import resolve_in_root
from wherry.oci.runtime_spec import Mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from wherry.engine.configuration import Configuration
    from wherry.engine.records import ContainerRecords
    from wherry.engine.request import ContainerRequest, MountRequest
    from wherry.engine.volumes import Volumes

__all__ = ["decide_mounts", "fill_volumes", "spec_mounts"]


def decide_mounts(
    request: ContainerRequest, config: Configuration, volumes: Volumes, records: ContainerRecords
) -> list[dict[str, Any]]:
    """The mounts to record: the request's, those of `--volumes-from`, and anonymous volumes for the image's VOLUMEs.

    Makes volumes and, for `-v`, host directories that are missing. Raises InvalidInput for a bind source that is not
    there, and for two mounts on one target.
    """
    targets = [os.path.normpath(mount.target) for mount in request.mounts]
    for target in targets:
        if targets.count(target) > 1:
            raise InvalidInput(f"Duplicate mount point: {target}")
    decided = [_decide(mount, volumes) for mount in request.mounts]
    for source in request.volumes_from:
        decided += [mount for mount in _of_container(source, records) if mount["target"] not in targets]
    taken = {mount["target"] for mount in decided}
    for path in config.volumes:
        target = os.path.normpath(path)
        if target not in taken:
            volume = volumes.create(anonymous=True)
            decided.append(_volume(volume.name, volume.path, target, anonymous=True))
    return decided


def _volume(name: str, path: str, target: str, *, read_only: bool = False, anonymous: bool = False) -> dict[str, Any]:
    return {
        "kind": "volume",
        "name": name,
        "path": path,
        "target": target,
        "read_only": read_only,
        "anonymous": anonymous,
        "fill": True,
    }


def _decide(mount: MountRequest, volumes: Volumes) -> dict[str, Any]:
    target = os.path.normpath(mount.target)
    if not target.startswith("/") or target == "/":
        raise InvalidInput(f"invalid mount target '{mount.target}'", hint="write an absolute path other than /")
    if mount.kind == "tmpfs":
        return {"kind": "tmpfs", "target": target, "options": list(mount.options), "size": mount.size}
    if mount.kind == "volume":
        volume = volumes.create(mount.source, anonymous=not mount.source)
        decided = _volume(volume.name, volume.path, target, read_only=mount.read_only, anonymous=not mount.source)
        return {**decided, "fill": not mount.no_copy}
    if mount.create_source and not os.path.exists(mount.source):
        os.makedirs(mount.source, exist_ok=True)
    if not os.path.exists(mount.source):
        raise InvalidInput(
            f'invalid mount config for type "bind": bind source path does not exist: {mount.source}',
            hint="make the directory first, or use -v, which makes it",
        )
    source = os.path.realpath(mount.source)
    return {"kind": "bind", "path": source, "target": target, "read_only": mount.read_only, "how": mount.propagation}


def _of_container(text: str, records: ContainerRecords) -> list[dict[str, Any]]:
    name, _, mode = text.partition(":")
    if mode not in ("", "ro", "rw"):
        raise InvalidInput(f"invalid mode for volumes-from: {mode}")
    mounts = [mount for mount in records.mounts(records.resolve(name).id) if mount["kind"] != "tmpfs"]
    return [{**mount, "read_only": True} if mode == "ro" else mount for mount in mounts]


def fill_volumes(mounts: Iterable[dict[str, Any]], rootfs: str, volumes: Volumes) -> None:
    """Copy what the image has at the target of an empty volume into it, owners and modes included."""
    for mount in mounts:
        if mount["kind"] != "volume" or not mount.get("fill") or not volumes.wants_filling(mount["name"]):
            continue
        try:
            source = resolve_in_root(rootfs, mount["target"])
        except OSError:
            continue
        if not os.path.isdir(source):
            continue
        volumes.fill(mount["name"], source)


def spec_mounts(mounts: Iterable[dict[str, Any]], own: Iterable[Mount] = ()) -> list[Mount]:
    """For the runtime: parents before what is mounted below them, our `own` before the user's on one target."""
    return sorted([*own, *map(_spec_mount, mounts)], key=lambda mount: mount.destination.count("/"))


def _spec_mount(mount: dict[str, Any]) -> Mount:
    target = str(mount["target"])
    if mount["kind"] == "tmpfs":
        size = (f"size={mount['size']}",) if mount.get("size") else ()
        options = tuple(mount.get("options") or ())
        default = ("noexec", "nosuid", "nodev")
        kept = tuple(each for each in default if each.removeprefix("no") not in options)
        return Mount(target, "tmpfs", "tmpfs", (*kept, *options, *size))
    source = mount.get("path")
    if not source:
        raise NotFound(f"the mount on {target} has no source")
    access = "ro" if mount.get("read_only") else "rw"
    return Mount(target, "bind", str(source), ("rbind", str(mount.get("how") or "rprivate"), access))
