"""What builds remember of their contexts."""

from types import SimpleNamespace

import pytest

from wherry.build import cache as cache_module
from wherry.build.cache import BuildCache
from wherry.store import Database


@pytest.fixture
def cache(tmp_path):
    return BuildCache(SimpleNamespace(database=Database(f"{tmp_path}/db")))


def test_a_tree_is_known_by_its_context_and_its_state(cache):
    cache.remember_trees("/a", {"s1": "one", "s2": "two"})
    assert (cache.tree("/a", "s1"), cache.tree("/a", "s2")) == ("one", "two")
    assert (cache.tree("/b", "s1"), cache.tree("/a", "s3")) == ("", "")
    cache.clear()
    assert cache.tree("/a", "s1") == ""


def test_the_latest_trees_of_each_context_are_kept(cache, monkeypatch):
    monkeypatch.setattr(cache_module, "_TREES", 3)
    cache.remember_trees("/b", {"s": "b"})
    for number in range(10):
        cache.remember_trees("/a", {f"s{number}": str(number)})
    assert [cache.tree("/a", f"s{number}") for number in range(10)] == ["", "", "", "", "", "", "", "7", "8", "9"]
    assert cache.tree("/b", "s") == "b"
