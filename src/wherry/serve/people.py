"""Who may use the console: people with passwords and roles, their sessions, and the log of what they did.

Passwords are kept as argon2id hashes, sessions as the SHA-256 of their tokens. A session ends after twelve hours, after
two without a request, at log-out, and when its person is removed or gets another password or role.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

from wherry.base.errors import Conflict, InvalidInput, NotFound
from wherry.base.values import NamedTuple
from wherry.registry.accounts import hash_password, nobody_hash, verify_password

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.store.database import Database

__all__ = ["ROLES", "Entry", "People", "Person", "Session", "is_same", "may"]

ROLES = ("viewer", "operator", "admin")
"""Each may do what those before it may: look; roll back, abort, scale, restart; change settings, see who did what."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,62}")
_SHORTEST = 8
_HOUR = 3600 * 1_000_000_000
_LONGEST, _IDLE = 12 * _HOUR, 2 * _HOUR
_KEPT_ENTRIES = 20_000

_MIGRATIONS = (
    """
    CREATE TABLE people (
        name TEXT PRIMARY KEY,
        role TEXT NOT NULL,
        hash TEXT NOT NULL,
        created INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE sessions (
        token TEXT PRIMARY KEY,
        person TEXT NOT NULL REFERENCES people (name) ON DELETE CASCADE,
        csrf TEXT NOT NULL,
        created INTEGER NOT NULL,
        seen INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE console_audit (
        number INTEGER PRIMARY KEY,
        time INTEGER NOT NULL,
        person TEXT NOT NULL,
        client TEXT NOT NULL,
        action TEXT NOT NULL,
        subject TEXT NOT NULL,
        result TEXT NOT NULL
    ) STRICT;
    """,
)


class Person(NamedTuple):
    """Somebody who may log in; `created` is in nanoseconds since 1970."""

    name: str
    role: str
    created: int


class Session(NamedTuple):
    """A log-in. `csrf` has to come back with every form."""

    person: Person
    csrf: str


class Entry(NamedTuple):
    """One line of the audit log: `person` did `action` to `subject`; `result` is `done` or why not."""

    time: int
    person: str
    client: str
    action: str
    subject: str
    result: str


def may(person: Person, role: str) -> bool:
    """Whether the person's role includes `role`."""
    return ROLES.index(person.role) >= ROLES.index(role)


