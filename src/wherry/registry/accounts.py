"""Who may come in: users with passwords, robots with tokens, access keys with IAM policies, and what each may do.

Passwords are kept as argon2id hashes (those of an imported htpasswd file as its bcrypt hashes until the next log-in),
robot tokens as their SHA-256, because they are long and random. The secret of an access key is kept as it is, because
a signature can only be verified with it (AWS Signature Version 4).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from functools import cache

from wherry.base.errors import Conflict, InvalidInput, NotFound
from wherry.base.values import NamedTuple
from wherry.registry.iam import parse_policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from argon2 import PasswordHasher

    from wherry.registry.catalog import Catalog
    from wherry.registry.iam import Statement

__all__ = [
    "ACTIONS",
    "ANONYMOUS",
    "EVERYONE",
    "AccessKey",
    "Accounts",
    "Grant",
    "Robot",
    "check_pattern",
    "hash_password",
    "nobody_hash",
    "parse_actions",
    "verify_password",
]

ANONYMOUS, EVERYONE = "anonymous", "*"
ACTIONS = ("pull", "push", "delete", "admin")
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,62}")

_MIGRATIONS = (
    """
    CREATE TABLE users (name TEXT PRIMARY KEY, hash TEXT NOT NULL, created INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE robots (
        name TEXT PRIMARY KEY,
        hash TEXT NOT NULL,
        created INTEGER NOT NULL,
        expires INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE access_keys (
        id TEXT PRIMARY KEY,
        secret TEXT NOT NULL,
        name TEXT NOT NULL,
        policy TEXT NOT NULL,
        created INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE grants (
        subject TEXT NOT NULL,
        pattern TEXT NOT NULL,
        actions TEXT NOT NULL,
        PRIMARY KEY (subject, pattern)
    ) STRICT, WITHOUT ROWID;
    """,
)


class Grant(NamedTuple):
    """`subject` (a user, a robot, `*` for all who log in, `anonymous`) may do `actions` where `pattern` fits."""

    subject: str
    pattern: str
    actions: tuple[str, ...]


class Robot(NamedTuple):
    """A token's name; times in nanoseconds since the epoch, `expires` 0 for never."""

    name: str
    created: int
    expires: int


class AccessKey(NamedTuple):
    """An access key as Amazon's clients use it, with the statements of its policy."""

    id: str
    secret: str
    name: str
    policy: str
    created: int

    @property
    def statements(self) -> tuple[Statement, ...]:
        """The policy, parsed."""
        return parse_policy(self.policy)


class Accounts:
    """Changes are durable when the call returns, and hold from the server's next question on."""

    def __init__(self, catalog: Catalog) -> None:
        catalog.migrate("accounts", _MIGRATIONS)
        self._catalog = catalog

    def add_user(self, name: str, password: str, now: int) -> None:
        """Raises Conflict where the name is taken, InvalidInput for a bad name or an empty password."""
        row = (_checked(name), hash_password(password), now)
        self._insert(name, "INSERT INTO users VALUES (?, ?, ?)", row)

    def import_users(self, entries: Iterable[tuple[str, str]], now: int) -> int:
        """Take users with their hashes (bcrypt, as htpasswd -B writes them); those that exist get the new hash."""
        rows = []
        for name, value in entries:
            if not value.startswith(("$2a$", "$2b$", "$2y$", "$argon2")):
                raise InvalidInput(
                    f"the password of {name} is not hashed with bcrypt", hint="make the file with `htpasswd -B`"
                )
            rows.append((_checked(name), value, now))
        self._catalog.write(lambda db: db.executemany("INSERT OR REPLACE INTO users VALUES (?, ?, ?)", rows))
        return len(rows)

    def set_password(self, name: str, password: str) -> None:
        """Raises NotFound."""
        value = hash_password(password)
        self._must_change("user", name, "UPDATE users SET hash = ? WHERE name = ?", (value, name))

    def set_hash(self, name: str, value: str) -> None:
        """Put a better hash of the same password in place of the one that was there."""
        self._catalog.write(lambda db: db.execute("UPDATE users SET hash = ? WHERE name = ?", (value, name)))

    def remove_user(self, name: str) -> None:
        """With what was granted. Raises NotFound."""
        self._must_change("user", name, "DELETE FROM users WHERE name = ?", (name,))
        self._catalog.write(lambda db: db.execute("DELETE FROM grants WHERE subject = ?", (name,)))

    def users(self) -> list[tuple[str, int]]:
        """Names, and when they were made."""
        return self._catalog.reading.execute("SELECT name, created FROM users ORDER BY name").fetchall()

    def password_hash(self, name: str) -> str | None:
        """The hash, or None for nobody."""
        row = self._catalog.reading.execute("SELECT hash FROM users WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else None

    def fingerprint(self, name: str) -> str:
        """A text that changes with the user's password; empty for nobody."""
        value = self.password_hash(name)
        return _digest(value)[:32] if value else ""

    def create_robot(self, name: str, expires: int, now: int) -> str:
        """The token, which is shown once."""
        token = "wrt_" + base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")
        row = (_checked(name), _digest(token), now, expires)
        self._insert(name, "INSERT INTO robots VALUES (?, ?, ?, ?)", row)
        return token

    def robots(self) -> list[Robot]:
        """All tokens, without their secrets."""
        rows = self._catalog.reading.execute("SELECT name, created, expires FROM robots ORDER BY name")
        return [Robot(*row) for row in rows]

    def remove_robot(self, name: str) -> None:
        """With what was granted. Raises NotFound."""
        self._must_change("token", name, "DELETE FROM robots WHERE name = ?", (name,))
        self._catalog.write(lambda db: db.execute("DELETE FROM grants WHERE subject = ?", (name,)))

    def is_robot(self, name: str, token: str, now: int) -> bool:
        """Whether it is the robot's token and has not expired."""
        row = self._catalog.reading.execute("SELECT hash, expires FROM robots WHERE name = ?", (name,)).fetchone()
        if row is None or not hmac.compare_digest(row[0], _digest(token)):
            return False
        return not row[1] or now < row[1]

    def create_key(self, name: str, policy: str, now: int) -> AccessKey:
        """A new access key. Raises InvalidInput for a policy that is not understood."""
        parse_policy(policy)
        identifier = "AKIA" + base64.b32encode(os.urandom(10)).decode()
        key = AccessKey(identifier, base64.b64encode(os.urandom(30)).decode(), name, policy, now)
        self._catalog.write(lambda db: db.execute("INSERT INTO access_keys VALUES (?, ?, ?, ?, ?)", tuple(key)))
        return key

    def set_policy(self, identifier: str, policy: str) -> None:
        """Give an access key another policy. Raises NotFound or InvalidInput."""
        parse_policy(policy)
        sql = "UPDATE access_keys SET policy = ? WHERE id = ?"
        self._must_change("access key", identifier, sql, (policy, identifier))

    def exists(self, kind: str, name: str) -> bool:
        """Whether the account is there; `kind` as a caller's. What is anonymous always is."""
        tables = {"user": "users", "robot": "robots"}
        if kind == "key":
            return self.key(name) is not None
        if kind not in tables:
            return True
        sql = f"SELECT 1 FROM {tables[kind]} WHERE name = ?"  # noqa: S608 (one of ours)
        return self._catalog.reading.execute(sql, (name,)).fetchone() is not None

    def key(self, identifier: str) -> AccessKey | None:
        """The access key of that identifier."""
        row = self._catalog.reading.execute(
            "SELECT id, secret, name, policy, created FROM access_keys WHERE id = ?", (identifier,)
        ).fetchone()
        return AccessKey(*row) if row else None

    def keys(self) -> list[AccessKey]:
        """All access keys."""
        rows = self._catalog.reading.execute(
            "SELECT id, secret, name, policy, created FROM access_keys ORDER BY created"
        )
        return [AccessKey(*row) for row in rows]

    def remove_key(self, identifier: str) -> None:
        """Raises NotFound."""
        self._must_change("access key", identifier, "DELETE FROM access_keys WHERE id = ?", (identifier,))

    def grant(self, subject: str, pattern: str, actions: tuple[str, ...]) -> None:
        """Let `subject` do `actions` (all that it may do there) with repositories that `pattern` fits."""
        if subject not in (ANONYMOUS, EVERYONE):
            _checked(subject)
        if subject == ANONYMOUS and set(actions) - {"pull"}:
            raise InvalidInput("anonymous clients may only be allowed to pull")
        row = (subject, check_pattern(pattern), ",".join(actions))
        self._catalog.write(lambda db: db.execute("INSERT OR REPLACE INTO grants VALUES (?, ?, ?)", row))

    def revoke(self, subject: str, pattern: str) -> None:
        """Raises NotFound where nothing was granted."""
        sql = "DELETE FROM grants WHERE subject = ? AND pattern = ?"
        self._must_change("grant", f"{subject} on {pattern}", sql, (subject, pattern))

    def grants(self) -> list[Grant]:
        """All that is granted."""
        rows = self._catalog.reading.execute("SELECT subject, pattern, actions FROM grants ORDER BY subject, pattern")
        return [Grant(row[0], row[1], tuple(row[2].split(","))) for row in rows]

    def is_empty(self) -> bool:
        """Whether nobody could log in."""
        sql = "SELECT EXISTS (SELECT 1 FROM users) + EXISTS (SELECT 1 FROM robots) + EXISTS (SELECT 1 FROM access_keys)"
        return not self._catalog.reading.execute(sql).fetchone()[0]

    def _insert(self, name: str, sql: str, row: tuple[object, ...]) -> None:
        def change(db: sqlite3.Connection) -> None:
            taken = "SELECT 1 FROM users WHERE name = :n UNION SELECT 1 FROM robots WHERE name = :n"
            if db.execute(taken, {"n": name}).fetchone():
                raise Conflict(f"the name {name} is taken", hint="users and tokens share their names")
            db.execute(sql, row)

        self._catalog.write(change)

    def _must_change(self, what: str, name: str, sql: str, values: tuple[object, ...]) -> None:
        if not self._catalog.write(lambda db: db.execute(sql, values).rowcount):
            raise NotFound(f"no such {what}: {name}")


def parse_actions(text: str) -> tuple[str, ...]:
    """`pull,push` as a tuple; `admin` means all. Raises InvalidInput."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if not found or set(found) - set(ACTIONS):
        raise InvalidInput(f"not a list of actions: {text!r}", hint=f"there are: {', '.join(ACTIONS)}")
    return found


def check_pattern(pattern: str) -> str:
    """`pattern` itself. Raises InvalidInput for what could fit no repository."""
    if not re.fullmatch(r"[a-z0-9*][a-z0-9*._/-]{0,254}", pattern):
        raise InvalidInput(
            f"not a pattern for repositories: {pattern!r}", hint="`team/*` fits team/app, `team/**` all below, `**` all"
        )
    return pattern


def hash_password(password: str) -> str:
    """argon2id. Raises InvalidInput for an empty password."""
    if not password:
        raise InvalidInput("the password is empty")
    return _hasher().hash(password)


@cache
def nobody_hash() -> str:
    """The hash of a password that nobody knows."""
    return hash_password(os.urandom(16).hex())


def _hasher() -> PasswordHasher:
    """OWASP's parameters of 2024: 19 MiB, which a server with many clients can afford."""
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=3, memory_cost=19 * 1024, parallelism=1)


def verify_password(value: str, password: str) -> tuple[bool, bool]:
    """Whether it is the password, and whether its hash should be made again. Slow, on purpose."""
    if value.startswith("$2"):
        import bcrypt

        try:
            return bcrypt.checkpw(password.encode()[:72], value.replace("$2y$", "$2b$", 1).encode()), True
        except ValueError:
            return False, False
    from argon2.exceptions import InvalidHashError, VerificationError

    hasher = _hasher()
    try:
        return hasher.verify(value, password), hasher.check_needs_rehash(value)
    except (VerificationError, InvalidHashError):
        return False, False


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name) or name in (ANONYMOUS, "aws"):
        raise InvalidInput(f"not a name for a user: {name!r}", hint="use lower-case letters, digits and . _ @ + -")
    return name


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
