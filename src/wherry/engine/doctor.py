"""Which parts of the machine Wherry needs, which are there, and how the missing ones are got."""

from __future__ import annotations

import os

from wherry.base.errors import Unavailable, WherryError
from wherry.base.programs import find, run
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wherry.base.paths import Layout

__all__ = ["Check", "examine", "install", "packages_for"]


class Check(NamedTuple):
    """One part: `state` is ok, missing (required) or absent (optional); `packages` by package manager."""

    name: str
    state: str
    detail: str
    purpose: str
    packages: dict[str, str]


def examine(layout: Layout) -> list[Check]:
    """Look at everything; the OCI runtime is really tried."""
    return [
        _root(),
        _runtime(layout),
        _program("conmon", "monitors containers", {"apt": "conmon", "dnf": "conmon"}),
        _program("nft", "published ports and masquerading", {"apt": "nftables", "dnf": "nftables"}),
        _program("ip", "bridges and addresses", {"apt": "iproute2", "dnf": "iproute"}),
        _program("nsenter", "joining a network while running", {"apt": "util-linux", "dnf": "util-linux-core"}),
        _program("ps", "wherry top", {"apt": "procps", "dnf": "procps-ng"}),
        _program("flock", "the end of containers", {"apt": "util-linux", "dnf": "util-linux-core"}),
        _program("mmdebstrap", "base images without a registry", {"apt": "mmdebstrap"}, required=_is_debian()),
        _name_server(layout),
        _program("tini", "run --init", {"apt": "tini", "dnf": "tini"}, required=False, also=("/usr/libexec/docker",)),
        _overlay(),
        _cgroups(),
    ]


def _is_debian() -> bool:
    return find("apt-get") is not None


def _root() -> Check:
    is_root = os.geteuid() == 0
    return Check("root", "ok" if is_root else "missing", "yes" if is_root else "no", "namespaces and mounts", {})


def _runtime(layout: Layout) -> Check:
    from wherry.runtime.probe import find_runtime

    packages = {"apt": "runc", "dnf": "runc"}
    try:
        path = find_runtime(layout.root, layout.run) if os.geteuid() == 0 else find("crun") or find("runc") or ""
    except (Unavailable, OSError) as error:
        return Check("runtime", "missing", getattr(error, "message", str(error)), "isolates processes", packages)
    return Check(
        "runtime", "ok" if path else "missing", path or "neither crun nor runc", "isolates processes", packages
    )


def _program(
    name: str, purpose: str, packages: dict[str, str], *, required: bool = True, also: Sequence[str] = ()
) -> Check:
    path = find(name, also)
    state = "ok" if path else "missing" if required else "absent"
    return Check(name, state, path or "not found", purpose, packages)


def _name_server(layout: Layout) -> Check:
    """The program, and the process where a network has one."""
    from wherry.network.dns import DIRECTORIES, NameServer

    packages = {"apt": "aardvark-dns", "dnf": "aardvark-dns"}
    purpose = "names between containers"
    check = _program("aardvark-dns", purpose, packages, required=False, also=DIRECTORIES)
    pid = NameServer(layout, tuple).pid()
    return check._replace(detail=f"{check.detail}, running as {pid}") if pid else check


def _overlay() -> Check:
    with open("/proc/filesystems", encoding="ascii") as file:
        present = any(line.split()[-1] == "overlay" for line in file)
    if not present:
        present = run(("modprobe", "overlay"), check=False).status == 0 if find("modprobe") else False
    detail = "in the kernel" if present else "the kernel has no overlay file system"
    return Check("overlay", "ok" if present else "missing", detail, "layers", {})


def _cgroups() -> Check:
    from wherry.kernel.cgroups import ROOT, version

    present = os.path.isdir(ROOT) and bool(os.listdir(ROOT))
    return Check("cgroups", "ok" if present else "missing", version() if present else "not mounted", "limits", {})


def packages_for(checks: Sequence[Check], manager: str) -> list[str]:
    """What to install for everything that is missing or absent."""
    wanted = [check.packages.get(manager, "") for check in checks if check.state != "ok"]
    return sorted({package for package in wanted if package})


def install(checks: Sequence[Check], say: Callable[[str], object]) -> None:
    """Install what is missing with the machine's package manager. Raises Unavailable without one, or without root."""
    manager = "apt" if find("apt-get") else "dnf" if find("dnf") else ""
    if not manager:
        raise Unavailable("neither apt-get nor dnf is on this machine", hint="install the missing parts by hand")
    packages = packages_for(checks, manager)
    if not packages:
        return
    if os.geteuid():
        raise Unavailable("installing packages needs root", hint=f"as root: install {' '.join(packages)}")
    say(f"installing {' '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in _commands(manager, packages):
        try:
            run(command, env=environment)
        except WherryError as error:
            raise Unavailable(f"{' '.join(command[:2])} failed: {error.message}") from None


def _commands(manager: str, packages: list[str]) -> list[tuple[str, ...]]:
    if manager == "dnf":
        return [("dnf", "install", "-y", *packages)]
    return [("apt-get", "-qq", "update"), ("apt-get", "-qq", "install", "-y", "--no-install-recommends", *packages)]
