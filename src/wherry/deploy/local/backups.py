"""Backups of an environment's accessories: a dump of each database where the service is PostgreSQL, else its volumes.

A backup is a directory that appears whole or not at all. PostgreSQL is dumped while it runs, consistently, by its own
tools; any other service is paused while its volumes are read. Restoring a dump needs no pause of the application;
restoring volumes stops the service meanwhile.
"""

from __future__ import annotations

import json
import os
import time

from wherry.base.clock import system_clock
from wherry.base.errors import Conflict, InvalidInput, NotFound, WherryError
from wherry.base.files import atomic_write, ensure_directory, remove_tree, sync_directory
from wherry.base.locks import FileLock
from wherry.base.progress import Finished, Started
from wherry.base.values import NamedTuple
from wherry.compose.adapter import WherryEngine
from wherry.deploy.local.postgres import Postgres
from wherry.deploy.local.projects import project_name
from wherry.deploy.target import ACCESSORIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from wherry.base.paths import Layout
    from wherry.base.progress import Sink
    from wherry.compose.state import ObservedContainer

__all__ = ["Backup", "Backups"]

_MANIFEST = "backup.json"
_PARTIAL = ".partial"


class Backup(NamedTuple):
    """One backup: `name` is its UTC time, `created` that in nanoseconds since 1970; services with how they were kept.

    A kind is `postgres` or `volumes`; `bytes` is what it takes on disk.
    """

    name: str
    created: int
    services: dict[str, str]
    bytes: int


