"""Waiting for changes of the database: seen whoever makes them, and never missed."""

import threading

import pytest

from wherry.store import Database


@pytest.fixture
def database(tmp_path):
    opened = Database(str(tmp_path / "facts.db"))
    opened.migrate("numbers", ["CREATE TABLE numbers (value INTEGER) STRICT"])
    yield opened
    opened.close()


def greatest(database):
    with database.read() as connection:
        return connection.execute("SELECT max(value) FROM numbers").fetchone()[0]


def test_what_is_there_already_is_not_waited_for(database):
    assert database.wait_until(lambda: "met", 0) == "met"


def test_a_wait_without_a_change_ends_in_time(database):
    assert database.wait_until(lambda: greatest(database), 0.01) is None


def test_each_change_of_somebody_else_is_seen(database, tmp_path):
    seen = []

    def write():
        other = Database(str(tmp_path / "facts.db"))
        for value in range(200):
            with other.write() as connection:
                connection.execute("INSERT INTO numbers VALUES (?)", (value,))
        other.close()

    def look():
        seen.append(greatest(database))
        return True if seen[-1] == 199 else None

    writer = threading.Thread(target=write)
    writer.start()
    assert database.wait_until(look, 30) is True
    writer.join()
    assert [one for one in seen if one is not None] == sorted(one for one in seen if one is not None)
