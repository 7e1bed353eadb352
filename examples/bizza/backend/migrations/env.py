"""Runs migrations on the connection that it is handed (commands.migrate), or on one of its own."""

from alembic import context
from sqlalchemy import Connection

from bizza.config import settings_from
from bizza.database import engine_for
from bizza.models import Base


def run(connection: Connection) -> None:
    """All steps in one transaction: they happen whole or not at all."""
    context.configure(connection=connection, target_metadata=Base.metadata, compare_server_default=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with engine_for(settings_from()).connect() as opened:
        run(opened)