class Backups:
    """The backups of one environment on this machine."""

    def __init__(self, layout: Layout, environment: str) -> None:
        self._engine = WherryEngine(layout)
        self._environment = environment
        self._directory = f"{layout.root}/environments/{environment}/backups"
        self._lock = f"{layout.locks}/backups-{environment}"

    def create(self, progress: Sink, services: Sequence[str] = ()) -> Backup:
        """Back up the accessories (all, or those named). Raises NotFound where there is none, StepFailed with words."""
        chosen = self._chosen(services)
        with FileLock(self._lock):
            self._sweep()
            created = system_clock()
            name = time.strftime("%Y%m%dT%H%M%S", time.gmtime(created / 1e9)) + f".{created // 1000 % 1_000_000:06d}Z"
            partial = ensure_directory(f"{self._directory}/{name}{_PARTIAL}", 0o700)
            try:
                manifest = {"created": created, "services": self._back_up_all(chosen, partial, progress)}
                atomic_write(f"{partial}/{_MANIFEST}", json.dumps(manifest).encode(), mode=0o600)
            except BaseException:
                remove_tree(partial)  # it may be large, and the next one may be a day away
                raise
            os.rename(partial, f"{self._directory}/{name}")
            sync_directory(self._directory)
        return self.get(name)

    def all(self) -> list[Backup]:
        """What there is, the newest first."""
        try:
            names = os.listdir(self._directory)
        except FileNotFoundError:
            return []
        whole = [name for name in names if not name.endswith(_PARTIAL)]
        return [self.get(name) for name in sorted(whole, reverse=True)]

    def get(self, name: str) -> Backup:
        """Raises NotFound."""
        manifest = self._manifest(name)
        size = sum(
            os.lstat(f"{base}/{file}").st_size
            for base, _, files in os.walk(f"{self._directory}/{name}")
            for file in files
        )
        services = {service: one["kind"] for service, one in manifest["services"].items()}
        return Backup(name, manifest["created"], services, size)

    def _manifest(self, name: str) -> dict[str, Any]:
        if "/" in name or name.startswith("."):
            raise InvalidInput(f"{name!r} is no name of a backup")
        try:
            with open(f"{self._directory}/{name}/{_MANIFEST}", encoding="utf-8") as file:
                found: dict[str, Any] = json.load(file)
                return found
        except FileNotFoundError:
            raise NotFound(
                f"{self._environment} has no backup {name}",
                hint=f"see `wherry env backup list {self._environment}`",
            ) from None

    def remove(self, name: str) -> None:
        """Delete a backup."""
        self._manifest(name)
        with FileLock(self._lock):
            os.rename(f"{self._directory}/{name}", f"{self._directory}/{name}{_PARTIAL}")
            self._sweep()

    def export(self, name: str, write: Callable[[bytes], object]) -> None:
        """The backup as a tar archive, a directory of its name in it. Raises NotFound."""
        import tarfile

        class Stream:
            def write(self, data: bytes) -> int:
                write(data)
                return len(data)

        self._manifest(name)
        with FileLock(self._lock), tarfile.open(fileobj=Stream(), mode="w|") as archive:  # type: ignore[call-overload]
            archive.add(f"{self._directory}/{name}", name)

    def keep(self, number: int) -> list[str]:
        """Delete all but the newest `number`; the names of those that went."""
        gone = [one.name for one in self.all()[number:]]
        for name in gone:
            self.remove(name)
        return gone

    def restore(self, name: str, progress: Sink, services: Sequence[str] = ()) -> None:
        """Bring the accessories (all that are in the backup, or those named) to what they held then.

        Tables that were made since stay in a database: connections to it go on. Volumes hold what the backup holds.
        Killed meanwhile, a database is as it was before (each is restored in one transaction), and a volume is either
        as before or as in the backup. Roles that are missing are made; those that are there keep their passwords.
        """
        manifest = self._manifest(name)
        for service in services:
            if service not in manifest["services"]:
                raise NotFound(f"the backup {name} has no service {service}")
        chosen = self._chosen(list(services or manifest["services"]))
        with FileLock(self._lock):
            self._sweep()
            for one in chosen:
                progress(Started(f"restore {one.service}", f"Restore {one.service}"))
                where, kept = f"{self._directory}/{name}/{one.service}", manifest["services"][one.service]
                if kept["kind"] == "postgres":
                    self._restore_postgres(one, where, kept)
                else:
                    self._restore_volumes(one, where, kept)
                progress(Finished(f"restore {one.service}"))

    # --- pieces

    def _chosen(self, services: Sequence[str]) -> list[ObservedContainer]:
        found = {one.service: one for one in self._engine.containers(project_name(self._environment, ACCESSORIES))}
        for service in services:
            if service not in found:
                raise NotFound(f"{self._environment} has no accessory {service}")
        chosen = [one for name, one in sorted(found.items()) if not services or name in services]
        if not chosen:
            raise NotFound(f"{self._environment} has no accessories", hint="a service with a named volume is one")
        return chosen

    def _sweep(self) -> None:
        """Finish what died: half a backup goes, a volume that was being exchanged is there again."""
        ensure_directory(self._directory, 0o700)
        for name in os.listdir(self._directory):
            if name.endswith(_PARTIAL):
                remove_tree(f"{self._directory}/{name}")
        for one in self._engine.containers(project_name(self._environment, ACCESSORIES)):
            for path in self._volumes(one).values():
                if os.path.isdir(f"{path}.old"):
                    if not os.path.isdir(path):
                        os.rename(f"{path}.old", path)
                    remove_tree(f"{path}.old")
                remove_tree(f"{path}.new")

    def _volumes(self, one: ObservedContainer) -> dict[str, str]:
        """The paths of its volumes, by where it mounts them."""
        volumes = self._engine.opened().volumes
        return {mount.target: volumes.path(mount.volume) for mount in one.mounts}

    def _back_up_all(self, chosen: list[ObservedContainer], where: str, progress: Sink) -> dict[str, Any]:
        services = {}
        for one in chosen:
            task = f"backup {one.service}"
            progress(Started(task, f"Back up {one.service}"))
            try:
                services[one.service] = self._back_up(one, f"{where}/{one.service}")
            except WherryError as error:
                progress(Finished(task, error=error.message))
                raise
            progress(Finished(task))
        return services

    def _back_up(self, one: ObservedContainer, where: str) -> dict[str, Any]:
        ensure_directory(where, 0o700)
        engine = self._engine.opened()
        if one.status == "running" and Postgres.is_in(engine, one.id):
            return Postgres(engine, one.service, one.id).dump(where)
        return self._pack(one, where)

    def _restore_postgres(self, one: ObservedContainer, where: str, kept: dict[str, Any]) -> None:
        engine = self._engine.opened()
        if one.status != "running" or not Postgres.is_in(engine, one.id):
            raise Conflict(f"{one.service} is no PostgreSQL that runs", hint="start it: wherry env restart")
        Postgres(engine, one.service, one.id).restore(where, kept["databases"])

    def _pack(self, one: ObservedContainer, where: str) -> dict[str, Any]:
        import zstandard

        from wherry.layer.packing import pack_tree

        volumes: dict[str, Any] = {}
        is_running = one.status == "running"
        if is_running:
            self._engine.pause(one.id)
        try:
            for number, (target, path) in enumerate(sorted(self._volumes(one).items())):
                status = os.stat(path)
                with open(f"{where}/{number}.tar.zst", "wb") as file:
                    with zstandard.ZstdCompressor().stream_writer(file, closefd=False) as stream:
                        pack_tree(path, stream.write)
                    os.fsync(file.fileno())
                mode = status.st_mode & 0o7777
                volumes[target] = {"file": number, "mode": mode, "uid": status.st_uid, "gid": status.st_gid}
        finally:
            if is_running:
                self._engine.pause(one.id, resume=True)
        return {"kind": "volumes", "volumes": volumes}

    def _restore_volumes(self, one: ObservedContainer, where: str, kept: dict[str, Any]) -> None:
        from wherry.layer.unpacking import unpack

        paths = self._volumes(one)
        for target, about in kept["volumes"].items():
            if target not in paths:
                raise Conflict(f"{one.service} has no volume at {target} any more")
            new = ensure_directory(f"{paths[target]}.new", 0o700)
            with open(f"{where}/{about['file']}.tar.zst", "rb") as file:
                unpack(file, new, overlay=False)
            os.chown(new, about["uid"], about["gid"])
            os.chmod(new, about["mode"])
        self._engine.stop(one.id, None)
        for target in kept["volumes"]:
            os.rename(paths[target], f"{paths[target]}.old")
            os.rename(f"{paths[target]}.new", paths[target])
            remove_tree(f"{paths[target]}.old")
        self._engine.start(one.id)
