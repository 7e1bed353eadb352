"""The family `debian`: a root file system by `mmdebstrap` from the machine's own package sources.

The same packages give the same bytes: what is made at installation time and differs from run to run is removed, and no
file is younger than the youngest one that came in a package.
"""

from __future__ import annotations

import glob
import os

from wherry.base.errors import ProgramFailed, Unavailable, Unsupported
from wherry.base.files import ensure_directory, remove_if_exists, remove_tree
from wherry.base.programs import require
from wherry.base.progress import Output
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Distribution", "build_root", "candidate", "distribution", "point_release", "source_date"]

_EMPTIED = ("var/log", "var/cache/apt", "var/lib/apt/lists", "var/cache/ldconfig", "var/cache/debconf", "tmp", "run")
_REMOVED = (
    "etc/hostname",
    "etc/resolv.conf",
    "etc/.pwd.lock",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/statoverride-old",
    "var/lib/dpkg/lock",
    "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/triggers/Lock",
    "var/lib/systemd/random-seed",
    "var/lib/apt/extended_states.old",
    "etc/passwd-",
    "etc/shadow-",
    "etc/group-",
    "etc/gshadow-",
)
_DAY = 86_400


class Distribution(NamedTuple):
    """What the machine runs: `version` 12, `codename` bookworm."""

    name: str
    version: str
    codename: str


def distribution() -> Distribution:
    """Read /etc/os-release. Raises Unsupported where it is not Debian or a child of it."""
    with open("/etc/os-release", encoding="utf-8") as file:
        values = {key: value.strip('"') for key, _, value in (line.strip().partition("=") for line in file)}
    if "debian" not in (values.get("ID", ""), *values.get("ID_LIKE", "").split()):
        raise Unsupported(
            f"base images are made from Debian's packages, and this is {values.get('PRETTY_NAME', 'something else')}",
            hint="build on Debian, or pull a base image from a registry",
        )
    return Distribution(values.get("ID", "debian"), values.get("VERSION_ID", "unstable"), values["VERSION_CODENAME"])


def _sources(codename: str) -> list[str]:
    """The machine's files of package sources that speak of its own release."""
    files = ["/etc/apt/sources.list", *sorted(glob.glob("/etc/apt/sources.list.d/*"))]
    found = []
    for path in files:
        if not path.endswith((".list", ".sources")) or not os.path.isfile(path):
            continue
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line for line in file if not line.lstrip().startswith("#")]
        if any(codename in line for line in lines):
            found.append(path)
    if not found:
        raise Unavailable(f"no package sources for {codename} in /etc/apt", hint="add them to /etc/apt/sources.list")
    return found


def build_root(target: str, task: str, progress: Callable[[Output], object]) -> None:
    """Fill the directory `target`. Raises Unavailable without mmdebstrap, ProgramFailed with its last words."""
    import subprocess

    release = distribution()
    argv = [
        require("mmdebstrap"),
        "--variant=minbase",
        "--mode=root",
        "--format=directory",
        "--include=ca-certificates",
    ]
    argv += [release.codename, target, *_sources(release.codename)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(_DAY), "LC_ALL": "C"}
    with subprocess.Popen(
        argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, umask=0o022
    ) as child:
        last = b""
        for line in child.stderr or ():
            progress(Output(task, 2, line))
            last = line if line.startswith(b"E:") else last
    if child.returncode:
        words = last.decode(errors="replace").strip() or f"exit code {child.returncode}"
        raise ProgramFailed(f"mmdebstrap failed: {words}", argv=tuple(argv), status=child.returncode)
    _normalise(target)


def _normalise(root: str) -> None:
    """Take away what differs from run to run."""
    for directory in _EMPTIED:
        path = f"{root}/{directory}"
        for name in os.listdir(path) if os.path.isdir(path) else ():
            inner = f"{path}/{name}"
            if os.path.isdir(inner) and not os.path.islink(inner):
                remove_tree(inner)
            else:
                remove_if_exists(inner)
    for name in _REMOVED:
        remove_if_exists(f"{root}/{name}")
    if os.path.exists(f"{root}/etc/machine-id"):
        with open(f"{root}/etc/machine-id", "w", encoding="ascii"):
            pass
    for directory in ("var/lib/apt/lists/partial", "var/cache/apt/archives", "var/cache/apt/archives/partial"):
        ensure_directory(f"{root}/{directory}", 0o755)


def source_date(root: str) -> int:
    """The time (s) of the youngest change log that a package brought: the age of the packages, whenever they came."""
    newest = _DAY
    for directory, _, names in os.walk(f"{root}/usr/share/doc"):
        for name in names:
            if name.startswith("changelog"):
                newest = max(newest, int(os.lstat(f"{directory}/{name}").st_mtime))
    return newest


def point_release(root: str, release: Distribution) -> str:
    """The version of the Debian in `root` with its point release, as 12.5; for its children just their version."""
    with open(f"{root}/etc/debian_version", encoding="ascii", errors="replace") as file:
        version = file.read().strip()
    return version if version.startswith(f"{release.version}.") else release.version


def candidate(package: str) -> str:
    """The numbers of the version that apt would install of a package, without Debian's own; empty for unknown."""
    import re
    import subprocess

    try:
        answer = subprocess.run(
            ["apt-cache", "policy", package],
            capture_output=True,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except FileNotFoundError:
        return ""
    found = re.search(rb"Candidate: (?:[0-9]+:)?([0-9]+(?:\.[0-9]+)*)", answer.stdout)
    return found[1].decode() if found else ""
