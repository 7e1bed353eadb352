"""The upper directory of a step is played by a plain one: what was made in the root is what the layer has."""

import os

import pytest

from wherry.build.stubs import Stubs


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    (root / "there").mkdir(parents=True)
    os.utime(root / "there", ns=(10**15, 10**15))
    return root


def test_what_was_made_goes_and_its_parents_keep_their_times(root):
    stubs = Stubs(str(root))
    stubs.make("/there/a/b", directory=True)
    stubs.make("/there/file", directory=False)
    assert (root / "there/a/b").is_dir()
    assert (root / "there/file").is_file()
    stubs.remove(str(root))
    assert not list((root / "there").iterdir())
    assert os.stat(root / "there").st_mtime_ns == 10**15


def test_what_the_step_filled_or_replaced_stays(root):
    stubs = Stubs(str(root))
    stubs.make("/there/a/b", directory=True)
    stubs.make("/file", directory=False)
    (root / "there/a/own").write_text("x")
    (root / "file").write_text("x")
    os.utime(root / "there/a", ns=(20**12, 20**12))
    stubs.remove(str(root))
    assert sorted(os.listdir(root / "there/a")) == ["own"]
    assert os.stat(root / "there/a").st_mtime_ns == 20**12
    assert (root / "file").read_text() == "x"


def test_links_are_followed_inside_when_made_and_never_when_removed(root, tmp_path):
    (tmp_path / "outside").mkdir()
    (root / "way").symlink_to("/there")
    stubs = Stubs(str(root))
    stubs.make("/way/a/b", directory=False)
    assert (root / "there/a/b").is_file()
    (tmp_path / "outside/b").touch()
    os.unlink(root / "there/a/b")
    os.rmdir(root / "there/a")
    (root / "there/a").symlink_to(tmp_path / "outside")
    stubs.remove(str(root))
    assert (tmp_path / "outside/b").exists()
    assert (root / "there/a").is_symlink()


def test_what_is_there_or_in_the_way_is_left_alone(root):
    (root / "file").write_text("x")
    (root / "dangling").symlink_to("nowhere")
    stubs = Stubs(str(root))
    stubs.make("/file/below", directory=True)
    stubs.make("/dangling/below", directory=True)
    stubs.make("/there", directory=True)
    stubs.remove(str(root))
    assert sorted(os.listdir(root)) == ["dangling", "file", "there"]
