"""The connection to PostgreSQL: one engine for a process, one session for a request."""

from __future__ import annotations

import time
from collections.abc import Callable

from flask import Flask, current_app, g
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from bizza.config import Settings


def engine_for(settings: Settings) -> Engine:
    """An engine that notices dead connections (the database may have been restarted) and waits 5 s for a new one."""
    return create_engine(
        settings.database,
        pool_pre_ping=True,
        pool_size=settings.pool_size,
        max_overflow=settings.pool_size,
        pool_timeout=5,
        connect_args={"connect_timeout": 5, "application_name": "bizza"},
    )


def attach(app: Flask, engine: Engine) -> None:
    """Give the application its engine; what a request did not commit is rolled back at its end."""
    app.extensions["engine"] = engine
    app.teardown_appcontext(_close)


def session() -> Session:
    """The session of the current request."""
    if "session" not in g:
        g.session = Session(current_app.extensions["engine"], expire_on_commit=False)
    opened: Session = g.session
    return opened


def _close(_error: BaseException | None) -> None:
    opened = g.pop("session", None)
    if opened is not None:
        opened.close()


def wait_for(engine: Engine, seconds: float, pause: Callable[[float], None] = time.sleep) -> None:
    """Return when the database answers; after `seconds` raise what it said last."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except OperationalError:
            if time.monotonic() >= deadline:
                raise
            pause(0.25)
        else:
            return
