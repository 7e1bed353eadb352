"""What the environment says, read once at start. Every NAME may be given as NAME_FILE, a file that holds the value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url


class Misconfigured(Exception):
    """The environment lacks something, or says it twice; the message says what and how to mend it."""


@dataclass(frozen=True)
class Settings:
    """Everything that differs from one installation to another."""

    database: URL
    secure_cookies: bool = False
    session_hours: int = 24 * 7
    log_level: str = "INFO"
    pool_size: int = 5


def value_of(environment: Mapping[str, str], name: str, default: str = "") -> str:
    """The value of NAME, or the content of the file that NAME_FILE names (without the line's end)."""
    direct, path = environment.get(name), environment.get(f"{name}_FILE")
    if direct and path:
        raise Misconfigured(f"both {name} and {name}_FILE are set: keep one")
    if not path:
        return direct or default
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise Misconfigured(f"{name}_FILE: {path} cannot be read: {error.strerror}") from error


def settings_from(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process; raises Misconfigured."""
    source = os.environ if environment is None else environment
    return Settings(
        database=database_url(source),
        secure_cookies=value_of(source, "BIZZA_SECURE_COOKIES", "no").lower() in {"1", "yes", "true", "on"},
        session_hours=number(source, "BIZZA_SESSION_HOURS", 24 * 7),
        log_level=value_of(source, "BIZZA_LOG_LEVEL", "INFO").upper(),
        pool_size=number(source, "BIZZA_POOL_SIZE", 5),
    )


def number(source: Mapping[str, str], name: str, default: int) -> int:
    """A whole number above nought."""
    text = value_of(source, name, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise Misconfigured(f"{name}: {text!r} is not a whole number above 0")
    return int(text)


def database_url(source: Mapping[str, str]) -> URL:
    """DATABASE_URL, or the parts that the `postgres` image takes too (POSTGRES_*), by psycopg 3."""
    whole = value_of(source, "DATABASE_URL")
    if whole:
        return make_url(whole).set(drivername="postgresql+psycopg")
    password = value_of(source, "POSTGRES_PASSWORD")
    if not password:
        raise Misconfigured("set DATABASE_URL, or POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE")
    user = value_of(source, "POSTGRES_USER", "bizza")
    return URL.create(
        "postgresql+psycopg",
        username=user,
        password=password,
        host=value_of(source, "POSTGRES_HOST", "db"),
        port=number(source, "POSTGRES_PORT", 5432),
        database=value_of(source, "POSTGRES_DB", user),
    )
