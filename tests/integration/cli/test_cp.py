"""`cp` with real containers: running and stopped, with volumes, read-only, and with links that want to lead out."""

import io
import os
import tarfile

import pytest


@pytest.fixture
def one(wherry):
    name = "copied"
    wherry("run", "-d", "--name", name, "--network", "none", "-v", f"{name}:/data", "--tmpfs", "/scratch", "tiny",
           "sh", "-c", "mkdir /t; echo f > /t/f; ln -s / /t/esc; ln -s ../../../../../../../../etc/passwd /t/out;"
           " echo in > /data/v; echo ready; exec sleep 600")  # fmt: skip
    while "ready" not in wherry("logs", name).out:
        pass
    yield name
    wherry("rm", "-f", name, f"{name}-ro")
    wherry("volume", "rm", name)


@pytest.mark.parametrize("running", [True, False])
def test_files_go_in_and_out_and_volumes_are_seen(wherry, one, tmp_path, running):
    if not running:
        wherry("kill", one)
    (tmp_path / "new").write_text("new")
    os.chown(tmp_path / "new", 1234, 2345)
    said = wherry("cp", "-q=false", str(tmp_path / "new"), f"{one}:/data/")
    assert said.err == f"Successfully copied 3B to {one}:/data/\n"
    wherry("cp", f"{one}:/data/.", str(tmp_path / "data"))
    assert sorted(os.listdir(tmp_path / "data")) == ["new", "v"]
    assert os.stat(tmp_path / "data/new").st_uid == os.geteuid()
    with tarfile.open(fileobj=io.BytesIO(wherry("cp", f"{one}:/data/new", "-").stdout)) as archive:
        assert [(entry.name, entry.uid, entry.gid) for entry in archive] == [("new", 1234, 2345)]
    wherry("cp", f"{one}:/etc/hosts", str(tmp_path))
    assert "localhost" in (tmp_path / "hosts").read_text()
    if not running:
        wherry("start", one)
    assert wherry("exec", one, "cat", "/data/new").out == "new"


@pytest.mark.parametrize("running", [True, False])
def test_links_lead_nowhere_but_into_the_container(wherry, one, tmp_path, running):
    if not running:
        wherry("kill", one)
    (tmp_path / "marker").write_text("x")
    wherry("cp", str(tmp_path / "marker"), f"{one}:/t/esc/marker")
    assert not os.path.exists("/marker")
    wherry("cp", "-L", f"{one}:/t/out", str(tmp_path / "passwd"))
    assert "ana" in (tmp_path / "passwd").read_text()
    assert wherry("cp", f"{one}:/marker", "-").stdout


def test_a_stream_is_unpacked_and_nothing_lies_outside(wherry, one):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        entry = tarfile.TarInfo("t/esc/streamed")
        entry.size = 2
        archive.addfile(entry, io.BytesIO(b"hi"))
    wherry("cp", "-", f"{one}:/", stdin=data.getvalue())
    assert wherry("exec", one, "cat", "/streamed").out == "hi"
    assert not os.path.exists("/streamed")
    assert wherry("cp", "-", f"{one}:/t/f", stdin=data.getvalue(), check=False).returncode == 1


def test_what_is_read_only_or_gone_with_the_container_is_refused(wherry, one, tmp_path):
    (tmp_path / "x").write_text("x")
    wherry("kill", one)
    told = wherry("cp", str(tmp_path / "x"), f"{one}:/scratch", check=False)
    assert (told.returncode, "read-only" in told.err) == (1, True)
    wherry("create", "--read-only", "--name", f"{one}-ro", "-v", f"{one}:/data", "tiny", "true")
    told = wherry("cp", str(tmp_path / "x"), f"{one}-ro:/t", check=False)
    assert told.returncode == 1
    told = wherry("cp", str(tmp_path / "x"), f"{one}-ro:/tmp", check=False)
    assert (told.returncode, "read-only" in told.err) == (1, True)


def test_the_whole_of_a_running_container_can_be_copied(wherry, one, tmp_path):
    wherry("cp", f"{one}:/", str(tmp_path / "all"))
    assert (tmp_path / "all/t/f").read_text() == "f\n"
    assert os.listdir(tmp_path / "all/proc") == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("{one}:/t", "{one}:/u"), "between containers"),
        (("a", "b"), "must specify at least one container"),
        (("{one}:/nothing", "."), "Could not find the file /nothing"),
        (("{one}:/t/f", "/no/such/x"), 'directory "/no/such" does not exist'),
        (("nobody:/t", "."), "No such container: nobody"),
        (("{one}:", "."), "path cannot be empty"),
    ],
)
def test_mistakes_are_told(wherry, one, words, said):
    told = wherry("cp", *(word.format(one=one) for word in words), check=False)
    assert (told.returncode, said in told.err) == (1, True), told.err


@pytest.mark.parametrize("running", [True, False])
def test_an_export_has_the_files_without_the_mounts(wherry, one, tmp_path, running):
    if not running:
        wherry("kill", one)
    wherry("export", "-o", str(tmp_path / "all.tar"), one)
    assert os.listdir(tmp_path) == ["all.tar"]
    with tarfile.open(tmp_path / "all.tar") as archive:
        names = archive.getnames()
        assert archive.extractfile("t/f").read() == b"f\n"
    assert {"t/esc", "bin/sh", "data", "scratch"} <= set(names)
    assert not [name for name in names if name.startswith(("data/", "proc/", "sys/", "dev/"))]
    assert wherry("export", one).stdout == (tmp_path / "all.tar").read_bytes()
    assert wherry("export", "nobody", check=False).returncode == 1


def test_a_diff_tells_what_a_container_changed(wherry):
    script = (
        "rm /etc/group; echo z >> /etc/passwd; rm -r /usr/lib; mkdir /usr/lib; echo x > /usr/lib/new; echo y > /vol/y"
    )
    wherry("run", "--name", "changed", "-v", "/vol", "tiny", "sh", "-c", script)
    lines = wherry("diff", "changed").out.splitlines()
    assert {"C /etc", "D /etc/group", "C /etc/passwd", "A /usr/lib/new", "A /vol"} <= set(lines)
    assert not [line for line in lines if line[2:].startswith(("/proc", "/dev", "/etc/hosts", "/vol/"))]
    assert [line[0] for line in lines if line[2:].startswith("/usr/lib/")].count("D") == 1
    wherry("run", "--name", "same", "tiny", "true")
    assert wherry("diff", "same").out == ""
    assert wherry("diff", "nobody", check=False).returncode == 1
