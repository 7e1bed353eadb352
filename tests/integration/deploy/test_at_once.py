"""Several who work on environments at once, and `wherry serve` that is killed while it deploys; all as processes."""

import re
import signal
import subprocess

import pytest

from backends import Load
from console_process import Client
from deploying import QUICK, SERVER, service
from installation import eventually
from wherry.deploy.records import open_records

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]
SLOWLY = ["sh", "-c", 'sleep 2; exec perl -e "$$0"', SERVER.replace("$", "$$")]  # so that a deployment takes a while


@pytest.fixture
def journal(commands):
    return open_records(commands.layout).journal


def project(commands, says, name="shop"):
    commands.write(name, {"web": service(says, command=SLOWLY)})


def two_versions(commands):
    """The environment `shop`, whose two instances run v1; there is a v2."""
    project(commands, "one")
    commands("env", "create", "shop", *QUICK, "--min", "2", "--set", "drain=5")
    project(commands, "two")
    commands("deploy", "shop", "--policy", "all-at-once")
    commands("env", "rollback", "shop")
    assert told(commands) == {"one"}


def told(commands, name="shop"):
    return {commands.get(name)[1] for _ in range(10)}


def deploy(commands, *words):
    return commands.start("deploy", *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process):
    """What it said, and how it ended."""
    out, said = process.communicate(timeout=120)
    return process.returncode, out + said


def test_who_comes_second_waits_or_is_refused(commands, journal):
    two_versions(commands)
    with deploy(commands, "shop", "--version", "v2") as first:
        eventually(lambda: journal.pending("shop"))
        refused = commands("deploy", "shop", "--version", "v1", "--no-wait", code=1)
        assert "another operation on shop is under way (deploy by ana)" in refused
        with deploy(commands, "shop", "--version", "v1") as second:
            assert ended(first)[0] == 0
            code, said = ended(second)
    assert code == 0, said
    assert "Wait for what is under way on shop (deploy by ana)" in said
    history = [(row["To"], row["Result"]) for row in commands.rows("env", "history", "shop")]
    assert history[:2] == [("v1", "succeeded"), ("v2", "succeeded")]
    assert told(commands) == {"one"}


def test_different_environments_go_on_at_once(commands, journal):
    names = ("left", "right")
    for name in names:
        project(commands, "one", name)
        commands("env", "create", name, *QUICK)
    for name in names:
        project(commands, "two", name)
        commands("deploy", name)
        commands("env", "rollback", name)
    with (
        deploy(commands, "left", "--app", "left", "--version", "v2") as left,
        deploy(commands, "right", "--app", "right", "--version", "v2") as right,
    ):
        eventually(lambda: {one.environment for one in journal.unfinished()} == {*names})
        for process in (left, right):
            code, said = ended(process)
            assert code == 0, said
            assert "Wait for what is under way" not in said
    assert [told(commands, name) for name in names] == [{"two"}, {"two"}]


@pytest.mark.parametrize("next_one", ["command", "serve"])
def test_serve_is_killed_in_the_middle_of_a_deployment(commands, journal, next_one):
    two_versions(commands)
    commands("serve", "user", "add", "bo", "--role", "operator", "--password-stdin", stdin=b"bo-password\n")
    console = commands.serve("--period", "1").start()
    try:
        client = Client(console.url)
        client("/log-in", {"name": "bo", "password": "bo-password"})
        csrf = re.search('name="csrf" value="([^"]+)"', client("/")[1])[1]
        with Load(commands.port, "shop.localhost", rate=40) as load:
            form = {"csrf": csrf, "sure": "yes", "version": "v2", "policy": "rolling"}
            assert client("/environments/shop/deploy", form)[0] == 303
            eventually(lambda: is_half_done(journal), 30)
            console.end(signal.SIGKILL)
            pending = journal.pending("shop")
            assert (pending.kind, pending.who) == ("deploy", "bo")
            assert "cut off" in commands("env", "status", "shop")
            if next_one == "serve":
                console.start()
                eventually(lambda: journal.pending("shop") is None, 60)
            else:
                commands("env", "set", "shop", "-e", "GREETING=hello")
    finally:
        console.end(signal.SIGKILL)
        commands("serve", "user", "rm", "bo")
    assert (load.done > 20, load.failures) == (True, [])
    assert journal.operation(pending.id).state == "done"
    status = commands.status("shop")
    assert (status["Status"], status["Version"]) == ("Ready", "v2")
    assert [one["Version"] for one in status["Instances"]] == ["v2", "v2"]
    assert told(commands) == {"two"}


def is_half_done(journal):
    pending = journal.pending("shop")
    states = [one.state for one in journal.steps(pending)] if pending else []
    return "done" in states and "waiting" in states
