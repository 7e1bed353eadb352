"""The facts of deployments: applications, versions, environments, revisions and instances, one row each.

An instance's row is written before there is an instance, and goes after it has gone. Secrets are encrypted; their names
are not.
"""

from __future__ import annotations

import json

from wherry.base.clock import system_clock
from wherry.base.errors import Conflict, NotFound
from wherry.deploy.history import History
from wherry.deploy.journal import Journal
from wherry.deploy.model import Application, Environment, Event, Instance, Revision, Version, check_host_name
from wherry.deploy.schema import COMPONENT, MIGRATIONS
from wherry.deploy.secrets import Vault
from wherry.deploy.target import Secret
from wherry.store import Duplicate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from wherry.base.paths import Layout
    from wherry.store.database import Database

__all__ = ["Records", "open_records"]

_ENVIRONMENT = (
    "SELECT e.name, e.application, e.host, e.created, e.status, e.settings, e.revision, coalesce(r.version, ''),"
    " coalesce(r.variables, '{}'), coalesce(r.secret_names, '{}'), e.size, e.terminated FROM environments e"
    " LEFT JOIN revisions r ON r.environment = e.name AND r.number = e.revision"
)
_INSTANCE = (
    "SELECT i.environment, i.name, i.revision, coalesce(r.version, ''), i.created, i.weight, i.draining, i.entered"
    " FROM instances i LEFT JOIN revisions r ON r.environment = i.environment AND r.number = i.revision"
)
_COLUMNS = frozenset({"host", "status", "settings", "revision", "size", "terminated"})


def open_records(layout: Layout, clock: Callable[[], int] = system_clock) -> Records:
    """The records of an installation; made where they are missing."""
    from wherry.store.database import Database

    return Records(Database(layout.database), Vault(f"{layout.root}/deploy/secrets.key"), clock)


