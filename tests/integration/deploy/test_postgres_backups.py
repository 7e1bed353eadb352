"""Backups of a real PostgreSQL by the command line: dumped while it runs, and restored to where each thing was."""

import os

import pytest
from tests.installation import eventually

from deploying import QUICK, service

pytestmark = [pytest.mark.root, pytest.mark.timeout(1500)]  # the images' builds take most of it

WHOLE = ("backup.json", "db/globals.sql", "db/postgres.dump")


class Database:
    """The accessory `db` of the environment `shop`, asked as its superuser over TCP, with the password."""

    def __init__(self, wherry, user="postgres", database="postgres"):
        self._wherry, self._user, self._database = wherry, user, database

    @property
    def container(self):
        """Its identifier; another one when it was made anew."""
        [found] = self._wherry("ps", "-q", "--no-trunc", "--filter", "label=io.wherry.instance=accessories").out.split()
        return found

    def __call__(self, query, *, database="", user=""):
        # By its address on the network: whoever is inside and asks 127.0.0.1 is trusted.
        argv = ("-U", user or self._user, "-d", database or self._database, "-Atc", query)
        shell = ("sh", "-c", 'exec psql -v ON_ERROR_STOP=1 -h "$(hostname -i)" "$@"', "psql", *argv)
        return self._wherry("exec", "-e", "PGPASSWORD=s3cret", self.container, *shell).out.strip()

    def run(self, *command):
        return self._wherry("exec", self.container, *command)

    def wait(self):
        ready = ("pg_isready", "-q", "-h", "127.0.0.1", "-U", self._user)
        eventually(lambda: not self._wherry("exec", self.container, *ready, check=False).returncode, 90)


@pytest.fixture
def launch(wherry, commands, tmp_path):
    """Makes the environment `shop` of a web service and PostgreSQL, whose password is a secret."""
    wherry("base", "build", "--if-missing", "postgres", timeout=800)
    (tmp_path / "password").write_text("s3cret")
    (tmp_path / "ruler").write_text("ana\n")

    def start(user="postgres", database="postgres", **variables):
        postgres = {
            "image": "postgres",
            "environment": {"POSTGRES_PASSWORD": None, **variables},
            "volumes": ["data:/var/lib/postgresql/data"],
        }
        commands.write("shop", {"web": service("one"), "db": postgres}, volumes={"data": {}})
        secrets = ("--secret", f"POSTGRES_PASSWORD={tmp_path}/password", "--secret-file", f"ruler={tmp_path}/ruler")
        commands("env", "create", "shop", *QUICK, *secrets)
        made = Database(wherry, user, database)
        made.wait()
        return made

    return start


def backups_of(commands):
    return f"{commands.layout.root}/environments/shop/backups"


def files(directory):
    found = [f"{base}/{name}" for base, _, names in os.walk(directory) for name in names]
    return sorted(path.removeprefix(f"{directory}/") for path in found)


def test_rows_come_back_from_a_dump_that_was_made_while_it_ran(wherry, launch, commands):
    db = launch()
    db("CREATE TABLE guests (name text); INSERT INTO guests VALUES ('ana'), ('bea')")
    before = db.container, wherry.inspect(db.container)["State"]["Pid"]
    name = commands("env", "backup", "create", "shop").strip()
    [row] = commands.rows("env", "backup", "list", "shop")
    assert (row["Name"], row["Services"]) == (name, "db (postgres)")
    assert files(f"{backups_of(commands)}/{name}") == list(WHOLE)
    with open(f"{backups_of(commands)}/{name}/db/postgres.dump", "rb") as file:
        assert file.read(5) == b"PGDMP"
    db("DELETE FROM guests WHERE name = 'ana'; INSERT INTO guests VALUES ('wrong'); CREATE TABLE later (x int)")
    commands("env", "backup", "restore", "-f", "shop", "latest")
    assert db("SELECT string_agg(name, ' ' ORDER BY name) FROM guests") == "ana bea"
    assert db("SELECT count(*) FROM later") == "0"
    after = db.container, wherry.inspect(db.container)["State"]["Pid"]
    assert after == before, "it was neither stopped nor replaced"


