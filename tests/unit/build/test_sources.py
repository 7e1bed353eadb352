import os

import pytest

from wherry.base.errors import InvalidInput
from wherry.base.files import remove_tree
from wherry.build.sources import Source


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
