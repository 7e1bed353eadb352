"""Docker's rules for the names of `cp`, as values."""

import pytest

from wherry.base.errors import Conflict, NotFound
from wherry.engine.copyrules import Target, absolute, names_directory, placed, split_entry


@pytest.mark.parametrize(
    ("path", "whole"),
    [
        ("/a/b", "/a/b"), ("a/b", "/a/b"), ("a/", "/a/"), ("/a/.", "/a/."), (".", "/."), ("/", "/"), ("//a", "/a"),
        ("/a/../../b/./c/", "/b/c/"), ("../../x", "/x"), ("/.", "/."), ("", "/"),
    ],
)  # fmt: skip
def test_paths_become_absolute_and_keep_their_end(path, whole):
    assert absolute(path) == whole


def test_paths_of_this_machine_begin_where_it_stands():
    assert (absolute("x", "/here"), absolute("./", "/here"), absolute("/y", "/here")) == ("/here/x", "/here/", "/y")


@pytest.mark.parametrize(
    ("path", "parts"),
    [("/a/b", ("/a", "b")), ("/a/b/", ("/a", "b")), ("/a/b/.", ("/a/b", ".")), ("/a", ("/", "a")), ("/", ("/", ""))],
)
def test_an_entry_is_in_a_directory(path, parts):
    assert split_entry(path) == parts
    assert names_directory(path) is (path[-1] in "/.")


FILE, DIRECTORY = False, True


@pytest.mark.parametrize(
    ("name", "target", "is_directory", "where"),
    [
        ("f", Target("/d", exists=True, is_directory=True), FILE, ("/d", "f")),
        ("t", Target("/d", exists=True, is_directory=True), DIRECTORY, ("/d", "t")),
        (".", Target("/d", exists=True, is_directory=True), DIRECTORY, ("/d", ".")),
        ("f", Target("/d/g", exists=True), FILE, ("/d", "g")),
        ("f", Target("/d/new"), FILE, ("/d", "new")),
        ("t", Target("/d/new"), DIRECTORY, ("/d", "new")),
        ("t", Target("/d/new/"), DIRECTORY, ("/d", "new")),
        (".", Target("/d/new"), DIRECTORY, ("/d", "new")),
        ("t", Target("/d/new/."), DIRECTORY, ("/d/new", ".")),
    ],
)
def test_what_goes_where(name, target, is_directory, where):
    assert placed(name, target, is_directory=is_directory) == where


def test_what_cannot_be():
    with pytest.raises(Conflict, match="cannot copy directory"):
        placed("t", Target("/f", exists=True), is_directory=True)
    with pytest.raises(NotFound, match="no such directory"):
        placed("f", Target("/d/new/"), is_directory=False)
