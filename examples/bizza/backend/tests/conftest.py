"""A PostgreSQL of the tests' own: made in a temporary directory, reached by a socket in it, gone afterwards.

BIZZA_TEST_DATABASE gives the URL of another one: an empty database on which db/init.sql has run.
"""

import contextlib
import glob
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, make_url, text

from bizza import create_app, database
from bizza.commands import appoint, migrate
from bizza.config import Settings
from bizza.models import Base

INIT_SQL = Path(__file__).parents[2] / "db" / "init.sql"


def programs():
    """Where initdb and pg_ctl are, newest first; Debian keeps them off the PATH."""
    beside = shutil.which("initdb")
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda path: -int(path.split("/")[4]))
    return os.path.dirname(next(iter(found), beside or ""))


def as_server(*command, **options):
    """PostgreSQL refuses to run as root."""
    prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    return subprocess.run([*prefix, *command], check=True, capture_output=True, text=True, **options)


@contextlib.contextmanager
def own_server():
    """The URL of a database that is made for the tests, on which db/init.sql has run."""
    where = programs()
    if not where:
        pytest.skip("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")
    directory = tempfile.mkdtemp(prefix="bizza-pg-")
    if os.geteuid() == 0:
        shutil.chown(directory, "postgres", "postgres")
    data = f"{directory}/data"
    as_server(f"{where}/initdb", "-D", data, "-U", "bizza", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync")
    options = f"-c listen_addresses='' -c unix_socket_directories={directory} -c fsync=off"
    as_server(f"{where}/pg_ctl", "-D", data, "-o", options, "-l", f"{directory}/log", "-w", "start", cwd=directory)
    try:
        subprocess.run(["createdb", "-h", directory, "-U", "bizza", "bizza"], check=True)
        psql = ["psql", "-h", directory, "-U", "bizza", "-d", "bizza", "-v", "ON_ERROR_STOP=1", "-qf", str(INIT_SQL)]
        subprocess.run(psql, check=True, capture_output=True)
        yield URL.create("postgresql+psycopg", username="bizza", database="bizza", query={"host": directory})
    finally:
        as_server(f"{where}/pg_ctl", "-D", data, "-m", "immediate", "-w", "stop", cwd=directory)
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
def settings():
    given = os.environ.get("BIZZA_TEST_DATABASE")
    if not given:
        with own_server() as url:
            yield Settings(database=url, log_level="WARNING")
        return
    url = make_url(given)
    database.wait_for(create_engine(url), 60)
    yield Settings(database=url, log_level="WARNING")


@pytest.fixture(scope="session")
def application(settings):
    made = create_app(settings)
    migrate(made.extensions["engine"])
    yield made
    made.extensions["engine"].dispose()


@pytest.fixture
def app(application):
    """The application with empty tables."""
    with application.extensions["engine"].begin() as connection:
        tables = ", ".join(table.name for table in Base.metadata.sorted_tables)
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY"))
    return application


class Browser:
    """A client that sends JSON and repeats the CSRF value, as our pages do."""

    def __init__(self, app):
        self.client, self.csrf = app.test_client(), None

    def __call__(self, method, path, json=None, **options):
        headers = {"X-CSRF-Token": self.csrf} if self.csrf else {}
        response = self.client.open(f"/api{path}", method=method, json=json, headers=headers, **options)
        if response.is_json and "csrf" in response.json:
            self.csrf = response.json["csrf"]
        return response


@pytest.fixture
def browser(app):
    return Browser(app)


@pytest.fixture
def browsers(app):
    """As many more as a test wants."""
    return lambda: Browser(app)


@pytest.fixture
def organiser(app):
    """A browser in which an organiser is logged in."""
    from sqlalchemy.orm import Session

    with Session(app.extensions["engine"]) as opened, opened.begin():
        appoint(opened, "olga@bizza.example", "correct horse battery")
    browser = Browser(app)
    answer = browser("POST", "/session", {"email": "olga@bizza.example", "password": "correct horse battery"})
    assert answer.status_code == 200
    return browser


@pytest.fixture
def sign_up(browsers):
    """A browser in which a new attendee is logged in."""

    def make(email, name="Ada"):
        browser = browsers()
        answer = browser("POST", "/users", {"name": name, "email": email, "password": "a long password"})
        assert answer.status_code == 201, answer.json
        return browser

    return make


@pytest.fixture
def event(organiser):
    """A function that makes an event and gives its id."""
    venue = organiser("POST", "/venues", {"name": "Hall", "address": "1 Street", "city": "Bath", "capacity": 50}).json

    def make(capacity=10, **changes):
        content = {
            "title": "Summit",
            "summary": "A day",
            "starts_at": "2090-05-01T09:00:00Z",
            "ends_at": "2090-05-01T17:00:00Z",
            "capacity": capacity,
            "venue_id": venue["id"],
        }
        answer = organiser("POST", "/events", content | changes)
        assert answer.status_code == 201, answer.json
        return answer.json["id"]

    return make
