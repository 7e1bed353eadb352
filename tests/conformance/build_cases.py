"""Dockerfiles with one point each, and what real Docker makes of them.

`build/NAME/` is a build context with its Dockerfile. `case.json` beside it may say more: `arguments` (of the command
line), `says` (words of the error that is expected), `modes`, `directories` and `archives` (what version control does
not keep, made before the build), `builder` (`buildkit`, `classic`, or `documentation`: written by hand from the
Dockerfile reference, because the Docker at hand cannot do it). `expected.json` is what the image has over its base:
the tree, and the configuration; or that the build fails. Where Wherry is to differ, `ours.json` says how and
`case.json` why.
"""

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

ROOT = Path(__file__).parent / "build"
_CONFIG = (
    "Cmd Entrypoint Env ExposedPorts Healthcheck Labels OnBuild Shell StopSignal User Volumes WorkingDir"
).split()
_OURS = ("case.json", "expected.json", "ours.json")
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Case:
    """One directory of `build/`."""

    def __init__(self, name):
        self.name = name
        self.directory = ROOT / name
        options = self.directory / "case.json"
        given = json.loads(options.read_text()) if options.exists() else {}
        self.arguments = given.get("arguments", [])
        self.builder = given.get("builder", "buildkit")
        self.says = given.get("says", "")
        self._modes = given.get("modes", {})
        self._directories = given.get("directories", [])
        self._archives = given.get("archives", {})
        self._links = given.get("hard links", {})

    @property
    def ours(self):
        """What Wherry gives: Docker's, or what `ours.json` says, for the reason in `case.json`."""
        path = self.directory / "ours.json"
        return json.loads(path.read_text()) if path.exists() else self.expected

    @property
    def expected(self):
        return json.loads((self.directory / "expected.json").read_text())

    def context(self, target):
        """Put the context into the new directory `target`, with what version control does not keep."""
        target = Path(target)
        shutil.copytree(self.directory, target, symlinks=True, ignore=shutil.ignore_patterns(*_OURS))
        for path in (target, *target.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        for name in self._directories:
            (target / name).mkdir(parents=True)
            (target / name).chmod(0o755)
        for name, first in self._links.items():
            os.link(target / first, target / name)
        for name, mode in self._modes.items():
            (target / name).chmod(int(mode, 8))
        for name, entries in self._archives.items():
            _archive(target / name, entries)
        return target


def _archive(path, entries):
    """A tar archive of files (name: content) and directories (name/: mode), compressed as its name says."""
    kind = {"gz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}.get(path.suffix[1:], "w")
    with tarfile.open(path, kind) as archive:
        for name, content in entries.items():
            info = tarfile.TarInfo(name.rstrip("/"))
            info.mtime, info.uid, info.gid, info.mode = 1_000_000_000, 12, 34, 0o640
            if name.endswith("/"):
                info.type, info.mode = tarfile.DIRTYPE, int(content, 8)
            elif content.startswith("-> "):
                info.type, info.linkname = tarfile.SYMTYPE, content[3:]
            data = b"" if info.type != tarfile.REGTYPE else content.encode()
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def cases():
    return [Case(path.name) for path in sorted(ROOT.iterdir()) if (path / "Dockerfile").exists()]


# --- the base: the same directories everywhere, and whatever programs the machine has

_DIRECTORIES = {
    "bin": 0o755, "dev": 0o755, "etc": 0o755, "home": 0o755, "lib": 0o755, "lib64": 0o755, "proc": 0o755, "root": 0o700,
    "sys": 0o755, "tmp": 0o1777, "usr": 0o755, "usr/bin": 0o755, "usr/lib": 0o755, "var": 0o755, "var/lib": 0o755,
    "run": 0o755,
}  # fmt: skip


def make_base(target, make_programs):
    """The context of the base image; `make_programs(rootfs)` puts programs into it."""
    rootfs = Path(target) / "rootfs"
    rootfs.mkdir(parents=True)
    make_programs(str(rootfs))
    for name in _DIRECTORIES:
        (rootfs / name).mkdir(exist_ok=True)
    for name, mode in _DIRECTORIES.items():
        (rootfs / name).chmod(mode)
    (rootfs / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nana:x:1000:1000::/home/ana:/bin/sh\n")
    (rootfs / "etc/group").write_text("root:x:0:\nana:x:1000:\nextra:x:1001:ana\n")
    (rootfs / "etc/issue").write_text("an issue\n")
    (rootfs / "usr/lib/link").symlink_to("/var/lib")
    (Path(target) / "Dockerfile").write_text('FROM scratch\nCOPY rootfs/ /\nENV FROM_BASE=yes\nCMD ["sh"]\n')


def with_busybox(rootfs):
    os.mkdir(f"{rootfs}/bin")
    shutil.copy("/bin/busybox", f"{rootfs}/bin/busybox")
    listed = subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True, check=True).stdout
    for name in listed.split():
        if name != "busybox":
            os.symlink("busybox", f"{rootfs}/bin/{name}")


# --- what an image has over its base


def describe(config, layers):
    """The configuration, and the tree that open layer archives give together; what they remove is `removed`."""
    tree = {}
    for layer in layers:
        with tarfile.open(fileobj=layer) as archive:
            _apply(archive, tree)
    tree = {path: entry for path, entry in sorted(tree.items()) if not _is_plain_base(path, entry)}
    wanted = {key: config[key] for key in _CONFIG if config.get(key)}
    wanted["Env"] = [entry for entry in wanted.get("Env", []) if entry not in (PATH, "FROM_BASE=yes")]
    if not wanted["Env"]:
        del wanted["Env"]
    if wanted.get("Cmd") == ["sh"]:
        del wanted["Cmd"]
    return {"config": wanted, "tree": tree}


def _is_plain_base(path, entry):
    mode = _DIRECTORIES.get(path)
    return mode is not None and entry == {"kind": "directory", "mode": f"{mode:04o}", "owner": "0:0"}


def _apply(archive, tree):
    whiteouts, entries = [], {}
    for member in archive:
        path = os.path.normpath(member.name).lstrip("/")
        name = os.path.basename(path)
        if path == ".":
            continue
        if name.startswith(".wh."):
            whiteouts.append((os.path.dirname(path), name))
        else:
            entries[path] = _entry(archive, member)
    for directory, name in whiteouts:
        gone = directory if name == ".wh..wh..opq" else os.path.join(directory, name[4:])
        known = [path for path in tree if path == gone or path.startswith(gone + "/")]
        for path in known:
            if path != gone or name != ".wh..wh..opq":
                del tree[path]
        if not known and name != ".wh..wh..opq":
            tree[gone] = {"kind": "removed"}
    for path, entry in entries.items():
        if entry["kind"] != "directory" or tree.get(path, {}).get("kind") != "directory":
            for inner in [one for one in tree if one.startswith(path + "/")]:
                del tree[inner]
        tree[path] = entry


def _entry(archive, member):
    entry = {"kind": "directory", "mode": f"{member.mode & 0o7777:04o}", "owner": f"{member.uid}:{member.gid}"}
    if member.issym():
        entry |= {"kind": "link", "target": member.linkname}
        del entry["mode"]
    elif member.isreg() or member.islnk():
        entry["kind"] = "file"
        data = archive.extractfile(member).read()
        text = data.decode(errors="replace")
        if len(data) <= 200 and text.encode() == data:
            entry["content"] = text
        else:
            entry["sha256"] = hashlib.sha256(data).hexdigest()
        if member.islnk():
            entry["same as"] = os.path.normpath(member.linkname).lstrip("/")
    elif not member.isdir():
        entry["kind"] = "fifo" if member.isfifo() else "device"
    xattrs = {key[14:]: value for key, value in member.pax_headers.items() if key.startswith("SCHILY.xattr.")}
    return {**entry, **({"xattrs": xattrs} if xattrs else {})}
