"""What can go wrong for a client, by cause, and the one place where it becomes an HTTP answer.

Problem
├── Invalid       422   the request's content; `fields` says what is wrong with which
├── Unknown       404   there is no such thing
├── LoggedOut     401   somebody has to log in first
├── Forbidden     403   this user may not, or the request does not come from our own page
└── Conflict      409   it does not go together with what is there
"""

from __future__ import annotations

import logging
from typing import ClassVar

from flask import Flask, Response, jsonify
from psycopg import errors as database_errors
from pydantic import ValidationError
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

log = logging.getLogger("bizza")


class Problem(Exception):
    """Anything a client is told; `message` is a sentence for people."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "bad_request"

    def __init__(self, message: str, fields: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.message, self.fields = message, fields or {}


class Invalid(Problem):
    status, code = 422, "invalid"


class Unknown(Problem):
    status, code = 404, "not_found"


class LoggedOut(Problem):
    status, code = 401, "logged_out"


class Forbidden(Problem):
    status, code = 403, "forbidden"


class Conflict(Problem):
    status, code = 409, "conflict"


# What the database refuses, in words; by the constraint's name (models.py).
REFUSALS = {
    "uq_users_email": "There is an account with this e-mail address already.",
    "uq_venues_name": "There is a venue of this name already.",
    "uq_sponsors_name": "There is a sponsor of this name already.",
    "uq_tickets_event_id_attendee_id": "You have a ticket for this event already.",
    "ck_events_tickets": "The event's capacity cannot be less than the tickets that were given out.",
    "ex_schedule_entries_room": "There is something else in this room at that time.",
    "fk_events_venue_id": "The venue does not exist, or events are still held there.",
    "fk_tickets_event_id": "Tickets have been given out for this event.",
}


def answer(status: int, code: str, message: str, fields: dict[str, str] | None = None) -> Response:
    """The form that every error has."""
    response = jsonify(error={"code": code, "message": message, "fields": fields or {}})
    response.status_code = status
    return response


def register(app: Flask) -> None:
    """Map causes to answers; nothing else in the application does."""
    app.register_error_handler(Problem, _problem)
    app.register_error_handler(ValidationError, _validation)
    app.register_error_handler(IntegrityError, _integrity)
    app.register_error_handler(OperationalError, _database_away)
    app.register_error_handler(PoolTimeout, _database_away)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def _problem(problem: Problem) -> Response:
    return answer(problem.status, problem.code, problem.message, problem.fields)


def _validation(error: ValidationError) -> Response:
    fields = {".".join(map(str, item["loc"])) or "body": sentence(item["msg"]) for item in error.errors()}
    return answer(422, "invalid", "Some fields need another look.", fields)


def sentence(text: str) -> str:
    """Pydantic's message as a sentence."""
    text = text.removeprefix("Value error, ").removeprefix("value is not a valid email address: ")
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _integrity(error: IntegrityError) -> Response:
    cause = error.orig
    constraint = cause.diag.constraint_name if isinstance(cause, database_errors.Error) else None
    known = REFUSALS.get(constraint or "")
    return answer(409, "conflict", known or "This does not go together with what is stored already.")


def _database_away(error: Exception) -> Response:
    log.error("the database does not answer", exc_info=error)
    response = answer(503, "unavailable", "The site is being looked after. Please try again in a moment.")
    response.headers["Retry-After"] = "5"
    return response


def _http(error: HTTPException) -> Response:
    response = answer(error.code or 500, error.name.lower().replace(" ", "_"), error.description or error.name)
    if allowed := getattr(error, "valid_methods", None):
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def _unexpected(error: Exception) -> Response:
    log.error("unexpected error", exc_info=error)
    return answer(500, "internal", "Something went wrong on our side. We have been told.")
