"""The base images behave as the official images of their names do for those who use them."""

import gzip
import json
import os
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request

import pytest

pytestmark = pytest.mark.timeout(1500)  # the first test builds all of them

FAMILIES = ("debian", "python", "node", "nginx", "haproxy", "postgres")


@pytest.fixture(scope="session")
def bases(wherry):
    """All families, built once for the tests of a session."""
    wherry("base", "build", *FAMILIES, timeout=1500)
    return wherry


def built(bases, tmp_path, dockerfile, tag):
    (tmp_path / "Dockerfile").write_text(textwrap.dedent(dockerfile))
    bases("build", "-q", "-t", tag, str(tmp_path), timeout=300)
    return tag


def test_they_are_named_and_labelled_as_what_they_are(bases):
    rows = [json.loads(line) for line in bases("base", "list", "--format", "json").out.splitlines()]
    assert [row["Family"] for row in rows] == list(FAMILIES)
    for row in rows:
        labels = bases.inspect(f"{row['Family']}:latest")["Config"]["Labels"]
        assert labels["io.wherry.base.family"] == row["Family"]
        assert labels["io.wherry.base.version"] == row["Version"]
        assert bases.inspect(f"{row['Family']}:{row['Version']}")["Id"] == bases.inspect(row["Family"])["Id"]


@pytest.mark.parametrize("name", ["python:3.8.2-alpine", "debian:11", "node:18", "nginx:alpine", "postgres:9"])
def test_a_name_that_would_not_be_true_is_refused_before_anything_is_built(bases, name):
    for options in ((), ("--if-missing",)):
        refused = bases("base", "build", *options, name, check=False)
        assert refused.returncode
        assert "is not what this machine can build" in refused.err
        assert "--base-fallback distro" in refused.err
    assert name not in bases("images", "--format", "{{.Repository}}:{{.Tag}}").out.split()


def test_a_name_that_is_true_is_given(bases):
    version = bases.inspect("python")["Config"]["Labels"]["io.wherry.base.version"]
    bases("base", "build", "--if-missing", f"python:{version}-slim")
    assert bases.inspect(f"python:{version}-slim")["Id"] == bases.inspect("python")["Id"]


def test_the_same_packages_give_the_same_image_in_another_place_and_hour(bases, tmp_path_factory):
    other = type(bases)(tmp_path_factory.mktemp("other"))
    strange = {**other.environment, "TZ": "Asia/Kolkata", "LANG": "de_DE.UTF-8", "LC_ALL": "C.UTF-8"}
    argv = [sys.executable, "-I", "-m", "wherry", "base", "build", "debian", "nginx"]
    try:
        subprocess.run(argv, env=strange, check=True, umask=0o077, capture_output=True, timeout=900)
        for name in ("debian", "nginx"):
            assert other.inspect(name)["Id"] == bases.inspect(name)["Id"]
    finally:
        other.destroy()


# --- python


def test_python_has_its_programs_and_pip_installs(bases, tmp_path):
    asked = "python -V && python3 -V && pip --version && pip3 --version && command -v python pip"
    assert bases("run", "--rm", "python", "sh", "-ec", asked).out.count("ython 3") >= 2
    (tmp_path / "thing").mkdir()
    (tmp_path / "thing/setup.py").write_text(
        "from setuptools import setup; setup(name='thing', version='1', py_modules=['thing'])"
    )
    (tmp_path / "thing/thing.py").write_text("print('it is installed')")
    tag = built(
        bases,
        tmp_path,
        "FROM python\nCOPY thing /thing\nRUN pip install --no-index --no-build-isolation /thing\nCMD python -m thing",
        "uses-pip",
    )
    assert bases("run", "--rm", tag).out == "it is installed\n"


def test_python_takes_a_program_from_its_input(bases):
    assert bases("run", "-i", "--rm", "python", stdin=b"print(6 * 7)").out == "42\n"


# --- node


def test_node_has_its_programs(bases):
    assert int(bases("run", "--rm", "node", "--version").out.lstrip("v").split(".")[0]) >= 20
    assert (
        bases("run", "--rm", "node", "sh", "-c", "npm --version && npx --version && id -un node").out.split()[-1]
        == "node"
    )


def test_node_runs_scripts_by_its_entry_point(bases, tmp_path):
    tag = built(
        bases,
        tmp_path,
        "FROM node\nWORKDIR /app\nRUN echo 'console.log(process.argv[2], process.getuid())' >app.js\nUSER node\n",
        "uses-node",
    )
    assert bases("run", "--rm", tag, "node", "app.js", "one").out == "one 1000\n"
    assert bases("run", "--rm", tag, "app.js", "two").out == "two 1000\n"
    assert bases("run", "--rm", tag, "-e", "console.log(1 + 1)").out == "2\n"
    assert bases("run", "--rm", tag, "sh", "-c", "echo shell").out == "shell\n"


