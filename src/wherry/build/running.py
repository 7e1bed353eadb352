"""RUN: one command in a container over the layers so far; what it changed becomes a layer."""

from __future__ import annotations

import json
import os

from wherry.base.errors import StepFailed
from wherry.base.files import atomic_write
from wherry.base.values import NamedTuple
from wherry.build.mounting import MountedSources, StepMount
from wherry.build.stubs import Stubs
from wherry.kernel import capabilities, cgroups
from wherry.kernel.mounts import overlay, unmount_below
from wherry.kernel.seccomp import default_profile
from wherry.layer.packing import pack_upper
from wherry.oci.runtime_spec import Mount, SpecRequest, build_spec
from wherry.runtime.users import resolve_user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.build.request import Secret
    from wherry.engine.cache_mounts import CacheMounts
    from wherry.engine.workspace import Workspace
    from wherry.layer.digesting import Packed

__all__ = ["CA_VARIABLES", "Step", "run_into_layer"]

_CA = "/run/wherry-ca.crt"
CA_VARIABLES = (
    "SSL_CERT_FILE",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "npm_config_cafile",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
)
_FILES = ("/etc/resolv.conf", "/etc/hosts")
_DIRECTORIES = ("/proc", "/sys", "/dev")


class Step(NamedTuple):
    """One RUN with everything resolved. `scripts` are here-documents: path in the container and content."""

    args: tuple[str, ...]
    environment: tuple[str, ...]
    working_dir: str
    user: str
    network: str
    line: int
    shown: str
    caches: CacheMounts
    ca_bundle: str = ""
    add_hosts: tuple[str, ...] = ()
    shm_size: int = 67_108_864
    clamp: int | None = None
    scripts: tuple[tuple[str, str], ...] = ()
    mounts: tuple[StepMount, ...] = ()
    secrets: dict[str, Secret] = {}  # noqa: RUF012 (a value is never changed)


def run_into_layer(
    step: Step,
    workspace: Workspace,
    lowers: list[str],
    upper: str,
    work: str,
    sink: Callable[[bytes], object],
    output: Callable[[int, bytes], None],
) -> Packed:
    """Run the step and pack what it changed. Raises StepFailed with the command's exit code."""
    scratch = f"{os.path.dirname(upper)}/mounts"
    with MountedSources(step.mounts, workspace, scratch, step.caches, step.secrets) as sources:
        stubs = _run(step, workspace, sources, lowers, upper, work, output)
    stubs.remove(upper)
    return pack_upper(upper, lowers, sink, clamp_mtime=step.clamp, settle=True)


def _run(
    step: Step,
    workspace: Workspace,
    sources: MountedSources,
    lowers: list[str],
    upper: str,
    work: str,
    output: Callable[[int, bytes], None],
) -> Stubs:
    """Run the step over its layers; the mount points that were made for it."""
    from wherry.runtime.execution import run_to_end

    rootfs = workspace.subdirectory("rootfs")
    bundle = sources.directory or workspace.directory
    overlay(lowers or [workspace.subdirectory("empty")], upper, work, rootfs, volatile=True)
    try:
        mounts = [*_mounts(step, workspace), *sources.mounts]
        stubs = _make_stubs(rootfs, mounts)
        spec = build_spec(_request(step, workspace, rootfs, mounts, sources.environment))
        atomic_write(f"{bundle}/config.json", json.dumps(spec).encode(), mode=0o600, durable=False)
        code = run_to_end(workspace.runtime(), workspace.id, bundle, output)
    finally:
        workspace.end_step()
        unmount_below(rootfs)
    if code:
        raise StepFailed(
            f'process "{" ".join(step.args)}" did not complete successfully: exit code: {code}',
            exit_code=code,
            hint=f"line {step.line} of the Dockerfile: {step.shown}",
        )
    return stubs


def _make_stubs(rootfs: str, mounts: list[Mount]) -> Stubs:
    """Make the mount points that the image lacks; what lies in another mount is the runtime's to make."""
    stubs = Stubs(rootfs)
    inside: list[str] = []
    for target in _DIRECTORIES:
        stubs.make(target, directory=True)
        inside.append(f"{target}/")
    for mount in mounts:
        if not mount.destination.startswith(tuple(inside)):
            stubs.make(mount.destination, directory=mount.kind != "bind" or os.path.isdir(mount.source))
        inside.append(f"{mount.destination}/")
    return stubs


def _request(step: Step, workspace: Workspace, rootfs: str, mounts: list[Mount], secrets: list[str]) -> SpecRequest:
    namespaces = {"mount": "", "pid": "", "ipc": "", "uts": ""}
    namespace = workspace.network(step.network)
    if namespace:
        namespaces["network"] = namespace
    if cgroups.version() == "v2":
        namespaces["cgroup"] = ""
    user = resolve_user(rootfs, step.user)
    granted, _ = capabilities.resolve((), (), privileged=False, available=capabilities.held())
    environment = dict(entry.partition("=")[::2] for entry in (*step.environment, *secrets))
    environment.setdefault("HOME", user.home)
    if step.ca_bundle:
        for name in CA_VARIABLES:
            environment.setdefault(name, _CA)
    return SpecRequest(
        args=step.args,
        env=tuple(f"{name}={value}" for name, value in environment.items()),
        cwd=step.working_dir,
        rootfs=rootfs,
        cgroup_path=workspace.cgroup,
        namespaces=namespaces,
        uid=user.uid,
        gid=user.gid,
        groups=user.groups,
        hostname="buildkitsandbox",
        mounts=tuple(mounts),
        capabilities=granted,
        seccomp=default_profile(granted, os.uname().machine),
        sysctls={"net.ipv4.ip_unprivileged_port_start": "0"} if namespace else {},
        shm_size=step.shm_size,
    )


def _mounts(step: Step, workspace: Workspace) -> list[Mount]:
    from wherry.network.names import hosts_file, resolv_conf

    directory = workspace.subdirectory("etc")
    with open("/etc/resolv.conf", encoding="utf-8", errors="replace") as file:
        host = file.read()
    extra = [entry.partition(":")[::2] for entry in step.add_hosts]
    resolvers = resolv_conf(host, (), (), (), own_network=step.network != "host")
    names = hosts_file((), "", "", [(name, address) for name, address in extra])
    files = dict(zip(_FILES, (resolvers, names), strict=True))
    for path, content in (*files.items(), *step.scripts):
        with open(f"{directory}/{os.path.basename(path)}", "w", encoding="utf-8") as file:
            file.write(content)
        os.chmod(f"{directory}/{os.path.basename(path)}", 0o755 if path not in files else 0o644)
    mounts = [
        Mount(path, "bind", f"{directory}/{os.path.basename(path)}", ("rbind", "ro"))
        for path in (*files, *(path for path, _ in step.scripts))
    ]
    if step.ca_bundle:
        mounts.append(Mount(_CA, "bind", os.path.realpath(step.ca_bundle), ("rbind", "ro")))
    return mounts
