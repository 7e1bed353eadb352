import os
import time

import pytest

from wherry.base.errors import InvalidInput
from wherry.base.files import remove_tree
from wherry.build import sources as sources_module
from wherry.build.sources import Digests, Source
from wherry.dockerfile.ignore import IgnorePatterns


def dig(top, depth):
    directory = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=directory)
        below = os.open("d", os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = below
    os.close(directory)


def test_a_deep_context_is_walked_in_order(tmp_path):
    try:
        dig(tmp_path, 1500)
        (tmp_path / "e").touch()
        names = [entry.name for entry in Source(str(tmp_path)).walk(str(tmp_path))]
        assert names == ["/".join(["d"] * count) for count in range(1, 1501)] + ["e"]
    finally:
        remove_tree(str(tmp_path / "d"))


def test_a_context_that_no_path_reaches_is_refused_with_words(tmp_path):
    try:
        dig(tmp_path, 2500)
        with pytest.raises(InvalidInput, match="longer than a path can be"):
            Source(str(tmp_path)).walk(str(tmp_path))
    finally:
        remove_tree(str(tmp_path / "d"))


class Known:
    """What a cache remembers, and how often it was asked for every file."""

    def __init__(self):
        self.files, self.trees, self.asked = {}, {}, 0

    def file_states(self, _root):
        self.asked += 1
        return dict(self.files)

    def remember_files(self, _root, states):
        self.files.update(states)

    def tree(self, _root, state):
        return self.trees.get(state, "")

    def remember_trees(self, _root, digests):
        self.trees.update(digests)


@pytest.fixture
def context(tmp_path):
    root = tmp_path / "context"
    (root / "d").mkdir(parents=True)
    (root / "file").write_text("one")
    (root / "d" / "inner").write_text("inner")
    (root / "link").symlink_to("file")
    settle(root)
    return root


def settle(root):
    """Wait until what is there was changed long enough ago to be remembered."""
    newest = max(os.lstat(path).st_ctime_ns for path in [root, *root.rglob("*")])
    while time.time_ns() - newest <= sources_module._SETTLED:
        os.sched_yield()


def digest(cache, root, ignore=""):
    source = Source(str(root), ignore=IgnorePatterns.parse(ignore))
    digests = Digests(cache, str(root))
    found = digests.of_all(source.walk(str(root)))
    digests.save()
    return found


def test_a_context_that_has_not_changed_is_looked_up_as_a_whole(context):
    cache = Known()
    first = digest(cache, context)
    assert cache.asked == 1
    assert digest(cache, context) == first
    os.utime(context / "d")  # a directory's times have no part in it
    assert digest(cache, context) == first
    assert cache.asked == 1


def same_size_and_time(root):
    before = os.stat(root / "file")
    (root / "file").write_text("two")
    os.utime(root / "file", ns=(before.st_atime_ns, before.st_mtime_ns))


def another_target(root):
    (root / "link").unlink()
    (root / "link").symlink_to("d")


def swapped(root):
    os.rename(root / "file", root / "other")
    os.rename(root / "d" / "inner", root / "file")
    os.rename(root / "other", root / "d" / "inner")


@pytest.mark.parametrize(
    "change",
    [
        same_size_and_time,
        another_target,
        swapped,
        lambda root: (root / "file").chmod(0o600),
        lambda root: (root / "d").chmod(0o700),
        lambda root: (root / "new").touch(),
        lambda root: (root / "empty").mkdir(),
        lambda root: (root / "d" / "inner").unlink(),
        lambda root: (root / "file").rename(root / "renamed"),
    ],
)
def test_every_change_of_a_context_is_noticed_and_so_is_its_return(context, change):
    cache = Known()
    first = digest(cache, context)
    change(context)
    settle(context)
    second = digest(cache, context)
    assert second != first
    assert digest(cache, context) == second
    assert digest(Known(), context) == second


def test_a_file_that_is_only_touched_gives_the_same(context):
    cache = Known()
    first = digest(cache, context)
    os.utime(context / "file", (1, 1))
    settle(context)
    assert digest(cache, context) == first


def test_what_the_ignore_file_leaves_out_decides(context):
    cache = Known()
    assert len({digest(cache, context), digest(cache, context, "d"), digest(cache, context, "d/inner")}) == 3


def test_what_changed_a_moment_ago_is_read_again(context):
    cache = Known()
    (context / "file").write_text("two")
    digest(cache, context)
    assert cache.trees == {}
    (context / "file").write_text("six")  # maybe within the same tick of the file system's clock
    assert digest(cache, context) == digest(Known(), context)
