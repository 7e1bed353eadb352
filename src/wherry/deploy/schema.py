"""The tables of deployments, in the database of the installation."""

from __future__ import annotations

__all__ = ["COMPONENT", "MIGRATIONS"]

COMPONENT = "deploy"
MIGRATIONS = (
    """
    CREATE TABLE applications (
        name TEXT PRIMARY KEY,
        created INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE application_versions (
        application TEXT NOT NULL REFERENCES applications (name) ON DELETE CASCADE,
        label TEXT NOT NULL,
        created INTEGER NOT NULL,
        model TEXT NOT NULL,
        images TEXT NOT NULL,
        source TEXT NOT NULL,
        message TEXT NOT NULL,
        secrets BLOB NOT NULL,
        PRIMARY KEY (application, label)
    ) STRICT;
    CREATE TABLE configurations (
        application TEXT NOT NULL REFERENCES applications (name) ON DELETE CASCADE,
        name TEXT NOT NULL,
        content TEXT NOT NULL,
        saved INTEGER NOT NULL,
        PRIMARY KEY (application, name)
    ) STRICT;
    CREATE TABLE environments (
        name TEXT PRIMARY KEY,
        application TEXT NOT NULL REFERENCES applications (name),
        host TEXT NOT NULL,
        created INTEGER NOT NULL,
        status TEXT NOT NULL,
        settings TEXT NOT NULL,
        revision INTEGER NOT NULL DEFAULT 0,
        size INTEGER NOT NULL,
        terminated INTEGER NOT NULL DEFAULT 0,
        numbered INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE revisions (
        environment TEXT NOT NULL REFERENCES environments (name) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        version TEXT NOT NULL,
        variables TEXT NOT NULL,
        secret_names TEXT NOT NULL,
        secrets BLOB NOT NULL,
        PRIMARY KEY (environment, number)
    ) STRICT;
    CREATE TABLE instances (
        environment TEXT NOT NULL REFERENCES environments (name) ON DELETE CASCADE,
        name TEXT NOT NULL,
        number INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        created INTEGER NOT NULL,
        weight INTEGER NOT NULL DEFAULT 0,
        draining INTEGER NOT NULL DEFAULT 0,
        entered INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (environment, name)
    ) STRICT;
    CREATE TABLE deployments (
        environment TEXT NOT NULL REFERENCES environments (name) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        kind TEXT NOT NULL,
        who TEXT NOT NULL,
        started INTEGER NOT NULL,
        before INTEGER NOT NULL,
        after INTEGER NOT NULL,
        before_version TEXT NOT NULL,
        after_version TEXT NOT NULL,
        policy TEXT NOT NULL,
        message TEXT NOT NULL,
        ended INTEGER NOT NULL DEFAULT 0,
        result TEXT NOT NULL DEFAULT '',
        cause TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (environment, number)
    ) STRICT;
    CREATE TABLE environment_events (
        time INTEGER PRIMARY KEY,
        environment TEXT NOT NULL,
        severity TEXT NOT NULL,
        message TEXT NOT NULL,
        application TEXT NOT NULL,
        version TEXT NOT NULL,
        deployment INTEGER NOT NULL,
        instance TEXT NOT NULL
    ) STRICT;
    CREATE INDEX environment_events_of ON environment_events (environment, time);
    CREATE TABLE operations (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        environment TEXT NOT NULL REFERENCES environments (name) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        who TEXT NOT NULL,
        started INTEGER NOT NULL,
        wish TEXT NOT NULL,
        state TEXT NOT NULL,
        abort_by TEXT NOT NULL DEFAULT '',
        cause TEXT NOT NULL DEFAULT '',
        ended INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX operations_of ON operations (environment, ended);
    CREATE TABLE operation_steps (
        operation INTEGER NOT NULL REFERENCES operations (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        stage INTEGER NOT NULL,
        step TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'waiting',
        started INTEGER NOT NULL DEFAULT 0,
        ended INTEGER NOT NULL DEFAULT 0,
        error TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (operation, position)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE series (
        environment TEXT NOT NULL,
        subject TEXT NOT NULL,
        name TEXT NOT NULL,
        width INTEGER NOT NULL,
        time INTEGER NOT NULL,
        count INTEGER NOT NULL,
        total REAL NOT NULL,
        least REAL NOT NULL,
        most REAL NOT NULL,
        PRIMARY KEY (environment, name, subject, width, time)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE TABLE schedule_runs (
        environment TEXT NOT NULL REFERENCES environments (name) ON DELETE CASCADE,
        job TEXT NOT NULL,
        schedule TEXT NOT NULL,
        time INTEGER NOT NULL,
        owner TEXT NOT NULL DEFAULT '',
        started INTEGER NOT NULL DEFAULT 0,
        ended INTEGER NOT NULL DEFAULT 0,
        result TEXT NOT NULL DEFAULT '',
        detail TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (environment, job, schedule, time)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE TABLE environment_health (
        environment TEXT PRIMARY KEY REFERENCES environments (name) ON DELETE CASCADE,
        status TEXT NOT NULL,
        since INTEGER NOT NULL
    ) STRICT;
    """,
)