class Records:
    """Everything that is known of deployments. `history` and `journal` are of the same database."""

    def __init__(self, database: Database, vault: Vault, clock: Callable[[], int] = system_clock) -> None:
        database.migrate(COMPONENT, MIGRATIONS)
        self.database = database
        self.clock = clock
        self.history = History(database, clock)
        self.journal = Journal(database, clock)
        self._vault = vault

    def tell(
        self,
        environment: str,
        severity: str,
        words: str,
        *,
        version: str | None = None,
        deployment: int = 0,
        instance: str = "",
    ) -> Event:
        """Add an event of an environment; it is about the version that runs, where none is named. Raises NotFound."""
        found = self.environment(environment)
        about = found.version if version is None else version
        return self.history.tell(Event(0, environment, severity, words, found.application, about, deployment, instance))

    # --- applications and versions

    def ensure_application(self, name: str) -> Application:
        """The application, made where it is missing."""
        with self.database.write() as connection:
            connection.execute("INSERT OR IGNORE INTO applications VALUES (?, ?)", (name, self.clock()))
        return self.application(name)

    def application(self, name: str) -> Application:
        """Raises NotFound."""
        with self.database.read() as connection:
            row = connection.execute("SELECT name, created FROM applications WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise _missing("application", name, (one.name for one in self.applications()))
        return Application(*row)

    def applications(self) -> list[Application]:
        """All of them, by name."""
        with self.database.read() as connection:
            return [Application(*row) for row in connection.execute("SELECT * FROM applications ORDER BY name")]

    def remove_application(self, name: str) -> None:
        """With its versions, saved configurations and terminated environments. Raises Conflict where one still runs."""
        self.application(name)
        with self.database.write() as connection:
            living = [one.name for one in self.environments(name)]
            if living:
                raise Conflict(f"application {name} has environments: {', '.join(living)}", hint="terminate them first")
            connection.execute("DELETE FROM environments WHERE application = ?", (name,))
            connection.execute("DELETE FROM applications WHERE name = ?", (name,))

    def add_version(self, version: Version, secrets: Mapping[str, str] | None = None) -> None:
        """Keep a version, with the secrets of its own model. Raises Conflict where the label is taken."""
        place = f"version {version.application}/{version.label}"
        row = (
            *(version.application, version.label, version.created, json.dumps(version.model)),
            *(json.dumps(version.images), version.source, version.message),
            self._vault.seal(json.dumps(dict(secrets)), place) if secrets else b"",
        )
        try:
            with self.database.write() as connection:
                connection.execute("INSERT INTO application_versions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        except Duplicate:
            self.application(version.application)
            raise Conflict(
                f"application {version.application} has a version {version.label}", hint="choose another --label"
            ) from None

    def version(self, application: str, label: str) -> Version:
        """Raises NotFound with the label that was probably meant."""
        found = self._versions("application = ? AND label = ?", (application, label))
        if not found:
            known = [one.label for one in self.versions(application)]
            raise NotFound(f"application {application} has no version {label}", hint=_near(label, known))
        return found[0]

    def versions(self, application: str) -> list[Version]:
        """The newest first."""
        return self._versions("application = ?", (application,))

    def _versions(self, condition: str, values: tuple[str, ...]) -> list[Version]:
        columns = "application, label, created, model, images, source, message"
        query = f"SELECT {columns} FROM application_versions WHERE {condition} ORDER BY created DESC, rowid DESC"  # noqa: S608
        with self.database.read() as connection:
            rows = connection.execute(query, values).fetchall()
        return [Version._make((*row[:3], json.loads(row[3]), json.loads(row[4]), *row[5:])) for row in rows]

    def version_secrets(self, version: Version) -> dict[str, str]:
        """The secrets of the version's own model, in the clear."""
        query = "SELECT secrets FROM application_versions WHERE application = ? AND label = ?"
        with self.database.read() as connection:
            row = connection.execute(query, (version.application, version.label)).fetchone()
        if not row or not row[0]:
            return {}
        found: dict[str, str] = json.loads(self._vault.unseal(row[0], f"version {version.application}/{version.label}"))
        return found

    def remove_version(self, application: str, label: str) -> None:
        """Forget a version. Raises Conflict while an environment runs it; to go back to it is no longer possible."""
        self.version(application, label)
        with self.database.write() as connection:
            query = (
                "SELECT DISTINCT e.name FROM environments e JOIN revisions r ON r.environment = e.name"
                " WHERE e.application = ? AND r.version = ? AND (r.number = e.revision OR EXISTS"
                " (SELECT 1 FROM instances i WHERE i.environment = e.name AND i.revision = r.number))"
            )
            users = [row[0] for row in connection.execute(query, (application, label))]
            if users:
                raise Conflict(f"version {label} is in use by {', '.join(users)}")
            connection.execute(
                "DELETE FROM application_versions WHERE application = ? AND label = ?", (application, label)
            )

    # --- environments

    def add_environment(self, environment: Environment) -> None:
        """Raises Conflict where name or host are taken."""
        with self.database.write() as connection:
            self.check_free(environment.name)
            self.check_host(environment.host)
            connection.execute(
                "INSERT INTO environments (name, application, host, created, status, settings, size)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    *(environment.name, environment.application, environment.host, environment.created),
                    *(environment.status, json.dumps(environment.settings), environment.size),
                ),
            )

    def check_free(self, name: str) -> None:
        """Raises Conflict where there is an environment of that name, or the history of one."""
        for other in self.environments(terminated=True):
            if other.name == name:
                raise _taken(other)

    def check_host(self, host: str) -> None:
        """Raises InvalidInput where it is none, Conflict where an environment has the host."""
        check_host_name(host)
        for other in self.environments():
            if other.host == host:
                raise Conflict(f"environment {other.name} has the host {host}", hint="choose another one with --host")

    def environment(self, name: str) -> Environment:
        """Raises NotFound with the name that was probably meant."""
        with self.database.read() as connection:
            row = connection.execute(f"{_ENVIRONMENT} WHERE e.name = ?", (name,)).fetchone()
        if row is None:
            raise _missing("environment", name, (one.name for one in self.environments()))
        return _environment(row)

    def environments(self, application: str = "", *, terminated: bool = False) -> list[Environment]:
        """By name; those that are terminated only where `terminated`."""
        with self.database.read() as connection:
            rows = connection.execute(f"{_ENVIRONMENT} ORDER BY e.name").fetchall()
        found = [_environment(row) for row in rows]
        return [
            one
            for one in found
            if (not application or one.application == application) and (terminated or not one.terminated)
        ]

    def change_environment(self, name: str, **values: Any) -> None:
        """Set `host`, `status`, `settings`, `revision`, `size` or `terminated`."""
        assert set(values) <= _COLUMNS, values
        if "settings" in values:
            values["settings"] = json.dumps(values["settings"])
        assignments = ", ".join(f"{column} = ?" for column in values)
        with self.database.write() as connection:
            connection.execute(
                f"UPDATE environments SET {assignments} WHERE name = ?",  # noqa: S608 (columns are checked above)
                (*values.values(), name),
            )

    def exchange_hosts(self, one: str, other: str) -> None:
        """Each environment gets the other's host."""
        with self.database.write():
            first, second = self.environment(one), self.environment(other)
            self.change_environment(one, host=second.host)
            self.change_environment(other, host=first.host)

    def remove_environment(self, name: str) -> None:
        """Forget it, with its history; harmless where it is not known."""
        with self.database.write() as connection:
            connection.execute("DELETE FROM environments WHERE name = ?", (name,))
            for table in ("environment_events", "series"):
                connection.execute(f"DELETE FROM {table} WHERE environment = ?", (name,))  # noqa: S608

    # --- revisions

    def add_revision(self, revision: Revision, secrets: Iterable[Secret]) -> None:
        """Keep what instances are made of; `secrets` are those of the environment, in the clear."""
        held = {one.name: [one.value, one.file] for one in secrets}
        place = f"environment {revision.environment}, revision {revision.number}"
        row = (
            *(revision.environment, revision.number, revision.version, json.dumps(revision.variables)),
            json.dumps({name: file for name, (_, file) in held.items()}),
            self._vault.seal(json.dumps(held), place) if held else b"",
        )
        with self.database.write() as connection:
            connection.execute("INSERT INTO revisions VALUES (?, ?, ?, ?, ?, ?)", row)

    def revision(self, environment: str, number: int) -> Revision:
        """Raises NotFound."""
        query = (
            "SELECT environment, number, version, variables, secret_names FROM revisions"
            " WHERE environment = ? AND number = ?"
        )
        with self.database.read() as connection:
            row = connection.execute(query, (environment, number)).fetchone()
        if row is None:
            raise NotFound(f"environment {environment} has no revision {number}")
        return Revision._make((*row[:3], json.loads(row[3]), json.loads(row[4])))

    def secrets(self, environment: str, number: int) -> tuple[Secret, ...]:
        """The secrets of a revision, in the clear."""
        query = "SELECT secrets FROM revisions WHERE environment = ? AND number = ?"
        with self.database.read() as connection:
            row = connection.execute(query, (environment, number)).fetchone()
        if not row or not row[0]:
            return ()
        held = json.loads(self._vault.unseal(row[0], f"environment {environment}, revision {number}"))
        return tuple(Secret(name, value, file) for name, (value, file) in sorted(held.items()))

    def mark(self, secret: Secret) -> str:
        """What differs where the secret's value does, and tells nothing of it."""
        return self._vault.mark(secret.value)

    # --- instances

    def number_instances(self, environment: str, count: int) -> list[str]:
        """Names for `count` new instances, which no other ever had or will have."""
        with self.database.write() as connection:
            query = "UPDATE environments SET numbered = numbered + ? WHERE name = ? RETURNING numbered"
            (last,) = connection.execute(query, (count, environment)).fetchone()
        return [f"i-{number}" for number in range(last - count + 1, last + 1)]

    def last_number(self, environment: str) -> int:
        """The number of the newest instance that ever had a name, 0 where none had."""
        with self.database.read() as connection:
            row = connection.execute("SELECT numbered FROM environments WHERE name = ?", (environment,)).fetchone()
        return int(row[0]) if row else 0

    def add_instance(self, environment: str, name: str, revision: int) -> None:
        """Write down that there is to be an instance; harmless where that is written."""
        row = (environment, name, int(name.removeprefix("i-")), revision, self.clock())
        with self.database.write() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO instances (environment, name, number, revision, created) VALUES (?, ?, ?, ?, ?)",
                row,
            )

    def instances(self, environment: str) -> list[Instance]:
        """By number."""
        query = f"{_INSTANCE} WHERE i.environment = ? ORDER BY i.number"
        with self.database.read() as connection:
            rows = connection.execute(query, (environment,)).fetchall()
        return [Instance._make((*row[:6], bool(row[6]), row[7])) for row in rows]

    def weigh(self, environment: str, weights: Mapping[str, int], *, draining: bool = False) -> None:
        """Set what instances are to have in the balancer, all at once."""
        query = (
            "UPDATE instances SET weight = ?, draining = ?, entered = CASE WHEN ? = 0 THEN 0 WHEN entered = 0 THEN ?"
            " ELSE entered END WHERE environment = ? AND name = ?"
        )
        now = self.clock()
        with self.database.write() as connection:
            connection.executemany(
                query, [(weight, draining, weight, now, environment, name) for name, weight in weights.items()]
            )

    def drain(self, environment: str, names: Iterable[str], *, draining: bool = True) -> None:
        """Let instances end what they have, and get nothing new (or serve again)."""
        query = "UPDATE instances SET draining = ? WHERE environment = ? AND name = ?"
        with self.database.write() as connection:
            connection.executemany(query, [(draining, environment, name) for name in names])

    def remove_instance(self, environment: str, name: str) -> None:
        """Harmless where it is gone."""
        with self.database.write() as connection:
            connection.execute("DELETE FROM instances WHERE environment = ? AND name = ?", (environment, name))

    # --- saved configurations

    def save_configuration(self, application: str, name: str, content: str) -> None:
        """Keep a configuration (YAML) under a name, in place of one of that name."""
        with self.database.write() as connection:
            row = (application, name, content, self.clock())
            connection.execute("INSERT OR REPLACE INTO configurations VALUES (?, ?, ?, ?)", row)

    def configuration(self, application: str, name: str) -> str:
        """The saved configuration, as it was given. Raises NotFound."""
        with self.database.read() as connection:
            query = "SELECT name, content FROM configurations WHERE application = ?"
            found = dict(connection.execute(query, (application,)).fetchall())
        if name not in found:
            raise _missing(f"saved configuration of {application}", name, found)
        return str(found[name])

    def configurations(self, application: str) -> list[tuple[str, int]]:
        """The names of saved configurations, and when each was saved."""
        query = "SELECT name, saved FROM configurations WHERE application = ? ORDER BY name"
        with self.database.read() as connection:
            return [(str(name), int(saved)) for name, saved in connection.execute(query, (application,))]

    def remove_configuration(self, application: str, name: str) -> None:
        """Raises NotFound."""
        self.configuration(application, name)
        with self.database.write() as connection:
            connection.execute("DELETE FROM configurations WHERE application = ? AND name = ?", (application, name))


def _environment(row: tuple[Any, ...]) -> Environment:
    settings, variables, secrets = (json.loads(row[index]) for index in (5, 8, 9))
    return Environment._make((*row[:5], settings, row[6], row[7], variables, secrets, *row[10:]))


def _taken(other: Environment) -> Conflict:
    if other.terminated:
        return Conflict(
            f"there was an environment {other.name}, and its history is kept",
            hint=f"`wherry env restore {other.name}` brings it back,"
            f" `wherry env terminate --purge {other.name}` forgets it",
        )
    return Conflict(f"there is an environment {other.name}")


def _missing(kind: str, name: str, known: Iterable[str]) -> NotFound:
    return NotFound(f"there is no {kind} {name}", hint=_near(name, known))


def _near(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, list(known), 1, 0.6)
    return f"did you mean {near[0]}?" if near else ""