# --- nginx


def fetch(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        return answer.read().decode()


def answered(url):
    try:
        return fetch(url)
    except OSError:
        return ""


@pytest.fixture
def served(bases, name, eventually):
    def start(*arguments, image="nginx"):
        bases("run", "-d", "--name", name, "-p", "127.0.0.1:0:80", *arguments, image)
        url = "http://" + bases("port", name, "80").out.strip()
        eventually(lambda: answered(url))
        return url

    return start


def test_nginx_serves_its_directory_and_logs_to_the_standard_streams(bases, served, name, tmp_path, eventually):
    os.chmod(tmp_path, 0o755)
    (tmp_path / "index.html").write_text("my page")
    url = served("-v", f"{tmp_path}:/usr/share/nginx/html:ro")
    assert fetch(url, **{"User-Agent": "a-tester"}) == "my page"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        fetch(f"{url}/absent")
    eventually(lambda: "a-tester" in bases("logs", name).out)
    eventually(lambda: "absent" in bases("logs", name).err)


def test_nginx_fills_templates_and_reads_conf_d(served, tmp_path):
    os.chmod(tmp_path, 0o755)
    (tmp_path / "default.conf.template").write_text('server { listen 80; location / { return 200 "${WORD} $uri"; } }')
    url = served("-e", "WORD=hello", "-v", f"{tmp_path}:/etc/nginx/templates:ro")
    assert fetch(f"{url}/x") == "hello /x"


def test_nginx_runs_in_the_foreground_where_a_derived_image_says_so(bases, served, tmp_path):
    tag = built(
        bases,
        tmp_path,
        """\
        FROM nginx
        RUN echo 'server { listen 80; location / { return 200 derived; } }' >/etc/nginx/conf.d/default.conf
        CMD ["nginx", "-g", "daemon off;"]
        """,
        "derived-nginx",
    )
    assert fetch(served(image=tag)) == "derived"


def test_nginx_reloads_and_stops_by_signals(bases, served, name, eventually):
    url = served()
    bases(
        "exec",
        name,
        "sh",
        "-c",
        "echo 'server { listen 80; location / { return 200 new; } }' >/etc/nginx/conf.d/default.conf",
    )
    bases("exec", name, "nginx", "-s", "reload")
    eventually(lambda: answered(url) == "new")
    bases("stop", "-t", "20", name)
    assert bases.inspect(name)["State"]["ExitCode"] == 0


# --- postgres


@pytest.fixture
def database(bases, name, eventually):
    """Starts a server and waits until it answers over TCP, which it does only when it is set up."""

    def start(*arguments, command=(), password="secret"):
        bases("run", "-d", "--name", name, "-e", f"POSTGRES_PASSWORD={password}", *arguments, "postgres", *command)
        wait()

    def wait():
        def is_ready():
            state = bases.inspect(name)["State"]
            assert state["Running"], bases("logs", name).err
            return not bases("exec", name, "pg_isready", "-h", "127.0.0.1", "-U", "postgres", check=False).returncode

        eventually(is_ready, 90)

    start.wait = wait
    return start


def psql(bases, name, query, *, user="postgres", database=None, password="secret", check=True):
    # By its address on the network: whoever is inside and asks 127.0.0.1 is trusted, as in the official image.
    argv = ["-U", user, "-d", database or user, "-At", "-c", query]
    shell = ["sh", "-c", 'exec psql -h "$(hostname -i)" "$@"', "psql"]
    return bases("exec", "-e", f"PGPASSWORD={password}", name, *shell, *argv, check=check)


def ask(bases, name, query, **options):
    return psql(bases, name, query, **options).out.strip()


def test_postgres_refuses_an_empty_password(bases):
    refused = bases("run", "--rm", "postgres", check=False)
    assert refused.returncode == 1
    assert "superuser password is not specified" in refused.err


def test_postgres_makes_user_and_database_and_runs_the_scripts(bases, database, name, tmp_path):
    os.chmod(tmp_path, 0o755)
    (tmp_path / "1.sql").write_text("CREATE TABLE steps (what text);")
    (tmp_path / "2.sql.gz").write_bytes(gzip.compress(b"INSERT INTO steps VALUES ('gz');"))
    (tmp_path / "3.sh").write_text("sourced=yes\ndocker_process_sql <<<\"INSERT INTO steps VALUES ('sourced');\"\n")
    (tmp_path / "4.sh").write_text(
        '#!/bin/sh\npsql -U "$POSTGRES_USER" -d "$POSTGRES_DB" -c "INSERT INTO steps VALUES (\'executed\')"\n'
    )
    (tmp_path / "4.sh").chmod(0o755)
    (tmp_path / "5.txt").write_text("not for it")
    database("-e", "POSTGRES_USER=ana", "-e", "POSTGRES_DB=shop", "-v", f"{tmp_path}:/docker-entrypoint-initdb.d:ro")
    assert (
        ask(bases, name, "SELECT string_agg(what, ' ') FROM steps", user="ana", database="shop")
        == "gz sourced executed"
    )
    log = bases("logs", name).out
    assert "sourcing /docker-entrypoint-initdb.d/3.sh" in log
    assert "running /docker-entrypoint-initdb.d/4.sh" in log
    assert "ignoring /docker-entrypoint-initdb.d/5.txt" in log


def test_postgres_takes_secrets_from_files_that_root_alone_can_read(bases, database, name, tmp_path):
    os.chmod(tmp_path, 0o755)
    for key, value in (("password", "hidden"), ("user", "bea")):
        (tmp_path / key).write_text(value + "\n")
        (tmp_path / key).chmod(0o600)
    database(
        "-e",
        "POSTGRES_PASSWORD_FILE=/s/password",
        "-e",
        "POSTGRES_USER_FILE=/s/user",
        "-v",
        f"{tmp_path}:/s:ro",
        password="",
    )
    assert ask(bases, name, "SELECT current_user", user="bea", password="hidden") == "bea"
    wrong = psql(bases, name, "SELECT 1", user="bea", password="no", check=False)
    assert "password authentication failed" in wrong.err


def test_postgres_sets_itself_up_where_even_the_socket_wants_a_password(bases, database, name, tmp_path):
    os.chmod(tmp_path, 0o755)
    (tmp_path / "1.sql").write_text("CREATE TABLE there (x int);")
    database(
        "-e",
        "POSTGRES_INITDB_ARGS=--auth=scram-sha-256 --data-checksums",
        "-e",
        "POSTGRES_DB=shop",
        "-v",
        f"{tmp_path}:/docker-entrypoint-initdb.d:ro",
    )
    assert ask(bases, name, "SHOW data_checksums") == "on"
    assert ask(bases, name, "SELECT count(*) FROM there", database="shop") == "0"
    assert bases("exec", name, "psql", "-w", "-U", "postgres", "-c", "SELECT 1", check=False).returncode


def test_postgres_trusts_everybody_where_told_to(bases, database, name):
    database("-e", "POSTGRES_HOST_AUTH_METHOD=trust", password="")
    assert ask(bases, name, "SELECT 1", password="") == "1"
    assert "WARNING" in bases("logs", name).err


@pytest.mark.parametrize("signal", ["INT", "TERM"])
def test_postgres_stops_cleanly_and_keeps_its_data(bases, database, name, signal, eventually):
    database("-e", "PGDATA=/var/lib/postgresql/data/inner")
    ask(bases, name, "CREATE TABLE kept (x int)")
    bases("kill", "-s", signal, name)
    eventually(lambda: not bases.inspect(name)["State"]["Running"], 30)
    assert bases.inspect(name)["State"]["ExitCode"] == 0
    assert "database system is shut down" in bases("logs", name).err
    bases("start", name)
    database.wait()
    assert ask(bases, name, "SELECT count(*) FROM kept") == "0"
    assert "Skipping initialization" in bases("logs", name).out
    assert "not properly shut down" not in bases("logs", name).err


@pytest.mark.parametrize("command", [("-c", "max_connections=77"), ("postgres", "-c", "max_connections=77")])
def test_postgres_takes_settings_as_arguments(bases, database, name, command):
    database(command=command)
    assert ask(bases, name, "SHOW max_connections") == "77"


@pytest.mark.parametrize("argument", ["--version", "-V", "--help", "-?"])
def test_postgres_answers_questions_without_setting_anything_up(bases, argument):
    for command in ((argument,), ("postgres", argument)):
        said = bases("run", "--rm", "postgres", *command)
        assert "PostgreSQL" in said.out
        assert "init process" not in said.out


@pytest.mark.parametrize("user", ["postgres", "12345:6789"])
def test_postgres_runs_as_another_user(bases, database, name, user):
    database("--user", user, "-e", "PGDATA=/tmp/data")
    assert ask(bases, name, "SELECT 1") == "1"


def test_postgres_runs_other_commands_as_they_are(bases):
    assert bases("run", "--rm", "postgres", "bash", "-c", "id -u; command -v psql pg_dump").out.split()[0] == "0"


def test_postgres_sorts_text_as_people_do(bases, database, name):
    database()
    assert ask(bases, name, "SELECT string_agg(x, '' ORDER BY x) FROM unnest('{b,A,a,B}'::text[]) x") == "aAbB"
