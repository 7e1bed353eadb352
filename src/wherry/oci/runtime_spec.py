"""The runtime configuration of one container (runtime-spec v1.1 config.md, config-linux.md), with Docker's defaults."""

from __future__ import annotations

from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["MASKED", "READ_ONLY", "Device", "Mount", "Resources", "SpecRequest", "build_process", "build_spec"]

MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


class Mount(NamedTuple):
    """One mount, in the order in which they are made."""

    destination: str
    kind: str
    source: str
    options: tuple[str, ...] = ()


class Device(NamedTuple):
    """A device node in the container, and the access to it (`rwm`)."""

    path: str
    kind: str  # c | b
    major: int
    minor: int
    access: str = "rwm"
    mode: int = 0o666
    uid: int = 0
    gid: int = 0


class Resources(NamedTuple):
    """Limits; 0 or empty means none. Memory in bytes, CPU time in microseconds."""

    memory: int = 0
    memory_swap: int = 0
    memory_reservation: int = 0
    oom_kill_disable: bool = False
    cpu_quota: int = 0
    cpu_period: int = 0
    cpu_shares: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    pids: int = 0


class SpecRequest(NamedTuple):
    """Everything that the configuration says. `namespaces` maps a kind to a path, empty for a new one."""

    args: tuple[str, ...]
    env: tuple[str, ...]
    cwd: str
    rootfs: str
    cgroup_path: str
    namespaces: dict[str, str]
    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    terminal: bool = False
    hostname: str = ""
    domainname: str = ""
    read_only: bool = False
    mounts: tuple[Mount, ...] = ()
    capabilities: tuple[str, ...] = ()
    seccomp: dict[str, Any] | None = None
    privileged: bool = False
    no_new_privileges: bool = False
    devices: tuple[Device, ...] = ()
    resources: Resources = Resources()
    rlimits: tuple[tuple[str, int, int], ...] = ()  # name as RLIMIT_NOFILE, soft, hard
    sysctls: dict[str, str] = {}  # noqa: RUF012 (a value is never changed)
    oom_score_adj: int = 0
    shm_size: int = 67_108_864
    share_ipc: bool = False
    cgroup_namespace: bool = False
    annotations: dict[str, str] = {}  # noqa: RUF012


def build_process(request: SpecRequest) -> dict[str, Any]:
    """The `process` part; what `exec` takes too. Inheritable and ambient capabilities stay empty (CVE-2022-24769)."""
    effective = list(request.capabilities)
    process: dict[str, Any] = {
        "terminal": request.terminal,
        "user": {"uid": request.uid, "gid": request.gid, "additionalGids": list(request.groups), "umask": 0o022},
        "args": list(request.args),
        "env": list(request.env),
        "cwd": request.cwd,
        "capabilities": {
            "bounding": effective,
            "effective": effective if not request.uid else [],
            "permitted": effective if not request.uid else [],
        },
        "noNewPrivileges": request.no_new_privileges,
        "oomScoreAdj": request.oom_score_adj,
    }
    if request.rlimits:
        process["rlimits"] = [{"type": kind, "soft": soft, "hard": hard} for kind, soft, hard in request.rlimits]
    return process


def build_spec(request: SpecRequest) -> dict[str, Any]:
    """The whole `config.json`."""
    linux: dict[str, Any] = {
        "cgroupsPath": request.cgroup_path,
        "namespaces": [{"type": kind, **({"path": path} if path else {})} for kind, path in request.namespaces.items()],
        "resources": _resources(request),
        "devices": [_device(device) for device in request.devices],
        "sysctl": request.sysctls,
    }
    if not request.privileged:
        linux |= {"maskedPaths": list(MASKED), "readonlyPaths": list(READ_ONLY)}
    if request.seccomp is not None:
        linux["seccomp"] = request.seccomp
    return {
        "ociVersion": "1.0.2",
        "process": build_process(request),
        "root": {"path": request.rootfs, "readonly": request.read_only},
        "hostname": request.hostname,
        **({"domainname": request.domainname} if request.domainname else {}),
        "mounts": [_mount(mount) for mount in (*_system_mounts(request), *request.mounts)],
        "annotations": request.annotations,
        "linux": linux,
    }


def _mount(mount: Mount) -> dict[str, Any]:
    return {
        "destination": mount.destination,
        "type": mount.kind,
        "source": mount.source,
        "options": list(mount.options),
    }


def _system_mounts(request: SpecRequest) -> list[Mount]:
    """What every container has: the kernel's file systems, /dev and shared memory, as Docker mounts them."""
    secure = ("nosuid", "noexec", "nodev")
    access = "rw" if request.privileged else "ro"
    mounts = [
        Mount("/proc", "proc", "proc", secure),
        Mount("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
        Mount(
            "/dev/pts", "devpts", "devpts", ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")
        ),
        _sysfs(request, access, secure),
        Mount("/sys/fs/cgroup", "cgroup", "cgroup", (access, *secure)),
        Mount("/dev/mqueue", "mqueue", "mqueue", secure),
    ]
    taken = {mount.destination for mount in request.mounts}
    if "/dev/shm" not in taken:
        source = Mount("/dev/shm", "tmpfs", "shm", (*secure, "mode=1777", f"size={request.shm_size}"))
        mounts.append(Mount("/dev/shm", "bind", "/dev/shm", ("rbind",)) if request.share_ipc else source)
    return [mount for mount in mounts if mount.destination not in taken]


def _sysfs(request: SpecRequest, access: str, secure: tuple[str, ...]) -> Mount:
    if "network" in request.namespaces:
        return Mount("/sys", "sysfs", "sysfs", (*secure, access))
    return Mount("/sys", "bind", "/sys", ("rbind", *secure, access))


def _device(device: Device) -> dict[str, Any]:
    return {
        "path": device.path,
        "type": device.kind,
        "major": device.major,
        "minor": device.minor,
        "fileMode": device.mode,
        "uid": device.uid,
        "gid": device.gid,
    }


def _resources(request: SpecRequest) -> dict[str, Any]:
    limits = request.resources
    return {
        "devices": _device_rules(request),
        "memory": _present(
            limit=limits.memory,
            swap=limits.memory_swap,
            reservation=limits.memory_reservation,
            disableOOMKiller=limits.oom_kill_disable,
        ),
        "cpu": _present(
            quota=limits.cpu_quota,
            period=limits.cpu_period,
            shares=limits.cpu_shares,
            cpus=limits.cpuset_cpus,
            mems=limits.cpuset_mems,
        ),
        **({"pids": {"limit": limits.pids}} if limits.pids else {}),
    }


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _device_rules(request: SpecRequest) -> list[dict[str, Any]]:
    """Everything is denied; making nodes is allowed (using them is not), and the runtime adds the usual devices."""
    if request.privileged:
        return [{"allow": True, "access": "rwm"}]
    rules: list[dict[str, Any]] = [
        {"allow": False, "access": "rwm"},
        {"allow": True, "type": "c", "access": "m"},
        {"allow": True, "type": "b", "access": "m"},
    ]
    return rules + [
        {"allow": True, "type": each.kind, "major": each.major, "minor": each.minor, "access": each.access}
        for each in request.devices
    ]
