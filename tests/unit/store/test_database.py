"""A database whose disk is full: the command fails in words, and what comes later is written as ever."""

import os
import subprocess
import sys
import threading

import pytest

from wherry.base.errors import Corrupt, Unavailable
from wherry.store.database import Database

TABLE = "CREATE TABLE facts (value TEXT NOT NULL) STRICT;"

# A limit on the size of files fails a write as a full disk does, in this process alone.
FULL = """
import resource, signal, sys
from wherry.base.errors import Unavailable
from wherry.store.database import Database

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
database = Database(sys.argv[1])
database.migrate("facts", (sys.argv[2],))

def add(value):
    with database.write() as connection:
        connection.execute("INSERT INTO facts VALUES (?)", (value,))

add("first")
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), hard))
for size in (200_000, 1):
    try:
        add("x" * size)
    except Unavailable as error:
        print(error.message)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
add("last")
"""


@pytest.mark.parametrize("room", [4096, 60_000])
def test_after_a_full_disk_the_next_transaction_is_written(tmp_path, room):
    path = f"{tmp_path}/state.db"
    argv = [sys.executable, "-c", FULL, path, TABLE, str(room)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "cannot use the database" in done.stdout
    with Database(path).read() as connection:
        values = [row[0] for row in connection.execute("SELECT value FROM facts")]
    assert (values[0], values[-1]) == ("first", "last")
    assert "x" * 200_000 not in values


def test_an_error_in_a_transaction_undoes_it(tmp_path):
    database = Database(f"{tmp_path}/state.db")
    database.migrate("facts", (TABLE,))

    def fail():
        with database.write() as connection:
            connection.execute("INSERT INTO facts VALUES ('a')")
            connection.execute("INSERT INTO absent VALUES ('a')")

    with pytest.raises(Unavailable, match="no such table"):
        fail()
    with database.write() as connection:
        connection.execute("INSERT INTO facts VALUES ('b')")
    with Database(f"{tmp_path}/state.db").read() as connection:
        assert connection.execute("SELECT value FROM facts").fetchall() == [("b",)]


def test_a_thread_that_ends_leaves_nothing_open(tmp_path):
    """A process that lives long begins many threads, each with a connection of its own."""
    database = Database(str(tmp_path / "db"))
    database.migrate("test", ("CREATE TABLE things (name TEXT)",))

    def write():
        with database.write() as connection:
            connection.execute("INSERT INTO things VALUES ('x')")

    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert len(os.listdir("/proc/self/fd")) <= before + 1  # SQLite keeps one for the next that is opened
    with database.read() as connection:
        assert connection.execute("SELECT count(*) FROM things").fetchone() == (10,)
    database.close()
    assert not [one for one in map(_target, os.listdir("/proc/self/fd")) if str(tmp_path) in one]


def _target(descriptor):
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except FileNotFoundError:
        return ""


def test_a_forked_child_leaves_the_connections_of_other_threads_alone(tmp_path):
    """Their threads end with the fork, but what SQLite holds of them is the parent's."""
    database = Database(str(tmp_path / "db"))
    connections, end, opened = [], threading.Event(), threading.Event()

    def work():
        with database.read() as connection:
            connections.append(connection)
        opened.set()
        end.wait()

    thread = threading.Thread(target=work)
    thread.start()
    opened.wait()
    child = os.fork()
    if not child:
        try:
            connections[0].execute("SELECT 1")
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    connections[0].execute("SELECT 1")
    end.set()
    thread.join()


def modes(directory):
    return {name: os.stat(directory / name).st_mode & 0o777 for name in os.listdir(directory)}


def test_nobody_but_its_owner_reads_it(tmp_path):
    path = tmp_path / "state.db"
    database = Database(str(path))
    database.migrate("facts", (TABLE,))
    assert set(modes(tmp_path).values()) == {0o600}
    assert "state.db-wal" in modes(tmp_path)
    for name in os.listdir(tmp_path):
        os.chmod(tmp_path / name, 0o644)
    with Database(str(path)).read() as connection:
        assert list(connection.execute("SELECT value FROM facts")) == []
    assert set(modes(tmp_path).values()) == {0o600}


GROWING = """
import sys
from wherry.store.database import Database

database = Database(sys.argv[1])
for number in range(150):
    with database.write() as connection:
        connection.execute("INSERT INTO facts VALUES (?)", (str(number) * 20_000,))
"""


def test_the_journal_is_emptied_when_it_is_long_whoever_writes(tmp_path):
    path = f"{tmp_path}/state.db"
    database = Database(path)
    database.migrate("facts", (TABLE,))
    assert database.read().__enter__().execute("PRAGMA wal_autocheckpoint").fetchone() == (0,)
    argv = [sys.executable, "-c", GROWING, path]
    writers = [subprocess.Popen(argv) for _ in range(3)]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    # Some 24 MiB were written. A writer that found others busy lets the journal grow to twice its length.
    assert os.stat(f"{path}-wal").st_size < 16 << 20
    assert os.stat(path).st_size > 6 << 20
    with database.read() as connection:
        assert connection.execute("SELECT count(*) FROM facts").fetchone() == (450,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_reader_that_stays_does_not_hold_writers_up_for_long(tmp_path):
    path = f"{tmp_path}/state.db"
    database, reader = Database(path), Database(path)
    database.migrate("facts", (TABLE,))

    def add(size):
        with database.write() as connection:
            connection.execute("INSERT INTO facts VALUES (?)", ("x" * size,))

    add(1)
    add(1)
    with reader.read() as reading:
        rows = reading.execute("SELECT value FROM facts")
        assert next(rows) == ("x",)
        add(5 << 20)
        add(1)
        assert os.stat(f"{path}-wal").st_size > 5 << 20
        assert list(rows) == [("x",)]
    add(6 << 20)
    assert os.stat(f"{path}-wal").st_size == 0


def test_a_damaged_database_is_told_as_one(tmp_path):
    path = tmp_path / "state.db"
    database = Database(str(path))
    database.migrate("facts", ("CREATE TABLE facts (value TEXT UNIQUE) STRICT;",))
    with database.write() as connection:
        connection.executemany("INSERT INTO facts VALUES (?)", [(f"{number:04}" * 20,) for number in range(500)])
    database.close()
    with open(path, "r+b") as file:
        for page in range(3, os.stat(path).st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xff" * 64)

    def add():
        with database.write() as connection:
            connection.execute("INSERT INTO facts VALUES ('0250')")

    with pytest.raises(Corrupt, match="is damaged: database disk image is malformed"):
        add()
