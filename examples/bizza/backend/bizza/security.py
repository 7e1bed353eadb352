"""Who is asking. Passwords by Argon2, sessions in the database, and proof that a request comes from our own pages.

A session is a random token in an HttpOnly cookie; the database holds its SHA-256 only. Every request that changes
something is JSON (which a foreign page cannot send without asking first, and nobody is told yes), comes from our own
origin if the browser names one, and, when it rides on a session, repeats in
`X-CSRF-Token` a value derived from the token.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta
from functools import cache
from urllib.parse import urlsplit

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask import Flask, Response, current_app, g, request
from sqlalchemy import delete, select

from bizza.config import Settings
from bizza.database import session
from bizza.errors import Forbidden, LoggedOut
from bizza.models import LogIn, Role, User

COOKIE = "bizza_session"
SAFE = {"GET", "HEAD", "OPTIONS"}
hasher = PasswordHasher()


def settings() -> Settings:
    """The application's settings."""
    found: Settings = current_app.extensions["settings"]
    return found


def register(app: Flask) -> None:
    """Find the user before each request, and refuse what another site made the browser send."""
    app.before_request(_identify)
    app.before_request(_refuse_foreign)
    app.after_request(_headers)


def _identify() -> None:
    g.user = None
    token = request.cookies.get(COOKIE)
    if not token or request.path.startswith("/api/health"):
        return
    query = select(LogIn).where(LogIn.token_hash == digest(token), LogIn.expires_at > datetime.now(UTC))
    found = session().scalar(query)
    if found:
        g.user, g.user_id = found.user, found.user_id


def _refuse_foreign() -> None:
    if request.method in SAFE:
        return
    origin = request.headers.get("Origin")
    if origin and urlsplit(origin).netloc != request.host:
        raise Forbidden("This request comes from another site.")
    if request.method != "DELETE" and not request.is_json:
        raise Forbidden("Requests that change something are JSON: send Content-Type: application/json.")
    token = request.cookies.get(COOKIE)
    if g.user and token and not hmac.compare_digest(csrf_for(token), request.headers.get("X-CSRF-Token", "")):
        raise Forbidden("The X-CSRF-Token header is missing or stale. Reload the page and try again.")


def _headers(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def digest(token: str) -> bytes:
    """What the database knows of a token."""
    return hashlib.sha256(token.encode()).digest()


def csrf_for(token: str) -> str:
    """The value that pages repeat; nothing about the token can be learnt from it."""
    return hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest()


@cache
def _nobody() -> str:
    return hasher.hash(secrets.token_hex())


def password_fits(user: User | None, password: str) -> bool:
    """Whether it is the user's password; takes as long for a user who does not exist."""
    try:
        return hasher.verify(user.password_hash if user else _nobody(), password) and user is not None
    except (VerificationError, InvalidHashError):
        return False


def log_in(user: User, response: Response) -> None:
    """Open a session, end those of anybody that have expired, and put the token into the browser."""
    token, life = secrets.token_urlsafe(32), timedelta(hours=settings().session_hours)
    now = datetime.now(UTC)
    session().execute(delete(LogIn).where(LogIn.expires_at <= now))
    session().add(LogIn(token_hash=digest(token), user_id=user.id, expires_at=now + life))
    session().commit()
    g.user, g.csrf = user, csrf_for(token)
    response.set_cookie(
        COOKIE, token, max_age=life, httponly=True, secure=settings().secure_cookies, samesite="Lax", path="/api"
    )


def log_out(response: Response) -> None:
    """End the session, in the database and in the browser."""
    token = request.cookies.get(COOKIE, "")
    session().execute(delete(LogIn).where(LogIn.token_hash == digest(token)))
    session().commit()
    response.delete_cookie(COOKIE, path="/api", httponly=True, samesite="Lax")


def current_csrf() -> str | None:
    """The value for `X-CSRF-Token` of this session, or None without one."""
    token = request.cookies.get(COOKIE)
    return csrf_for(token) if g.user and token else None


def require_user() -> User:
    """The user who is logged in; raises LoggedOut."""
    if g.user is None:
        raise LoggedOut("Please log in first.")
    found: User = g.user
    return found


def require_organiser() -> User:
    """The same for organisers; raises Forbidden for anybody else."""
    user = require_user()
    if user.role != Role.ORGANISER:
        raise Forbidden("Only organisers may do this.")
    return user