class People:
    """Changes hold at once, for every process. `clock` gives nanoseconds since 1970."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        database.migrate("console", _MIGRATIONS)
        self._database = database
        self._clock = clock

    # --- people

    def add(self, name: str, password: str, role: str) -> None:
        """Raises Conflict where the name is taken, InvalidInput for a bad name, password or role."""
        hashed = _hash(password)
        with self._database.write() as connection:
            self.check(name, role)
            row = (name, role, hashed, self._clock())
            connection.execute("INSERT INTO people VALUES (?, ?, ?, ?)", row)

    def check(self, name: str, role: str) -> None:
        """Raises Conflict where the name is taken, InvalidInput for a bad name or role."""
        if not _NAME.fullmatch(name):
            raise InvalidInput(f"{name!r} is no name for a user", hint="use small letters, digits and . _ @ + -")
        _checked_role(role)
        if any(one.name == name for one in self.all()):
            raise Conflict(f"the user {name} is there already", hint="`wherry serve user passwd` changes a password")

    def change(self, name: str, *, password: str | None = None, role: str | None = None) -> None:
        """Another password or role; the person's sessions end. Raises NotFound and InvalidInput."""
        self.get(name)
        hashed = None if password is None else _hash(password)
        with self._database.write() as connection:
            if hashed is not None:
                connection.execute("UPDATE people SET hash = ? WHERE name = ?", (hashed, name))
            if role is not None:
                connection.execute("UPDATE people SET role = ? WHERE name = ?", (_checked_role(role), name))
            connection.execute("DELETE FROM sessions WHERE person = ?", (name,))

    def remove(self, name: str) -> None:
        """Remove the person with all sessions. Raises NotFound."""
        self.get(name)
        with self._database.write() as connection:
            connection.execute("DELETE FROM sessions WHERE person = ?", (name,))
            connection.execute("DELETE FROM people WHERE name = ?", (name,))

    def get(self, name: str) -> Person:
        """Raises NotFound."""
        for one in self.all():
            if one.name == name:
                return one
        raise NotFound(f"there is no user {name}", hint="`wherry serve user ls` lists them")

    def all(self) -> list[Person]:
        """Everybody, by name."""
        with self._database.read() as connection:
            return [Person(*row) for row in connection.execute("SELECT name, role, created FROM people ORDER BY name")]

    # --- sessions

    def is_right(self, name: str, password: str) -> bool:
        """Whether there is somebody with that name and password; it takes as long where there is nobody."""
        with self._database.read() as connection:
            row = connection.execute("SELECT hash FROM people WHERE name = ?", (name,)).fetchone()
        is_right, _ = verify_password(row[0] if row else nobody_hash(), password)
        return row is not None and is_right

    def log_in(self, name: str, password: str) -> str:
        """The token of a new session, empty where name or password is wrong: both take as long."""
        if not self.is_right(name, password):
            return ""
        token, now = secrets.token_urlsafe(32), self._clock()
        with self._database.write() as connection:
            connection.execute("DELETE FROM sessions WHERE created < ? OR seen < ?", (now - _LONGEST, now - _IDLE))
            session = (_digest(token), name, secrets.token_urlsafe(32), now, now)
            connection.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?)", session)
        return token

    def session(self, token: str, *, is_used: bool = True) -> Session | None:
        """The session of a token, None where it has ended or never was. Not `is_used`: nobody did anything with it."""
        query = (
            "SELECT p.name, p.role, p.created, s.csrf, s.created, s.seen FROM sessions s JOIN people p"
            " ON p.name = s.person WHERE s.token = ?"
        )
        with self._database.read() as connection:
            row = connection.execute(query, (_digest(token),)).fetchone()
        now = self._clock()
        if row is None or now - row[4] > _LONGEST or now - row[5] > _IDLE:
            return None
        if is_used and now - row[5] > _IDLE // 60:
            with self._database.write() as connection:
                connection.execute("UPDATE sessions SET seen = ? WHERE token = ?", (now, _digest(token)))
        return Session(Person(row[0], row[1], row[2]), row[3])

    def log_out(self, token: str) -> None:
        """End a session; harmless where there is none."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM sessions WHERE token = ?", (_digest(token),))

    # --- what they did

    def note(self, person: str, client: str, action: str, subject: str = "", result: str = "done") -> None:
        """Write down what somebody did, or tried to."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO console_audit (time, person, client, action, subject, result) VALUES (?, ?, ?, ?, ?, ?)",
                (self._clock(), person, client, action, subject, result),
            )
            connection.execute(
                "DELETE FROM console_audit WHERE number <= (SELECT max(number) FROM console_audit) - ?",
                (_KEPT_ENTRIES,),
            )

    def entries(self, limit: int = 200) -> list[Entry]:
        """The last entries, the newest first."""
        query = "SELECT time, person, client, action, subject, result FROM console_audit ORDER BY number DESC LIMIT ?"
        with self._database.read() as connection:
            return [Entry(*row) for row in connection.execute(query, (limit,))]


def is_same(one: str, other: str) -> bool:
    """Whether two secrets are the same, in a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


def _checked_role(role: str) -> str:
    if role not in ROLES:
        raise InvalidInput(f"{role!r} is no role", hint=f"roles are {', '.join(ROLES)}")
    return role


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _hash(password: str) -> str:
    if len(password) < _SHORTEST:
        raise InvalidInput(f"the password has fewer than {_SHORTEST} characters")
    return hash_password(password)
