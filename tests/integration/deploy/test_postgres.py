"""An environment with PostgreSQL: its backups are dumps, which come back into the database they are of."""

import json
import tarfile

import pytest

from deploying import QUICK, service

pytestmark = [pytest.mark.root, pytest.mark.timeout(1500)]  # where its image is not there yet, it is built first
NAMED = {"POSTGRES_USER": "app", "POSTGRES_DB": "shop"}


@pytest.fixture
def shop(commands, wherry):
    wherry("base", "build", "--if-missing", "postgres", timeout=1200)
    (commands.directory / "password").write_text("p4ss")
    db = {
        "image": "postgres",
        "environment": {
            "POSTGRES_USER": "app",
            "POSTGRES_DB": "shop",
            "POSTGRES_PASSWORD_FILE": "/run/secrets/password",
        },
        "secrets": ["password"],
        "volumes": ["data:/var/lib/postgresql/data"],
        "healthcheck": {"test": ["CMD", "pg_isready", "-U", "app", "-d", "shop"], "interval": "500ms", "retries": 60},
    }
    web = service("site", depends_on={"db": {"condition": "service_healthy"}})
    more = {"volumes": {"data": {}}, "secrets": {"password": {"file": "password"}}}
    commands.write("shop", {"web": web, "db": db}, **more)
    commands("env", "create", "shop", *QUICK)
    return commands


def container(shop):
    labels = ("io.wherry.environment=shop", "com.docker.compose.service=db")
    [found] = shop("ps", "-q", *(word for one in labels for word in ("--filter", f"label={one}"))).split()
    return found


def ask(shop, query, database="shop"):
    command = ("psql", "-U", "app", "-d", database, "-AtXc", query)
    return shop("exec", "-u", "postgres", container(shop), *command).strip()


def test_a_dump_comes_back_while_the_database_goes_on(shop, tmp_path):
    ask(shop, "CREATE TABLE t (x int); INSERT INTO t VALUES (1), (2); CREATE ROLE reader LOGIN PASSWORD 'r'")
    ask(shop, "CREATE DATABASE other")
    ask(shop, "CREATE TABLE u (y text); INSERT INTO u VALUES ('kept')", "other")
    before = container(shop), ask(shop, "SELECT pg_postmaster_start_time()")
    name = shop("env", "backup", "create", "shop").strip()
    row = json.loads(shop("env", "backup", "list", "--format", "json", "shop"))
    assert row["Services"] == "db (postgres)"

    ask(shop, "DELETE FROM t; ALTER TABLE t ADD z int; CREATE TABLE later (z int)")
    ask(shop, "DROP DATABASE other")
    shop("env", "backup", "restore", "-f", "shop", name)
    assert ask(shop, "SELECT string_agg(x::text, ',' ORDER BY x) FROM t") == "1,2"
    assert ask(shop, "SELECT y FROM u", "other") == "kept"
    assert (container(shop), ask(shop, "SELECT pg_postmaster_start_time()")) == before, "it was not stopped for it"

    archive = tmp_path / "backup.tar"
    shop("env", "backup", "export", "-o", str(archive), "shop", name)
    with tarfile.open(archive) as tar:
        files = {one.name.rpartition("/")[2]: tar.extractfile(one).read() for one in tar.getmembers() if one.isfile()}
    assert files["shop.dump"].startswith(b"PGDMP")
    assert {"shop.dump", "other.dump", "postgres.dump", "globals.sql"} <= {*files}
    assert b"reader" in files["globals.sql"]


def test_a_dump_that_fails_is_told_and_leaves_nothing(shop):
    ask(shop, "CREATE DATABASE closed")
    shop(
        "exec",
        "-u",
        "postgres",
        container(shop),
        "sh",
        "-c",
        'rm -r "$PGDATA"/base/$(psql -U app -d shop -AtXc \
        "SELECT oid FROM pg_database WHERE datname = \'closed\'")',
    )
    said = shop("env", "backup", "create", "shop", code=1)
    assert "pg_dump exited with code 1" in said
    assert shop("env", "backup", "list", "-q", "shop") == ""
    ask(shop, "DROP DATABASE closed")
    assert shop("env", "backup", "create", "shop")
