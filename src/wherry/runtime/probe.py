"""Which OCI runtime works on this machine: tried once, then remembered."""

from __future__ import annotations

import os

from wherry.base.errors import ProgramFailed, Unavailable
from wherry.base.files import atomic_write
from wherry.base.jsontext import decode, encode
from wherry.base.programs import find, run
from wherry.kernel.cgroups import version
from wherry.oci.runtime_spec import Mount

__all__ = ["find_runtime", "why_not"]

_CANDIDATES = ("crun", "runc")


def find_runtime(root: str, run_directory: str) -> str:
    """The path of a runtime that works here, the fastest first. Raises Unavailable saying what was tried."""
    memory = f"{root}/runtime.json"
    key = [[path, os.stat(path).st_mtime_ns] for name in _CANDIDATES if (path := find(name))] + [[version(), 0]]
    remembered = _remembered(memory, key)
    if remembered:
        return remembered
    reasons = []
    for name in _CANDIDATES:
        path = find(name)
        if path is None:
            continue
        reason = why_not(path, run_directory)
        if not reason:
            os.makedirs(root, mode=0o711, exist_ok=True)
            atomic_write(memory, encode({"key": key, "path": path}).encode())
            return path
        reasons.append(f"{name}: {reason}")
    raise Unavailable(
        f"no OCI runtime works on this machine ({'; '.join(reasons) or 'neither crun nor runc is installed'})",
        hint="run `wherry doctor --fix`",
    )


def _remembered(memory: str, key: list[list[object]]) -> str:
    try:
        with open(memory, "rb") as file:
            value = decode(file.read())
    except (OSError, ValueError):
        return ""
    return str(value["path"]) if value.get("key") == key else ""


def why_not(path: str, run_directory: str) -> str:
    """Run a container that does nothing, on the host's own programs, read-only; empty where that works."""
    import tempfile

    from wherry.oci.runtime_spec import SpecRequest, build_spec

    os.makedirs(run_directory, mode=0o755, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=run_directory) as bundle:
        identifier = "wherry-probe-" + os.path.basename(bundle)
        request = SpecRequest(
            args=("/usr/bin/true",),
            env=(),
            cwd="/",
            rootfs=f"{bundle}/rootfs",
            cgroup_path=f"/{identifier}",
            namespaces={"pid": "", "mount": "", "ipc": "", "uts": "", "network": ""},
            hostname="probe",
            mounts=_programs(f"{bundle}/rootfs"),
        )
        atomic_write(f"{bundle}/config.json", encode(build_spec(request)).encode(), durable=False)
        argv = (path, "--root", f"{bundle}/state", "run", "--bundle", bundle, identifier)
        try:
            run(argv, timeout=20)
        except ProgramFailed as error:
            return error.message
    return ""


def _programs(rootfs: str) -> tuple[Mount, ...]:
    """The host's programs and libraries in an otherwise empty root file system."""
    os.mkdir(rootfs)
    mounts = []
    for name in ("usr", "bin", "lib", "lib64"):
        if os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), f"{rootfs}/{name}")
        elif os.path.isdir(f"/{name}"):
            mounts.append(Mount(f"/{name}", "bind", f"/{name}", ("bind", "ro")))
    return tuple(mounts)
