"""Dumps of a PostgreSQL that runs in a container, and what they hold brought back, with its own programs."""

from __future__ import annotations

import os
import re
from urllib.parse import quote

from wherry.base.errors import StepFailed
from wherry.engine.request import ExecRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.engine import Engine

__all__ = ["Postgres", "as_of_the_dump", "without_roles"]

_LIST = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1"
_ROLES = "SELECT quote_ident(rolname) FROM pg_roles"
_ROLE = re.compile(rb'^(?:CREATE|ALTER|COMMENT ON) ROLE ("(?:[^"]|"")*"|[^ ;]+)')
_PROPERTIES = b"; Type: DATABASE PROPERTIES;"
_BLOCK = b"\n--\n-- Name: "
_ONE_LINE = 300


class Postgres:
    """The server in the container `container`; its superuser is what the image was told by POSTGRES_USER."""

    def __init__(self, engine: Engine, service: str, container: str) -> None:
        self._engine, self._service, self._container = engine, service, container
        self._variables = dict(entry.partition("=")[::2] for entry in engine.containers.environment(container))
        self._user = self._told("POSTGRES_USER") or "postgres"
        self._password = self._told("POSTGRES_PASSWORD")

    @staticmethod
    def is_in(engine: Engine, container: str) -> bool:
        """Whether a container is a PostgreSQL, by what its image says."""
        entries: list[str] = engine.containers.inspect(container)["Config"]["Env"] or []
        return any(entry.startswith("PGDATA=") for entry in entries)

    def dump(self, where: str) -> dict[str, Any]:
        """Write a dump of each database, and one of the roles, into a directory. Raises StepFailed."""
        databases = self._query(_LIST)
        for database in databases:
            self._ask("pg_dump", "-Fc", "-d", _connection(database), into=_dump_of(where, database))
        self._ask("pg_dumpall", "--globals-only", into=f"{where}/globals.sql")
        return {"kind": "postgres", "user": self._user, "databases": databases}

    def restore(self, where: str, databases: list[str]) -> None:
        """Make roles and databases that are missing, and have each database hold what its dump holds.

        Roles that are there stay as they are, with their passwords. Each database is filled in one transaction.
        Raises StepFailed.
        """
        with open(f"{where}/globals.sql", "rb") as file:
            self._run(without_roles(file.read(), {one.encode() for one in self._query(_ROLES)}), stops=False)
        there = self._query(_LIST)
        for database in databases:
            dump = _dump_of(where, database)
            if database not in there:
                self._run(as_of_the_dump(self._ask("pg_restore", "-C", "-s", "-f", "-", source=dump)))
            options = ("--clean", "--if-exists", "--single-transaction", "-d", _connection(database))
            self._ask("pg_restore", *options, source=dump)

    # --- pieces

    def _told(self, name: str) -> str:
        """A variable of the image, or what is in the file that its namesake with _FILE names, as root reads it."""
        path = self._variables.get(f"{name}_FILE", "")
        if self._variables.get(name) or not path:
            return self._variables.get(name, "")
        return self._execute(ExecRequest(("cat", path), user="0", stdin_open=True)).decode().rstrip("\n")

    def _query(self, query: str) -> list[str]:
        """The first column."""
        said = self._ask("psql", "-d", "postgres", "-AtX0c", query).decode()
        return said.removesuffix("\0").split("\0") if said else []

    def _run(self, script: bytes, *, stops: bool = True) -> None:
        """Run statements; unless it `stops`, those that fail are passed over."""
        import tempfile

        with tempfile.NamedTemporaryFile() as file:
            file.write(script)
            file.flush()
            self._ask("psql", "-d", "postgres", "-qX", "-v", f"ON_ERROR_STOP={int(stops)}", source=file.name)

    def _ask(self, program: str, *arguments: str, into: str = "", source: str = "") -> bytes:
        """Run one of its programs, as its superuser, without a question for a password; see `_execute`."""
        login = () if program == "pg_restore" and "-f" in arguments else ("-w", "-U", self._user)
        password = (f"PGPASSWORD={self._password}",) if self._password else ()
        request = ExecRequest((program, *login, *arguments), environment=password, user="postgres", stdin_open=True)
        return self._execute(request, into=into, source=source)

    def _execute(self, request: ExecRequest, *, into: str = "", source: str = "") -> bytes:
        """Run a program in the container, with files as its input and output; without `into`, what it wrote."""
        import tempfile

        with (
            open(source or os.devnull, "rb") as reading,
            open(into, "wb") if into else tempfile.TemporaryFile() as writing,
            tempfile.TemporaryFile() as words,
        ):
            streams = (reading.fileno(), writing.fileno(), words.fileno())
            code = self._engine.containers.execute(self._container, request, streams)
            if code:
                words.seek(0)
                said = words.read().decode(errors="replace").strip()[-_ONE_LINE:]
                message = f"{self._service}: {request.command[0]} exited with code {code}: {said}"
                raise StepFailed(message, exit_code=code)
            if into:
                os.fsync(writing.fileno())
                return b""
            writing.seek(0)
            return writing.read()


def without_roles(globals_: bytes, names: set[bytes]) -> bytes:
    """The output of `pg_dumpall --globals-only` without what makes or changes the roles `names` (as quote_ident)."""
    lines = globals_.splitlines(keepends=True)
    return b"".join(line for line in lines if not (found := _ROLE.match(line)) or found[1] not in names)


def as_of_the_dump(script: bytes) -> bytes:
    """Of the output of `pg_restore --create --schema-only`, what makes the database itself, with its settings."""
    head, *blocks = script.partition(b"\n\\connect ")[0], *script.split(_BLOCK)[1:]
    settings = [block for block in blocks if _PROPERTIES in block.partition(b"\n")[0]]
    return b"\n".join([head, *(block.partition(b"\n")[2].partition(b"\n\\")[0] for block in settings), b""])


def _dump_of(where: str, database: str) -> str:
    """A name may have a slash in it."""
    return f"{where}/{quote(database, safe=' ')}.dump"


def _connection(database: str) -> str:
    """As a connection string: a plain name could be one by itself."""
    escaped = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"
