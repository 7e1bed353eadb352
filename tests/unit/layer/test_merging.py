"""Trees that go from one place to another as an archive, into what is there already."""

import io
import os
import tarfile

import pytest

from wherry.base.errors import Conflict, HostileArchive
from wherry.layer.gathering import gather
from wherry.layer.merging import merge

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="owners need root")


def opened(path):
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


def archive_of(directory, name, shown=None):
    out, fd = io.BytesIO(), opened(directory)
    try:
        gather(fd, os.fsencode(name), os.fsencode(name if shown is None else shown), out.write)
    finally:
        os.close(fd)
    return out.getvalue()


def put(data, directory, **how):
    fd = opened(directory)

    def follow(name):
        raise AssertionError(f"followed {name}")

    try:
        merge(io.BytesIO(data).read, fd, where=str(directory), **{"follow": follow, "keep_owner": True, **how})
    finally:
        os.close(fd)


@pytest.fixture
def tree(tmp_path):
    top = tmp_path / "from" / "t"
    (top / "sub").mkdir(parents=True)
    (top / "a").write_text("a")
    (top / "large").write_bytes(os.urandom(3 << 20))
    (top / "sub" / ".wh.b").write_text("no whiteout")
    os.link(top / "a", top / "sub" / "hard")
    os.symlink("/etc", top / "link")
    os.mkfifo(top / "fifo")
    os.chmod(top / "sub", 0o2751)
    os.utime(top / "sub", (5, 5))
    return tmp_path / "from"


def test_a_tree_goes_whole_under_another_name(tree, tmp_path):
    into = tmp_path / "into"
    into.mkdir()
    put(archive_of(tree, "t", "new"), into)
    assert sorted(os.listdir(into / "new")) == ["a", "fifo", "large", "link", "sub"]
    assert (into / "new/large").read_bytes() == (tree / "t/large").read_bytes()
    assert (into / "new/sub/.wh.b").read_text() == "no whiteout"
    assert os.path.samefile(into / "new/a", into / "new/sub/hard")
    assert os.readlink(into / "new/link") == "/etc"
    assert os.stat(into / "new/sub").st_mode & 0o7777 == 0o2751
    assert os.stat(into / "new/sub").st_mtime == 5


def test_content_goes_into_a_directory_that_stays_what_it_is(tree, tmp_path):
    into = tmp_path / "into"
    (into / "sub").mkdir(parents=True)
    (into / "a").write_text("old")
    (into / "mine").write_text("mine")
    (into / "sub" / "kept").write_text("kept")
    os.chmod(into, 0o701)
    fd = opened(tree / "t")
    out = io.BytesIO()
    gather(fd, b".", b".", out.write)
    os.close(fd)
    put(out.getvalue(), into)
    assert (into / "a").read_text() == "a"
    assert (into / "mine").read_text() == "mine"
    assert (into / "sub/kept").read_text() == "kept"
    assert os.stat(into).st_mode & 0o7777 == 0o701


@needs_root
def test_owners_are_kept_given_or_left(tree, tmp_path):
    os.chown(tree / "t" / "a", 1234, 2345)
    for how, owner in (({}, (1234, 2345)), ({"keep_owner": False}, (0, 0)), ({"owner": (7, 8)}, (7, 8))):
        into = tmp_path / f"into{owner[0]}"
        into.mkdir()
        put(archive_of(tree, "t"), into, **how)
        status = os.stat(into / "t/a")
        assert (status.st_uid, status.st_gid) == owner


def test_directories_and_files_do_not_replace_each_other(tree, tmp_path):
    into = tmp_path / "into"
    (into / "t" / "a").mkdir(parents=True)
    with pytest.raises(Conflict, match=r"cannot overwrite directory .*/t/a.* with non-directory"):
        put(archive_of(tree, "t"), into)
    other = tmp_path / "other"
    other.mkdir()
    (other / "t").write_text("a file")
    with pytest.raises(Conflict, match=r"cannot overwrite non-directory .*/t.* with directory"):
        put(archive_of(tree, "t"), other)


def test_links_on_the_way_are_followed_by_the_caller_alone(tmp_path):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("way/file"))
    into, led = tmp_path / "into", tmp_path / "led"
    into.mkdir()
    led.mkdir()
    os.symlink("/somewhere", into / "way")
    put(out.getvalue(), into, follow=lambda _: opened(led))
    assert os.listdir(led) == ["file"]


@pytest.mark.parametrize("name", ["../out", "a/../../out"])
def test_names_that_lead_out_are_refused(tmp_path, name):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(HostileArchive):
        put(out.getvalue(), into)
    assert os.listdir(tmp_path) == ["into"]
