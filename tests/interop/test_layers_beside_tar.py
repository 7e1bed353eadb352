"""Layers and GNU tar: each reads what the other writes, whatever the tree. And umoci unpacks what Wherry packs."""

import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import tempfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wherry.layer.packing import pack_tree
from wherry.layer.unpacking import unpack

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="ownership and devices need root"),
    pytest.mark.skipif(shutil.which("tar") is None, reason="GNU tar is not installed"),
]

names = st.sampled_from([b"a", b"b c", b"\xff\xfe", "ä".encode(), b"long" * 50, b"-x", b"new\nline"])
entries = st.lists(
    st.tuples(
        st.lists(names, min_size=1, max_size=4),
        st.sampled_from(["file", "directory", "link", "hard", "fifo", "device", "sparse"]),
        st.integers(0, 0o7777),
        st.integers(0, 2**31 - 1),
        st.integers(0, 2**34),
        st.binary(max_size=2000),
    ),
    max_size=12,
)


def grow(root, plan):
    """Make the tree that the plan describes; what does not fit is left out."""
    files = []
    for parts, kind, mode, owner, mtime, content in plan:
        path = os.path.join(os.fsencode(root), *parts)
        parent = os.path.dirname(path)
        if os.path.realpath(parent) != parent:
            continue  # a link of the plan must not lead out of the tree
        try:
            os.makedirs(parent, exist_ok=True)
            make(path, kind, content, files)
        except (FileExistsError, NotADirectoryError):
            continue
        os.chown(path, owner, owner // 2, follow_symlinks=False)
        if kind != "link":
            os.chmod(path, mode)
        os.utime(path, (mtime, mtime), follow_symlinks=False)


def make(path, kind, content, files):
    if os.path.lexists(path):
        raise FileExistsError
    if kind == "directory":
        os.mkdir(path)
    elif kind == "link":
        os.symlink(content.replace(b"\0", b"")[:200] or b"x", path)
    elif kind == "hard" and files:
        os.link(files[0], path)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        os.mknod(path, stat.S_IFCHR, os.makedev(1, 3))
    else:
        with open(path, "wb") as file:
            file.write(content)
            if kind == "sparse":
                file.truncate(len(content) + (1 << 20))
        files.append(path)


def packed(root):
    out = io.BytesIO()
    pack_tree(str(root), out.write)
    return out.getvalue()


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(entries)
def test_tar_reads_what_is_packed(plan):
    with tempfile.TemporaryDirectory() as here:
        for name in ("tree", "out"):
            os.mkdir(f"{here}/{name}")
        grow(f"{here}/tree", plan)
        data = packed(f"{here}/tree")
        argv = ["tar", "-C", f"{here}/out", "--numeric-owner", "--xattrs", "-xpf", "-"]
        subprocess.run(argv, input=data, check=True, capture_output=True)
        assert packed(f"{here}/out") == data


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(entries, st.sampled_from(["gnu", "posix"]), st.booleans())
def test_what_tar_writes_is_unpacked(plan, form, sparse):
    with tempfile.TemporaryDirectory() as here:
        for name in ("tree", "out"):
            os.mkdir(f"{here}/{name}")
        grow(f"{here}/tree", plan)
        argv = ["tar", "-C", f"{here}/tree", f"--format={form}", "--numeric-owner", *(["--sparse"] if sparse else [])]
        data = subprocess.run([*argv, "-cf", "-", "."], check=True, capture_output=True).stdout
        unpack(io.BytesIO(data), f"{here}/out")
        assert packed(f"{here}/out") == packed(f"{here}/tree")


@pytest.mark.skipif(shutil.which("umoci") is None, reason="umoci is not installed")
def test_umoci_unpacks_what_is_packed(tmp_path):
    (tmp_path / "tree").mkdir()
    plan = [([b"a", b"b c"], "file", 0o4755, 5, 1000, b"content"), ([b"a", b"\xc3\xa4"], "hard", 0o644, 5, 1000, b"")]
    plan += [([b"l"], "link", 0, 7, 5, b"/etc/passwd"), ([b"d"], "directory", 0o1777, 3, 77, b"")]
    grow(str(tmp_path / "tree"), plan)
    layer = packed(tmp_path / "tree")
    layout = tmp_path / "layout"
    (layout / "blobs/sha256").mkdir(parents=True)

    def store(data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        (layout / "blobs/sha256" / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    kind = "application/vnd.oci.image"
    stored = store(layer, f"{kind}.layer.v1.tar")
    rootfs = {"type": "layers", "diff_ids": [stored["digest"]]}
    config = store(
        json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode(), f"{kind}.config.v1+json"
    )
    manifest = json.dumps({"schemaVersion": 2, "config": config, "layers": [stored]}).encode()
    entry = store(manifest, f"{kind}.manifest.v1+json")
    entry["annotations"] = {"org.opencontainers.image.ref.name": "x"}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    subprocess.run(
        ["umoci", "unpack", "--image", f"{layout}:x", str(tmp_path / "bundle")], check=True, capture_output=True
    )
    assert packed(tmp_path / "bundle/rootfs") == layer
