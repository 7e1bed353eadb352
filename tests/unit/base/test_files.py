import os
import stat

import pytest

from wherry.base.files import atomic_write, ensure_directory, remove_tree, write_all


def test_atomic_write_replaces_whole_and_leaves_no_temporary(tmp_path):
    path = tmp_path / "file"
    atomic_write(str(path), b"one", mode=0o600)
    atomic_write(str(path), b"two", mode=0o640)
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["file"]


def test_atomic_write_that_fails_leaves_the_old_bytes_and_no_temporary(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(IsADirectoryError):
        atomic_write(str(tmp_path / "file"), b"x")
    assert os.listdir(tmp_path) == ["file"]


def test_write_all_continues_short_writes():
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(read)
        write_all(write, b"x" * 1_000_000)
        os._exit(0)
    os.close(write)
    total = 0
    while chunk := os.read(read, 65536):
        total += len(chunk)
    os.waitpid(pid, 0)
    os.close(read)
    assert total == 1_000_000


def test_ensure_directory_gives_the_mode_whatever_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        path = ensure_directory(str(tmp_path / "a" / "b"), 0o755)
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o755


def test_remove_tree_does_not_follow_links_and_may_be_repeated(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").write_text("x")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to(outside)
    remove_tree(str(tree))
    remove_tree(str(tree))
    assert (outside / "keep").exists()
    assert not tree.exists()


def test_remove_tree_removes_a_link_and_not_what_it_names(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(NotADirectoryError):
        remove_tree(str(tmp_path / "link"))
    assert (tmp_path / "outside").exists()


def dig(top, depth):
    """A chain of `depth` directories, each with a file: far deeper than a path or the stack can say."""
    directory = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=directory)
        below = os.open("d", os.O_RDONLY, dir_fd=directory)
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=below))
        os.close(directory)
        directory = below
    os.close(directory)


def test_remove_tree_removes_what_no_path_can_name(tmp_path):
    for name in ("one", "two"):
        (tmp_path / "tree" / name).mkdir(parents=True)
        dig(tmp_path / "tree" / name, 2000)
    remove_tree(str(tmp_path / "tree"))
    assert os.listdir(tmp_path) == []


def test_remove_tree_of_a_deep_tree_never_follows_a_link(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/keep").write_text("x")
    deep = tmp_path / "tree" / "/".join(["d"] * 100)
    deep.mkdir(parents=True)
    (deep / "link").symlink_to(tmp_path / "outside")
    (deep.parent / "link").symlink_to(tmp_path / "outside")
    remove_tree(str(tmp_path / "tree"))
    assert (tmp_path / "outside/keep").exists()
    assert os.listdir(tmp_path) == ["outside"]
