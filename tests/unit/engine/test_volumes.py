"""Volumes after commands that were killed on the way."""

import os

import pytest

from wherry.base.errors import InvalidInput
from wherry.base.paths import Layout
from wherry.engine.mounting import decide_mounts, fill_volumes, spec_mounts
from wherry.engine.request import ContainerRequest, MountRequest
from wherry.engine.volumes import Volumes
from wherry.oci.runtime_spec import Mount
from wherry.store import open_store


@pytest.fixture
def volumes(tmp_path):
    layout = Layout(str(tmp_path / "root"), str(tmp_path / "run"))
    store = open_store(layout, lambda: 1)
    yield Volumes(store.database, layout, lambda: 1, lambda _: [])
    store.close()


def mount(volume):
    return {"kind": "volume", "name": volume.name, "path": volume.path, "target": "/data", "fill": True}


@pytest.fixture
def rootfs(tmp_path):
    (tmp_path / "rootfs" / "data").mkdir(parents=True)
    for name in ("one", "two"):
        (tmp_path / "rootfs" / "data" / name).write_text(name)
    return str(tmp_path / "rootfs")


def test_what_a_removal_left_that_was_killed_is_not_in_the_next_volume_of_the_name(volumes):
    volumes.create("shop_data")
    left = f"{volumes.path('gone')}/sub"
    os.makedirs(left)
    assert os.listdir(volumes.create("gone").path) == []


def test_nothing_is_made_for_mounts_that_meet(volumes):
    mounts = (MountRequest("volume", "/data", "one"), MountRequest("volume", "/data/", "two"))
    with pytest.raises(InvalidInput, match="Duplicate mount point: /data"):
        decide_mounts(ContainerRequest("tiny", mounts=mounts), None, volumes, None)
    assert volumes.all() == []


def test_what_is_mounted_below_a_mount_comes_after_it():
    own = [Mount("/etc/hosts", "bind", "/ours"), Mount("/etc/hostname", "bind", "/name")]
    mounts = [
        {"kind": "volume", "path": "/etc-of-users", "target": "/etc"},
        {"kind": "bind", "path": "/theirs", "target": "/etc/hosts"},
    ]
    assert [mount.source for mount in spec_mounts(mounts, own)] == ["/etc-of-users", "/ours", "/name", "/theirs"]


def test_a_volume_that_is_there_keeps_its_content(volumes):
    path = volumes.create("shop_data").path
    open(f"{path}/file", "w").close()
    assert os.listdir(volumes.create("shop_data").path) == ["file"]


def test_the_first_use_copies_and_later_ones_do_not(volumes, rootfs):
    volume = volumes.create("shop_data")
    fill_volumes([mount(volume)], rootfs, volumes)
    assert sorted(os.listdir(volume.path)) == ["one", "two"]
    os.unlink(f"{volume.path}/two")
    fill_volumes([mount(volume)], rootfs, volumes)
    assert os.listdir(volume.path) == ["one"]
    assert os.listdir(os.path.dirname(volume.path)) == ["_data"]


def test_a_copy_that_was_killed_is_made_whole(volumes, rootfs, monkeypatch):
    volume = volumes.create("shop_data")

    def killed(*_, **__):
        with open(f"{volume.path}/one", "w") as file:
            file.write("o")
        raise KeyboardInterrupt

    monkeypatch.setattr("wherry.engine.volumes.run", killed)
    with pytest.raises(KeyboardInterrupt):
        fill_volumes([mount(volume)], rootfs, volumes)
    monkeypatch.undo()
    fill_volumes([mount(volume)], rootfs, volumes)
    assert sorted(os.listdir(volume.path)) == ["one", "two"]
    with open(f"{volume.path}/one") as file:
        assert file.read() == "one"
