"""`build` of what has not changed: nothing is written, and whatever is missing is made again."""

import os
import sqlite3

import pytest

DOCKERFILE = """FROM tiny AS first
WORKDIR /made
COPY one .
RUN echo 1 > /made/by-run
FROM tiny
COPY --from=first /made /copied
"""
TAG = "unchanged:1"


@pytest.fixture
def directory(wherry, context):
    made = context(DOCKERFILE, one="first")
    os.utime(f"{made}/one", (1, 1))
    wherry("build", "-t", TAG, made)
    settle(wherry, made)
    yield made
    wherry("rmi", TAG, check=False)


def settle(wherry, directory):
    """Build until the digests of the files are remembered: those that only just changed are not."""
    for _ in range(50):
        connection, version = watch(wherry)
        with connection:
            wherry("build", "-t", TAG, directory)
            done = version == connection.execute("PRAGMA data_version").fetchone()
        connection.close()
        if done:
            return
    raise AssertionError("an unchanged build writes each time")


def watch(wherry):
    """A connection, and what it says of the database until another one writes."""
    connection = sqlite3.connect(f"{wherry.environment['WHERRY_ROOT']}/wherry.db")
    return connection, connection.execute("PRAGMA data_version").fetchone()


def identifier(wherry):
    return wherry("image", "inspect", "--format", "{{.Id}}", TAG).out


def test_nothing_is_written_and_the_same_is_told(wherry, directory):
    before = identifier(wherry)
    connection, version = watch(wherry)
    told = wherry("build", "--progress", "plain", "-t", TAG, directory).err
    assert connection.execute("PRAGMA data_version").fetchone() == version
    connection.close()
    assert told.count("CACHED") == 4
    assert "exporting to image" in told
    assert identifier(wherry) == before


def test_a_removed_name_is_given_again(wherry, directory):
    wherry("tag", TAG, "unchanged:kept")
    wherry("rmi", TAG)
    wherry("build", "-t", TAG, directory)
    assert identifier(wherry) == wherry("image", "inspect", "--format", "{{.Id}}", "unchanged:kept").out
    wherry("rmi", "unchanged:kept")


def test_a_name_that_another_image_took_comes_back(wherry, directory):
    before = identifier(wherry)
    wherry("tag", "tiny", TAG)
    wherry("build", "-t", TAG, directory)
    assert identifier(wherry) == before


def test_a_removed_image_is_made_again(wherry, directory):
    before = identifier(wherry)
    wherry("rmi", TAG)
    wherry("image", "prune", "-f")
    wherry("build", "-t", TAG, directory)
    assert identifier(wherry) == before


def test_a_pruned_cache_is_no_error(wherry, directory):
    wherry("rmi", TAG)
    wherry("builder", "prune", "-f")
    assert wherry("build", "--progress", "plain", "-t", TAG, directory).err.count("CACHED") == 0
    assert wherry("run", "--rm", TAG, "cat", "/copied/one", "/copied/by-run").out == "first1\n"


def test_a_changed_file_is_seen(wherry, directory):
    with open(f"{directory}/one", "w") as file:
        file.write("other")
    wherry("build", "-t", TAG, directory)
    assert wherry("run", "--rm", TAG, "cat", "/copied/one").out == "other"


def test_a_file_of_the_same_size_and_time_is_seen(wherry, directory):
    with open(f"{directory}/one", "w") as file:
        file.write("FIRST")
    os.utime(f"{directory}/one", (1, 1))
    wherry("build", "-t", TAG, directory)
    assert wherry("run", "--rm", TAG, "cat", "/copied/one").out == "FIRST"


def test_no_cache_and_a_wrong_dockerfile_are_not_taken_for_unchanged(wherry, directory):
    assert "CACHED" not in wherry("build", "--no-cache", "--progress", "plain", "-t", TAG, directory).err
    with open(f"{directory}/Dockerfile", "a") as file:
        file.write("COPY --from=first /nothing /x\n")
    done = wherry("build", "-t", TAG, directory, check=False)
    assert done.returncode == 1
    assert '"/nothing": not found' in done.err
