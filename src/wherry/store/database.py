"""The SQLite database: one file for the facts of one installation, safe for many processes at once."""

from __future__ import annotations

# `sqlite3` and `threading.local` without what their packages load besides, which no command needs.
import _sqlite3 as sqlite3
import os
import stat
from _thread import _local, allocate_lock
from _weakref import ref

from wherry.base.errors import Conflict, Corrupt, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ["Database", "Duplicate"]

Duplicate = sqlite3.IntegrityError  # raised by a write that would give two rows one key

_BUSY_MILLISECONDS = 60_000
_CHECKPOINT_MILLISECONDS = 1_000
_JOURNAL_BYTES = 4 << 20  # about the 1000 pages after which SQLite would copy the journal of itself


_inherited: list[sqlite3.Connection] = []


class _Own:
    """A thread's connection; it is closed when the thread ends, because nothing else holds this.

    A child that was forked has its parent's connections, and its other threads end with the fork: it must not touch
    them (a lock of SQLite's may be held for ever there, and closing would take the parent's journal away).
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._process = os.getpid()
        self._longest = _JOURNAL_BYTES

    def shorten_journal(self, path: str) -> None:
        """Copy a journal that has grown long into the database and empty it, alone among writers.

        SQLite would do so after any commit while others write, which before 3.51.3 can leave pages out and so damage
        the database (https://sqlite.org/wal.html, "The WAL-Reset Bug"). TRUNCATE holds the writers' lock.
        Where somebody reads too long, or the disk is full, the journal stays and may grow to twice its length.
        """
        try:
            size = os.stat(path).st_size
        except OSError:
            return
        if size < self._longest:
            return
        try:
            self.connection.execute(f"PRAGMA busy_timeout={_CHECKPOINT_MILLISECONDS}")
            busy = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.OperationalError:
            busy = True
        finally:
            self.connection.execute(f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}")
        self._longest = 2 * size if busy else _JOURNAL_BYTES

    def __del__(self) -> None:
        if os.getpid() == self._process:
            self.connection.close()  # of itself it would wait for the garbage collection: it is part of a cycle
        else:
            _inherited.append(self.connection)


class _Read:
    """A context that lends the connection without a transaction."""

    def __init__(self, own: _Own) -> None:
        self._own = own

    def __enter__(self) -> sqlite3.Connection:
        return self._own.connection

    def __exit__(self, *_: object) -> None:
        pass


class _Write:
    """A context that is one transaction: all of it happens, or nothing. Nested uses join the outermost.

    Raises Unavailable where the file cannot be written, and Corrupt where it is damaged; the next transaction begins
    anew then.
    """

    def __init__(self, own: _Own, path: str) -> None:
        self._own = own  # so that it is not closed meanwhile
        self._connection = own.connection
        self._path = path
        self._outermost = False

    def __enter__(self) -> sqlite3.Connection:
        self._outermost = not self._connection.in_transaction
        if self._outermost:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                raise _unusable(self._path, error) from None
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, *_: object) -> None:
        if not self._outermost:
            return
        try:
            if kind is None:
                self._connection.execute("COMMIT")
        except sqlite3.OperationalError as failed:
            raise _unusable(self._path, failed) from None
        finally:
            if self._connection.in_transaction:  # SQLite may have undone it already
                self._connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError:
            raise _unusable(self._path, error) from None
        if kind is None:
            self._own.shorten_journal(f"{self._path}-wal")


def _keep_private(path: str) -> None:
    """Nobody but its owner reads the database, for it holds what containers are given; SQLite makes its journal alike.

    No descriptor of the file is opened: closing one would take the locks away that this process's connections hold.
    """
    try:
        os.mknod(path, stat.S_IFREG | 0o600)
    except FileExistsError:
        found = os.stat(path)
        if found.st_mode & 0o077 and found.st_uid == os.geteuid():
            for name in (f"{path}-wal", f"{path}-shm", path):
                _make_private(name)
    except OSError:
        pass  # SQLite says it better


def _make_private(path: str) -> None:
    try:
        os.chmod(path, 0o600)
    except FileNotFoundError:
        pass


class Database:
    """Opened when first used, by each thread for itself: a connection's transaction belongs to one thread alone.

    Upper floors register their own tables with `migrate`. With `durable`, a transaction that has ended survives a power
    cut. Its files are for their owner alone.
    """

    def __init__(self, path: str, *, durable: bool = False) -> None:
        self._path = path
        self._durable = durable
        self._own = _local()
        self._opened: list[ref[_Own]] = []
        self._opening = allocate_lock()
        self._versions: dict[str, int] = {}

    @property
    def _connection(self) -> sqlite3.Connection:
        return self._opened_own().connection

    def _opened_own(self) -> _Own:
        own: _Own | None = getattr(self._own, "own", None)
        if own is None:
            own = self._own.own = _Own(self._open())
            with self._opening:
                self._opened = [*(one for one in self._opened if one() is not None), ref(own)]
        return own

    def _open(self) -> sqlite3.Connection:
        os.makedirs(os.path.dirname(self._path), mode=0o711, exist_ok=True)
        _keep_private(self._path)
        try:
            connection = sqlite3.connect(
                self._path, timeout=_BUSY_MILLISECONDS / 1000, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA wal_autocheckpoint=0")  # see `shorten_journal`
            connection.execute(f"PRAGMA synchronous={'FULL' if self._durable else 'NORMAL'}")
            connection.execute("PRAGMA foreign_keys=ON")
            self._versions = self._read_versions(connection)
        except sqlite3.DatabaseError as error:
            raise _unusable(self._path, error) from None
        return connection

    @staticmethod
    def _read_versions(connection: sqlite3.Connection) -> dict[str, int]:
        try:
            return dict(connection.execute("SELECT component, version FROM schema_versions").fetchall())
        except sqlite3.OperationalError:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS schema_versions"
                " (component TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT"
            )
            return {}

    def migrate(self, component: str, migrations: Sequence[str]) -> None:
        """Bring the tables of `component` up to the last of `migrations`, each a script that is run once, in order.

        Raises Conflict where a newer Wherry has been here.
        """
        connection = self._connection
        if self._versions.get(component, 0) == len(migrations):
            return
        with self.write():
            self._versions = self._read_versions(connection)
            done = self._versions.get(component, 0)
            if done > len(migrations):
                raise Conflict(
                    f"{self._path} was written by a newer version of Wherry", hint="use that version, or another root"
                )
            for script in migrations[done:]:
                for statement in _statements(script):
                    connection.execute(statement)
            connection.execute("INSERT OR REPLACE INTO schema_versions VALUES (?, ?)", (component, len(migrations)))
            self._versions[component] = len(migrations)

    def read(self) -> _Read:
        """`with database.read() as connection:` each statement sees one consistent state."""
        return _Read(self._opened_own())

    def write(self) -> _Write:
        """`with database.write() as connection:` one transaction, alone among writers."""
        return _Write(self._opened_own(), self._path)

    def watch(self) -> int:
        """A descriptor that becomes readable when anybody has written anything; the caller closes it.

        The journal, which is watched, grows a moment before the change can be seen: `settle` before looking.
        """
        from wherry.base.watching import watch_file

        self._connection.execute("SELECT count(*) FROM schema_versions").fetchone()  # opens the journal
        return watch_file(f"{self._path}-wal")

    def settle(self) -> None:
        """Wait for whoever is writing now, so that what was written before can be seen."""
        with self.write():
            pass

    def wait_until(self, condition: Callable[[], T | None], timeout: float | None = None) -> T | None:
        """What `condition` gives as soon as that is not None, asked whenever anybody has written to the database.

        None after `timeout` seconds.
        """
        import select
        import time

        deadline = None if timeout is None else time.monotonic() + timeout
        watched = self.watch()
        try:
            poll = select.poll()
            poll.register(watched, select.POLLIN)
            while True:
                self.settle()
                met = condition()
                left = None if deadline is None else deadline - time.monotonic()
                if met is not None or (left is not None and left <= 0):
                    return met
                if poll.poll(None if left is None else left * 1000):
                    os.read(watched, 65536)
        finally:
            os.close(watched)

    def close(self) -> None:
        """Give the file back, for every thread: none may be using it. The next use opens it again."""
        self._own = _local()
        opened, self._opened = self._opened, []
        for one in opened:
            own = one()
            if own is not None:
                own.connection.close()


def _statements(script: str) -> Iterator[str]:
    pending = ""
    for part in script.split(";"):
        pending += part + ";"
        if sqlite3.complete_statement(pending) and pending.strip(" \n;"):
            yield pending
            pending = ""


def _unusable(path: str, error: sqlite3.DatabaseError) -> Corrupt | Unavailable:
    if "malformed" in str(error) or "not a database" in str(error):
        return Corrupt(f"the database {path} is damaged: {error}", hint="restore it from a backup, or move it away")
    hint = "make room on its file system" if "full" in str(error) else "check its owner, its mode and the free space"
    return Unavailable(f"cannot use the database {path}: {error}", hint=hint)
