"""The runtime configuration of a container, from what was asked, what the image says and what the machine grants."""

from __future__ import annotations

import os
import stat

from wherry.base.errors import InvalidInput, Unavailable
from wherry.kernel import capabilities, cgroups
from wherry.kernel.seccomp import default_profile
from wherry.oci.runtime_spec import Device, Mount, Resources, SpecRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.engine.configuration import Configuration
    from wherry.engine.request import ContainerRequest, LimitsRequest
    from wherry.runtime.users import User

__all__ = ["build_request", "granted_capabilities", "host_rlimits", "rlimits_of"]

_INIT = "/sbin/docker-init"
_INIT_PROGRAMS = ("tini-static", "docker-init", "catatonit", "tini")
_OWN_NETWORK = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}


def granted_capabilities(request: ContainerRequest) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the container gets, and what it asked for that this process does not hold and so cannot give."""
    return capabilities.resolve(
        request.cap_add, request.cap_drop, privileged=request.privileged, available=capabilities.held()
    )


def build_request(
    request: ContainerRequest,
    config: Configuration,
    *,
    user: User,
    rootfs: str,
    cgroup: str,
    namespaces: dict[str, str],
    mounts: list[Mount],
) -> SpecRequest:
    """Everything that the runtime has to know. Raises InvalidInput for security options that are not understood."""
    granted, _ = granted_capabilities(request)
    args = config.args
    if request.init:
        mounts = [*mounts, Mount(_INIT, "bind", _init_program(), ("bind", "ro"))]
        args = (_INIT, "--", *args)
    unconfined, no_new_privileges = _security(request)
    return SpecRequest(
        args=args,
        env=_with_home(config.environment, user.home),
        cwd=config.working_dir,
        rootfs=rootfs,
        cgroup_path=cgroup,
        namespaces=namespaces,
        uid=user.uid,
        gid=user.gid,
        groups=user.groups,
        terminal=request.tty,
        hostname=config.hostname if "uts" in namespaces else "",
        domainname=request.domainname if "uts" in namespaces else "",
        read_only=request.read_only,
        mounts=tuple(mounts),
        capabilities=granted,
        seccomp=None if unconfined else default_profile(granted, os.uname().machine),
        privileged=request.privileged,
        no_new_privileges=no_new_privileges,
        devices=_devices(request),
        resources=_resources(request.limits),
        rlimits=rlimits_of(request.limits),
        sysctls={
            **(_OWN_NETWORK if namespaces.get("network") else {}),
            **({"kernel.domainname": request.domainname} if request.domainname and "uts" in namespaces else {}),
            **request.sysctls,
        },
        oom_score_adj=request.limits.oom_score_adj,
        shm_size=request.limits.shm_size,
        share_ipc="ipc" not in namespaces,
    )


def _with_home(environment: tuple[str, ...], home: str) -> tuple[str, ...]:
    has_home = any(entry.startswith("HOME=") for entry in environment)
    return environment if has_home else (*environment, f"HOME={home}")


def _init_program() -> str:
    from wherry.base.programs import find

    for name in _INIT_PROGRAMS:
        path = find(name, ("/usr/libexec/podman", "/usr/lib/podman", "/usr/libexec/docker"))
        if path:
            return path
    raise Unavailable(
        "--init needs an init program, and none is installed", hint="install tini (Debian: apt install tini)"
    )


def _security(request: ContainerRequest) -> tuple[bool, bool]:
    """Whether seccomp is off, and whether new privileges are."""
    unconfined, no_new_privileges = request.privileged, False
    for option in request.security_opt:
        key, _, value = option.replace(":", "=", 1).partition("=")
        if key == "no-new-privileges":
            no_new_privileges = value != "false"
        elif (key, value) == ("seccomp", "unconfined"):
            unconfined = True
        elif (key, value) not in (("apparmor", "unconfined"), ("label", "disable")):
            raise InvalidInput(
                f"invalid --security-opt: {option}",
                hint="no-new-privileges, seccomp=unconfined, apparmor=unconfined and label=disable are understood",
            )
    return unconfined, no_new_privileges


def _resources(limits: LimitsRequest) -> Resources:
    quota, period = limits.cpu_quota, limits.cpu_period
    if limits.nano_cpus:
        period = 100_000
        quota = limits.nano_cpus * period // 1_000_000_000
    swap = limits.memory_swap or (limits.memory * 2 if limits.memory else 0)
    return Resources(
        memory=limits.memory,
        memory_swap=swap if _accounts_swap() else 0,
        memory_reservation=limits.memory_reservation,
        oom_kill_disable=limits.oom_kill_disable,
        cpu_quota=quota,
        cpu_period=period,
        cpu_shares=limits.cpu_shares,
        cpuset_cpus=limits.cpuset_cpus,
        cpuset_mems=limits.cpuset_mems,
        pids=limits.pids,
    )


def _accounts_swap() -> bool:
    return cgroups.version() == "v2" or os.path.exists(f"{cgroups.ROOT}/memory/memory.memsw.limit_in_bytes")


def host_rlimits() -> dict[str, tuple[int, int]]:
    """The limits of this process, by the names of `--ulimit`."""
    import resource

    names = [name for name in dir(resource) if name.startswith("RLIMIT_") and name != "RLIMIT_OFILE"]
    return {name[7:].lower(): resource.getrlimit(getattr(resource, name)) for name in names}


def rlimits_of(limits: LimitsRequest) -> tuple[tuple[str, int, int], ...]:
    """Open files as many as this process may have, and what was asked for, within what this process holds."""
    host = host_rlimits()
    wanted = {"nofile": host["nofile"][1], **{each.name: each.hard for each in limits.ulimits}}
    soft = {"nofile": host["nofile"][1], **{each.name: each.soft for each in limits.ulimits}}
    may_raise = "CAP_SYS_RESOURCE" in capabilities.held()
    result = []
    for name, hard in wanted.items():
        if name not in host:
            raise InvalidInput(f"invalid ulimit type: {name}", hint=f"there are: {', '.join(sorted(host))}")
        most = host[name][1] if not may_raise and host[name][1] >= 0 else -1
        result.append((f"RLIMIT_{name.upper()}", _at_most(soft[name], most), _at_most(hard, most)))
    return tuple(result)


def _at_most(value: int, most: int) -> int:
    """`value`, where -1 is unlimited, as an unsigned number for the runtime; at most `most`."""
    if most >= 0:
        return most if value < 0 else min(value, most)
    return value if value >= 0 else 2**64 - 1


def _devices(request: ContainerRequest) -> tuple[Device, ...]:
    if request.privileged:
        return tuple(_host_devices())
    devices: list[Device] = []
    for each in request.devices:
        try:
            devices.append(_device(each.host_path, each.container_path, each.permissions))
        except (OSError, ValueError):
            raise InvalidInput(f"error gathering device information: {each.host_path}: not a device") from None
    return tuple(devices)


def _device(path: str, target: str, access: str) -> Device:
    status = os.stat(path)
    if not (stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)):
        raise ValueError(path)
    kind = "c" if stat.S_ISCHR(status.st_mode) else "b"
    major, minor = os.major(status.st_rdev), os.minor(status.st_rdev)
    return Device(target, kind, major, minor, access, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


def _host_devices() -> list[Device]:
    """Every device of the host, but terminals and shared memory, which a container has of its own."""
    found = []
    for directory, below, names in os.walk("/dev"):
        below[:] = [name for name in below if name not in ("pts", "shm", "mqueue", "fd")]
        for name in names:
            path = f"{directory}/{name}"
            if name in ("console", "tty", "ptmx") or os.path.islink(path):
                continue
            try:
                found.append(_device(path, path, "rwm"))
            except (OSError, ValueError):
                continue
    return found
