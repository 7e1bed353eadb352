"""Whether it works: /api/health asks the database, /api/health/live only this process."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from bizza.database import session

blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
def ready() -> Response:
    """200 when the database answers and has its tables, 503 otherwise."""
    try:
        revision = session().scalar(text("SELECT version_num FROM alembic_version"))
    except SQLAlchemyError as error:
        response = jsonify(status="failing", database=type(error).__name__)
        response.status_code = 503
        return response
    return jsonify(status="ok", database="ok", schema=revision)


@blueprint.get("/health/live")
def live() -> Response:
    """200 as long as requests are answered at all."""
    return jsonify(status="ok")
