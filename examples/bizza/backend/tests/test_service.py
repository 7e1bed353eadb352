"""What the service does around its resources: health, logs, contact, errors, migrations, seed, configuration."""

import json
import logging

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import URL, text
from sqlalchemy.exc import OperationalError

from bizza import create_app, database
from bizza.config import Misconfigured, Settings, settings_from
from bizza.logs import JsonFormatter
from bizza.models import Base


@pytest.fixture
def cut_off():
    """An application whose database nobody has started."""
    nowhere = URL.create("postgresql+psycopg", username="bizza", database="bizza", query={"host": "/nonexistent"})
    return create_app(Settings(database=nowhere, log_level="CRITICAL"))


def test_health_asks_the_database(browser):
    assert browser("GET", "/health").json == {"status": "ok", "database": "ok", "schema": "0001"}


def test_without_a_database_health_fails_and_pages_say_so(cut_off):
    client = cut_off.test_client()
    assert client.get("/api/health").status_code == 503
    assert client.get("/api/health/live").status_code == 200
    answer = client.get("/api/speakers")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json["error"]["code"] == "unavailable"


def test_waiting_for_a_database_ends_with_its_own_words(cut_off):
    pauses = []
    with pytest.raises(OperationalError, match="nonexistent"):
        database.wait_for(cut_off.extensions["engine"], 0.05, pauses.append)
    assert pauses


def test_migrations_make_what_the_models_say(app):
    with app.extensions["engine"].connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_prepare_migrates_seeds_and_appoints_and_may_run_again(app, browser, monkeypatch):
    monkeypatch.setenv("BIZZA_SEED", "demo")
    monkeypatch.setenv("BIZZA_ORGANISER_EMAIL", "Olga@bizza.example")
    monkeypatch.setenv("BIZZA_ORGANISER_PASSWORD", "correct horse battery")
    for _ in range(2):
        done = app.test_cli_runner().invoke(args=["prepare"])
        assert done.exit_code == 0, done.output
    assert browser("GET", "/events?when=upcoming").json["total"] == 3
    assert browser("GET", "/speakers").json["total"] == 9
    answer = browser("POST", "/session", {"email": "olga@bizza.example", "password": "correct horse battery"})
    assert answer.json["user"]["role"] == "organiser"


def test_a_schema_from_a_newer_version_is_left_as_it_is(app):
    with app.extensions["engine"].begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        done = app.test_cli_runner().invoke(args=["prepare"])
        assert done.exit_code == 0, done.output
        assert "the schema is at 9999" in done.output
        with app.extensions["engine"].connect() as connection:
            assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"
    finally:
        with app.extensions["engine"].begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))


def test_an_attendee_is_made_organiser_and_keeps_the_password(app, sign_up):
    browser = sign_up("ada@example.org")
    done = app.test_cli_runner().invoke(args=["organiser", "ada@example.org", "--password", "ignored"])
    assert done.exit_code == 0, done.output
    assert browser("GET", "/session").json["user"]["role"] == "organiser"
    answer = browser("POST", "/session", {"email": "ada@example.org", "password": "a long password"})
    assert answer.status_code == 200


def test_the_contact_form_reaches_organisers_only(browser, organiser, sign_up):
    message = {"name": "Ada", "email": "ada@example.org", "text": "Is there\nparking?"}
    assert browser("POST", "/messages", message).status_code == 201
    assert organiser("GET", "/messages").json["items"][0]["text"] == "Is there\nparking?"
    assert browser("GET", "/messages").status_code == 401
    assert sign_up("bob@example.org")("GET", "/messages").status_code == 403
    assert list(browser("POST", "/messages", message | {"text": " "}).json["error"]["fields"]) == ["text"]


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/api/nothing", {}, 404),
        ("PATCH", "/api/speakers", {"json": {}}, 405),
        ("POST", "/api/session", {"data": "{", "content_type": "application/json"}, 400),
        ("POST", "/api/session", {"json": []}, 422),
        ("POST", "/api/messages", {"json": {"text": "x" * 300_000}}, 413),
    ],
)
def test_every_error_has_one_form(app, method, path, options, status):
    answer = app.test_client().open(path, method=method, **options)
    assert answer.status_code == status
    assert set(answer.json["error"]) == {"code", "message", "fields"}


def test_a_request_keeps_its_id_through_answer_and_log(app, caplog):
    with caplog.at_level(logging.INFO, logger="bizza.request"):
        answer = app.test_client().get("/api/venues", headers={"X-Request-Id": "abcdef12-3456"})
    assert answer.headers["X-Request-Id"] == "abcdef12-3456"
    entry = json.loads(JsonFormatter().format(caplog.records[-1]))
    assert (entry["request_id"], entry["status"], entry["path"]) == ("abcdef12-3456", 200, "/api/venues")
    forged = app.test_client().get("/api/venues", headers={"X-Request-Id": "a b"})
    assert forged.headers["X-Request-Id"] != "a b"


def test_configuration_takes_files_and_says_what_is_wrong(tmp_path):
    secret = tmp_path / "password"
    secret.write_text("p@ss/word\n")
    url = settings_from({"POSTGRES_PASSWORD_FILE": str(secret), "POSTGRES_USER": "u", "POSTGRES_HOST": "h"}).database
    assert (url.password, url.host, url.database, url.port) == ("p@ss/word", "h", "u", 5432)
    assert settings_from({"DATABASE_URL": "postgres://u:p@h/d"}).database.drivername == "postgresql+psycopg"
    for wrong, word in (
        ({}, "POSTGRES_PASSWORD"),
        ({"POSTGRES_PASSWORD": "x", "POSTGRES_PASSWORD_FILE": "y"}, "both"),
        ({"POSTGRES_PASSWORD_FILE": "/nonexistent"}, "cannot be read"),
        ({"POSTGRES_PASSWORD": "x", "POSTGRES_PORT": "a"}, "POSTGRES_PORT"),
    ):
        with pytest.raises(Misconfigured, match=word):
            settings_from(wrong)
