import os

import pytest

from wherry.base.paths import Layout
from wherry.engine.cache_mounts import CacheMounts


@pytest.fixture
def caches(tmp_path):
    return CacheMounts(Layout(str(tmp_path / "root"), str(tmp_path / "run")))


def fill(directory):
    with open(f"{directory}/seed", "w") as file:
        file.write("seed")


def test_a_cache_is_filled_once_and_kept(caches):
    first = caches.use("name", "shared", fill)
    os.unlink(f"{first.path}/seed")
    second = caches.use("name", "shared", fill)
    assert second.path == first.path
    assert not os.listdir(first.path)


def test_a_private_cache_in_use_gets_a_copy_that_is_used_again(caches):
    first = caches.use("name", "private", fill)
    second = caches.use("name", "private", fill)
    assert first.path != second.path
    first.release()
    second.release()
    assert caches.use("name", "private", fill).path == first.path
    assert len(caches.all()) == 2


def test_what_is_used_is_not_pruned(caches):
    held = caches.use("held", "shared", fill)
    caches.use("idle", "shared", fill).release()
    assert caches.is_used("held")
    assert caches.prune()[0] == ["idle"]
    held.release()
    names, freed = caches.prune()
    assert (names, freed > 0, caches.all()) == (["held"], True, {})


def test_a_filling_that_failed_leaves_nothing(caches):
    def fail(directory):
        fill(directory)
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        caches.use("name", "shared", fail)
    assert caches.all() == {}
    assert caches.prune()[0] == []
    assert not caches.is_used("name")


def test_what_a_killed_filling_left_is_pruned(caches):
    caches.use("name", "shared", fill).release()
    root = os.path.dirname(caches.use("name", "shared", fill).path)
    os.mkdir(f"{root}/.new-other-1234")
    assert list(caches.all()) == ["name"]
    assert ".new-other-1234" in caches.prune()[0]
