"""What is done from a shell: `flask --app bizza prepare|seed|organiser`. Containers begin with `prepare`."""

from __future__ import annotations

import os

import click
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask, current_app
from flask.cli import with_appcontext
from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.orm import Session

from bizza import database, seed
from bizza.config import value_of
from bizza.models import Role, User
from bizza.security import hasher

MIGRATION_LOCK = 0x62697A7A  # one number in this database for "somebody is migrating"


def register(app: Flask) -> None:
    """Add the commands."""
    for one in (prepare, seed_command, organiser):
        app.cli.add_command(one)


def _engine() -> Engine:
    engine: Engine = current_app.extensions["engine"]
    return engine


def migrate(engine: Engine) -> None:
    """Bring the schema to its newest version; containers that start together take turns.

    One that a newer Bizza has made is left as it is, so that an older one can be brought back.
    """
    configuration = Config()
    configuration.set_main_option("script_location", os.path.join(os.path.dirname(__file__), "..", "migrations"))
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
        connection.commit()
        configuration.attributes["connection"] = connection
        try:
            if _is_known(configuration, connection):
                command.upgrade(configuration, "head")
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
            connection.commit()


def _is_known(configuration: Config, connection: Connection) -> bool:
    """Whether the schema's version is one of ours; says so where it is not."""
    ours = {one.revision for one in ScriptDirectory.from_config(configuration).walk_revisions()}
    foreign = sorted({*MigrationContext.configure(connection).get_current_heads()} - ours)
    connection.rollback()  # what asking has begun: migrations commit only what they begin themselves
    if foreign:
        click.echo(f"the schema is at {foreign[0]}, which this version does not know: left as it is")
    return not foreign


def appoint(opened: Session, email: str, password: str, name: str = "Organiser") -> None:
    """Make the account an organiser's; one that exists keeps its password and name."""
    user = opened.scalar(select(User).where(User.email == email.lower()))
    if user is None:
        user = User(email=email.lower(), name=name, password_hash=hasher.hash(password))
        opened.add(user)
    user.role = Role.ORGANISER


@click.command("prepare")
@click.option("--wait", default=60.0, show_default=True, help="Seconds to wait for the database.")
@with_appcontext
def prepare(wait: float) -> None:
    """Wait for the database, migrate it, and do what BIZZA_SEED and BIZZA_ORGANISER_* ask for."""
    database.wait_for(_engine(), wait)
    migrate(_engine())
    if value_of(os.environ, "BIZZA_SEED", "no").lower() in {"1", "yes", "true", "on", "demo"}:
        _seed()
    email = value_of(os.environ, "BIZZA_ORGANISER_EMAIL")
    password = value_of(os.environ, "BIZZA_ORGANISER_PASSWORD")
    if email and password:
        with Session(_engine()) as opened, opened.begin():
            _take_turns(opened)
            appoint(opened, email, password)


@click.command("seed")
@with_appcontext
def seed_command() -> None:
    """Fill an empty database with the example conference; one that has venues is left alone."""
    click.echo("filled" if _seed() else "not empty: left as it is")


@click.command("organiser")
@click.argument("email")
@click.password_option(help="For an account that does not exist yet.")
@with_appcontext
def organiser(email: str, password: str) -> None:
    """Make EMAIL an organiser."""
    with Session(_engine()) as opened, opened.begin():
        appoint(opened, email, password)
    click.echo(f"{email} is an organiser")


def _seed() -> bool:
    with Session(_engine()) as opened, opened.begin():
        _take_turns(opened)
        return seed.fill(opened)


def _take_turns(opened: Session) -> None:
    opened.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
