"""RUN: one command in a container over the layers so far; what it changed becomes a layer."""

from __future__ import annotations

import json
import os
import stat

from wherry.base.errors import StepFailed
from wherry.base.files import atomic_write
from wherry.base.values import NamedTuple
from wherry.kernel import capabilities, cgroups
from wherry.kernel.mounts import overlay, unmount_below
from wherry.kernel.seccomp import default_profile
from wherry.layer.packing import pack_upper
from wherry.oci.runtime_spec import Mount, SpecRequest, build_spec
from wherry.runtime.users import resolve_user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

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
_STUBS = ("proc", "sys", "dev", "etc/resolv.conf", "etc/hosts", "etc/hostname", _CA[1:])


class Step(NamedTuple):
    """One RUN with everything resolved. `files` are here-documents: path in the container and content."""

    args: tuple[str, ...]
    environment: tuple[str, ...]
    working_dir: str
    user: str
    network: str
    line: int
    shown: str
    ca_bundle: str = ""
    add_hosts: tuple[str, ...] = ()
    shm_size: int = 67_108_864
    clamp: int | None = None
    scripts: tuple[tuple[str, str], ...] = ()


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
    from wherry.runtime.execution import run_to_end

    rootfs = workspace.subdirectory("rootfs")
    missing = _missing_stubs(lowers)
    overlay(lowers or [workspace.subdirectory("empty")], upper, work, rootfs)
    try:
        spec = build_spec(_request(step, workspace, rootfs))
        atomic_write(f"{workspace.directory}/config.json", json.dumps(spec).encode(), durable=False)
        code = run_to_end(workspace.runtime(), workspace.id, workspace.directory, output)
    finally:
        workspace.end_step()
        unmount_below(rootfs)
    if code:
        raise StepFailed(
            f'process "{" ".join(step.args)}" did not complete successfully: exit code: {code}',
            exit_code=code,
            hint=f"line {step.line} of the Dockerfile: {step.shown}",
        )
    _remove_stubs(upper, missing)
    return pack_upper(upper, lowers, sink, clamp_mtime=step.clamp, settle=True)


def _missing_stubs(lowers: list[str]) -> list[str]:
    """The mount points that no layer has, so that they appear in the step's layer only because of the mounts."""
    missing = []
    for stub in _STUBS:
        parts = stub.split("/")
        for count in range(1, len(parts) + 1):
            name = "/".join(parts[:count])
            if name not in missing and not any(os.path.lexists(f"{lower}/{name}") for lower in lowers):
                missing.append(name)
    return missing


def _remove_stubs(upper: str, missing: list[str]) -> None:
    """Remove the mount points again, unless the step put something of its own there."""
    for name in reversed(missing):
        path = f"{upper}/{name}"
        try:
            status = os.lstat(path)
            if stat.S_ISDIR(status.st_mode):
                os.rmdir(path)
            elif stat.S_ISREG(status.st_mode) and not status.st_size:
                os.unlink(path)
        except OSError:
            continue


def _request(step: Step, workspace: Workspace, rootfs: str) -> SpecRequest:
    namespaces = {"mount": "", "pid": "", "ipc": "", "uts": ""}
    namespace = workspace.network(step.network)
    if namespace:
        namespaces["network"] = namespace
    if cgroups.version() == "v2":
        namespaces["cgroup"] = ""
    user = resolve_user(rootfs, step.user)
    granted, _ = capabilities.resolve((), (), privileged=False, available=capabilities.held())
    environment = dict(entry.partition("=")[::2] for entry in step.environment)
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
        mounts=tuple(_mounts(step, workspace)),
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
    files = {
        "/etc/resolv.conf": resolv_conf(host, (), (), (), own_network=step.network != "host"),
        "/etc/hosts": hosts_file((), "", "", [(name, address) for name, address in extra]),
    }
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
