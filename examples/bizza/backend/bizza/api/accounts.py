"""Signing up, logging in and out, and who one is."""

from __future__ import annotations

from flask import Blueprint, Response, g, jsonify
from sqlalchemy import select

from bizza import security
from bizza.api.requests import body
from bizza.database import session
from bizza.errors import LoggedOut
from bizza.models import User
from bizza.schemas import Credentials, SignUp, UserOut, shown

blueprint = Blueprint("accounts", __name__)


def _identity(user: User | None, csrf: str | None) -> Response:
    return jsonify(user=shown(UserOut, user) if user else None, csrf=csrf)


def _welcome(user: User, status: int) -> Response:
    carrier = Response()
    security.log_in(user, carrier)
    response = _identity(user, g.csrf)
    response.headers.extend({"Set-Cookie": carrier.headers["Set-Cookie"]})
    response.status_code = status
    return response


@blueprint.get("/session")
def who() -> Response:
    """The user who is logged in (null for nobody) and the value for X-CSRF-Token."""
    return _identity(g.user, security.current_csrf())


@blueprint.post("/users")
def sign_up() -> Response:
    """Make an account and log in; everybody begins as an attendee."""
    wanted = body(SignUp)
    user = User(name=wanted.name, email=wanted.email.lower(), password_hash=security.hasher.hash(wanted.password))
    session().add(user)
    session().flush()
    return _welcome(user, 201)


@blueprint.post("/session")
def log_in() -> Response:
    """Log in; the answer does not tell whether the address or the password was wrong."""
    given = body(Credentials)
    user = session().scalar(select(User).where(User.email == given.email.lower()))
    if user is None or not security.password_fits(user, given.password):
        if user is None:
            security.password_fits(None, given.password)
        raise LoggedOut("The e-mail address or the password is not right.")
    if security.hasher.check_needs_rehash(user.password_hash):
        user.password_hash = security.hasher.hash(given.password)
    return _welcome(user, 200)


@blueprint.delete("/session")
def log_out() -> Response:
    """End the session; without one this does nothing."""
    response = Response(status=204)
    security.log_out(response)
    return response
