"""Overlay mounts and unmounting, by the kernel itself."""

import os

import pytest

from wherry.base.errors import Unsupported, WherryError
from wherry.kernel.mounts import is_mount_point, mounts_below, overlay, unmount, unmount_below

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")]


@pytest.fixture
def place(tmp_path):
    for name in ("upper", "work", "target"):
        (tmp_path / name).mkdir()
    yield tmp_path
    unmount_below(str(tmp_path))
    assert mounts_below(str(tmp_path)) == []


def layer(place, number, **files):
    directory = place / "layers" / str(number)
    directory.mkdir(parents=True)
    for name, text in files.items():
        (directory / name).write_text(text)
    return str(directory)


def test_the_topmost_layer_wins_and_writes_go_to_the_upper_one(place):
    lowers = [layer(place, 2, a="two"), layer(place, 1, a="one", b="one")]
    overlay(lowers, str(place / "upper"), str(place / "work"), str(place / "target"))
    assert (place / "target" / "a").read_text() == "two"
    (place / "target" / "b").write_text("changed")
    (place / "target" / "a").unlink()
    assert (place / "upper" / "b").read_text() == "changed"
    assert (place / "layers" / "1" / "b").read_text() == "one"
    assert os.major(os.lstat(place / "upper" / "a").st_rdev) == 0
    assert is_mount_point(str(place / "target"))
    assert unmount(str(place / "target")) is True
    assert unmount(str(place / "target")) is False


def test_what_may_be_lost_is_mounted_without_waiting_for_the_disk_and_only_once(place):
    arguments = ([layer(place, 1, a="one")], str(place / "upper"), str(place / "work"), str(place / "target"))
    overlay(*arguments, volatile=True)
    assert any(
        f" {place}/target " in line and "volatile" in line for line in open("/proc/self/mountinfo", encoding="ascii")
    )
    (place / "target" / "a").write_text("changed")
    unmount(str(place / "target"))
    assert (place / "upper" / "a").read_text() == "changed"
    with pytest.raises(WherryError, match="cannot mount overlay"):
        overlay(*arguments, volatile=True)


def test_a_renamed_directory_is_whole_in_the_upper_layer(place):
    (place / "layers" / "1" / "d").mkdir(parents=True)
    (place / "layers" / "1" / "d" / "inside").write_text("x")
    overlay([str(place / "layers" / "1")], str(place / "upper"), str(place / "work"), str(place / "target"))
    with pytest.raises(OSError, match="cross-device"):  # redirects are off: what renames copies, and so should mv
        os.rename(place / "target" / "d", place / "target" / "e")


def test_as_many_layers_as_a_page_of_options_names(place):
    lowers = [layer(place, number, **{f"f{number}": str(number)}) for number in range(120)]
    overlay(lowers, str(place / "upper"), str(place / "work"), str(place / "target"))
    assert len(os.listdir(place / "target")) == 120
    unmount(str(place / "target"))
    with pytest.raises(Unsupported, match="2000 layers are more than one overlay mount takes"):
        overlay([f"{place}/layers/{number:050}" for number in range(2000)], "", "", str(place / "target"))


def test_a_read_only_mount_of_one_layer_and_of_several(place):
    for lowers in ([layer(place, 1, a="one")], [layer(place, 3, a="three"), layer(place, 2, a="two")]):
        overlay(lowers, "", "", str(place / "target"))
        with pytest.raises(OSError, match="Read-only"):
            (place / "target" / "new").write_text("x")
        unmount(str(place / "target"))


def test_a_colon_in_a_path_is_refused_before_the_kernel_misreads_it(place):
    with pytest.raises(Unsupported, match="colon"):
        overlay([f"{place}/a:b"], str(place / "upper"), str(place / "work"), str(place / "target"))


def test_what_is_in_use_goes_when_its_last_user_has_gone(place):
    overlay([layer(place, 1, a="one")], str(place / "upper"), str(place / "work"), str(place / "target"))
    with open(place / "target" / "a") as held:
        unmount_below(str(place))
        assert held.read() == "one"
        assert not is_mount_point(str(place / "target"))


def test_a_mount_that_cannot_be_says_what_and_where(place):
    with pytest.raises(WherryError, match=f"cannot mount overlay on {place}/nowhere"):
        overlay([f"{place}/none", f"{place}/none2"], "", "", f"{place}/nowhere")