def test_each_database_comes_back_with_its_name_owner_and_rights(launch, commands, tmp_path):
    db = launch("ruler", "shop", POSTGRES_USER="ruler", POSTGRES_DB="shop")
    db("CREATE ROLE app LOGIN PASSWORD 'pw'")
    db("CREATE ROLE reader")
    db("GRANT reader TO app")
    db("CREATE DATABASE \"a 'b/c\" OWNER app TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'")
    db("ALTER DATABASE \"a 'b/c\" SET work_mem = '5MB'")
    odd = {"database": "a 'b/c"}
    db("CREATE TABLE inside (x int); ALTER TABLE inside OWNER TO app; INSERT INTO inside VALUES (7)", **odd)
    db("CREATE TABLE mine (x int); ALTER TABLE mine OWNER TO app; GRANT SELECT ON mine TO reader")
    db("INSERT INTO mine VALUES (1)")
    commands("env", "backup", "create", "shop")
    commands("env", "backup", "export", "shop", "latest", "-o", f"{tmp_path}/kept.tar")

    db('DROP DATABASE "a \'b/c"')
    db("DELETE FROM mine")
    commands("env", "backup", "restore", "-f", "shop", "latest")
    assert db("SELECT x FROM inside", **odd) == "7"
    assert db("SELECT x FROM mine") == "1"

    commands("env", "terminate", "-y", "--volumes", "shop")  # everything is lost but the backup
    commands("env", "restore", "shop")
    db.wait()
    assert db("SELECT count(*) FROM pg_roles WHERE rolname IN ('app', 'reader')") == "0"
    commands("env", "backup", "restore", "-f", "shop", "latest")
    assert db("SELECT x FROM mine") == "1"
    assert db("SELECT x FROM inside", **odd) == "7"
    about = "pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate"
    assert db(f"SELECT {about} FROM pg_database WHERE datname LIKE 'a %'") == "app|SQL_ASCII|C"
    assert db("SHOW work_mem", **odd) == "5MB"
    assert db("SELECT tableowner FROM pg_tables WHERE tablename = 'mine'") == "app"
    assert db("SELECT has_table_privilege('reader', 'mine', 'SELECT'), pg_has_role('app', 'reader', 'MEMBER')") == "t|t"
    assert db("SELECT rolsuper FROM pg_roles WHERE rolname = current_user", database="postgres") == "t"


def test_a_server_that_wants_a_password_even_there_and_was_told_its_user_by_a_file(launch, commands):
    variables = {"POSTGRES_USER_FILE": "/run/secrets/ruler", "POSTGRES_INITDB_ARGS": "--auth=scram-sha-256"}
    db = launch("ana", "ana", **variables)
    db("CREATE TABLE t AS SELECT 3 AS x")
    commands("env", "backup", "create", "shop")
    db("DROP TABLE t")
    commands("env", "backup", "restore", "-f", "shop", "latest")
    assert db("SELECT x FROM t") == "3"


def test_a_dump_that_fails_is_told_and_leaves_nothing(launch, commands):
    db = launch()
    db("CREATE TABLE guests (name text)")
    fails = "#!/bin/sh\nhead -c 10000 /dev/zero\necho no room >&2\nexit 5\n"
    before = "/usr/local/sbin/pg_dump"  # the first that is found
    db.run("sh", "-c", f"printf '{fails}' > {before} && chmod 755 {before}")
    said = commands("env", "backup", "create", "shop", code=5)
    assert "db: pg_dump exited with code 5: no room" in said
    assert os.listdir(backups_of(commands)) == []
    assert commands.rows("env", "backup", "list", "shop") == []
    db.run("rm", before)
    commands("env", "backup", "create", "shop")


def test_a_restore_that_fails_leaves_the_database_as_it_was(launch, commands):
    db = launch()
    db("CREATE TABLE guests (name text); INSERT INTO guests VALUES ('ana')")
    name = commands("env", "backup", "create", "shop").strip()
    db("UPDATE guests SET name = 'bea'")
    path = f"{backups_of(commands)}/{name}/db/postgres.dump"
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) - 20)
    commands("env", "backup", "restore", "-f", "shop", name, code=1)
    assert db("SELECT name FROM guests") == "bea"
