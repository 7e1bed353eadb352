"""Deployments by the command line: a small real project, real containers, and the balancer before them."""

import json
import signal
import subprocess
import tarfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploying import QUICK, Commands
from installation import eventually

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

# Answers with its version, a variable, a secret variable, a secret file and its instance's host name.
TELL = (
    "use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalPort=>80, Listen=>9, ReuseAddr=>1) or die; $| = 1;"
    ' print "version $ENV{VERSION} is up\\n"; while (my $c = $s->accept) { <$c>;'
    ' my $f = ""; if (open my $h, "<", "/run/secrets/license") { $f = <$h> // ""; chomp $f }'
    ' my $n = `hostname`; chomp $n; my $code = $ENV{VERSION} eq "sick" ? 500 : 200;'
    ' print $c "HTTP/1.0 $code X\\r\\n\\r\\n$ENV{VERSION},$ENV{GREETING},$ENV{TOKEN},$f,$n"; close $c }'
)
MODEL = {
    "services": {
        "web": {
            "image": "tiny",
            "command": ["perl", "-e", TELL.replace("$", "$$")],
            "environment": {"VERSION": "one"},
            "ports": ["80"],
            "stop_grace_period": "0s",
        },
        "db": {
            "image": "tiny",
            "command": ["sh", "-c", "echo db is up; exec sleep 1000"],
            "volumes": ["data:/data"],
            "stop_grace_period": "0s",
        },
    },
    "volumes": {"data": {}},
}
DRAIN = ("--set", "drain=1")


class Shop(Commands):
    """The project `shop`."""

    def project(self, version="one", **more):
        """Write it as it is to be now: the version that its servers tell, and more of the service."""
        web = {**MODEL["services"]["web"], "environment": {"VERSION": version}, **more}
        self.write("shop", {**MODEL["services"], "web": web}, volumes=MODEL["volumes"])

    def answer(self, environment):
        """Status, and the five things that a server tells."""
        status, told = self.get(environment)
        return status, told.split(",")

    def told(self, environment):
        """What ten answers tell: each once, without the host's name."""
        return {tuple(self.answer(environment)[1][:4]) for _ in range(10)}


@contextmanager
def followed(shop, *words):
    """The lines of a command that goes on until Ctrl-C, once it has said one."""
    with shop.start(*words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline()
            yield iter(process.stdout.readline, "")
        finally:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 130


@pytest.fixture
def shop(wherry, balanced, tmp_path):
    made = Shop(wherry, tmp_path, balanced)
    made.project()
    yield made
    made.remove()


def test_from_a_directory_to_two_instances_to_nothing(shop):
    said = shop("env", "create", "shop", *QUICK, *DRAIN, "--min", "2", "-e", "GREETING=hi")
    assert "Version v1 runs on 2 instances." in said
    assert shop.told("shop") == {("one", "hi", "", "")}
    assert len({shop.answer("shop")[1][4] for _ in range(10)}) == 2
    (row,) = shop.rows("env", "list")
    assert (row["Name"], row["Version"], row["Status"], row["Size"]) == ("shop", "v1", "Ready", 2)
    assert row["URL"] == f"http://shop.localhost:{shop.port}"
    health = json.loads(shop("env", "health", "shop", "--format", "json"))
    assert (row["Health"], health["Color"], [one["Color"] for one in health["Instances"]]) == (
        "Ok",
        "green",
        ["green"] * 2,
    )
    assert health["Requests"] >= 20
    assert health["Percent2xx"] == "100%"

    assert "Version v1 runs on shop already" in shop("deploy")
    shop.project("two")
    assert "with version v2" in shop("deploy", "--dry-run")
    assert [one["Label"] for one in shop.rows("app", "versions", "shop")] == ["v1"]
    plan = shop("deploy", "--dry-run", "--version", "v1", "shop")
    assert plan.startswith("1. ")
    assert shop.told("shop") == {("one", "hi", "", "")}
    assert "Version v2 runs on 2 instances." in shop("deploy", "-m", "better")
    assert shop.told("shop") == {("two", "hi", "", "")}

    shop.project("bad", command=["sh", "-c", "echo no such table; exit 7"])
    said = shop("deploy", "shop", code=1)
    assert "was taken back" in said
    assert "no such table" in said
    assert "Version v2 runs on 2 instances." in said
    assert shop.told("shop") == {("two", "hi", "", "")}

    with followed(shop, "env", "logs", "-f", "--tail", "1", "shop") as lines:
        assert "Version v1 runs on 2 instances." in shop("env", "rollback", "shop")
        assert next(line for line in lines if line.endswith("web  | version one is up\n"))
    assert shop.told("shop") == {("one", "hi", "", "")}
    history = shop.rows("env", "history", "shop")
    assert [(row["Kind"], row["To"], row["Result"]) for row in history] == [
        ("rollback", "v1", "succeeded"),
        ("deploy", "v3", "failed"),
        ("deploy", "v2", "succeeded"),
        ("deploy", "v1", "succeeded"),
    ]
    assert {row["Who"] for row in history} == {"ana"}
    assert history[2]["Message"] == "better"
    assert "no such table" in history[1]["Cause"]
    requests = shop.rows("env", "logs", "--access", "--tail", "2", "shop")
    assert [(one["Status"], one["Path"], one["Pool"]) for one in requests] == [(200, "/", "web")] * 2
    with followed(shop, "env", "logs", "-f", "--access", "--tail", "1", "shop") as lines:
        shop.get("shop", "/later")
        assert ' "GET /later" 200 ' in next(lines)
    assert '"GET /" 200 ' in shop("env", "logs", "--access", "shop")
    logs = shop("env", "logs", "shop")
    assert "web  | no such table\n" in logs
    assert "db  | db is up\n" in logs
    assert shop("env", "logs", "--all", "--output", "logs.tar.gz", "shop").startswith("logs.tar.gz: ")
    with tarfile.open(shop.directory / "logs.tar.gz") as archive:
        names = archive.getnames()
        assert {"shop/i-1/web.log", "shop/i-2/web.log", "shop/accessories/db.log"} <= set(names)
        (line,) = archive.extractfile("shop/i-1/web.log").read().decode().splitlines()
    assert line.endswith(" out version one is up")
    events = [row["Message"] for row in shop.rows("env", "events", "shop")]
    assert events[0] == "Launch (deployment 1) of version v1, begun by ana."
    assert shop("app", "versions", "shop", "--format", "{{.Label}}").split() == ["v3", "v2", "v1"]


def test_a_secret_variable_is_in_processes_alone(shop):
    secret = "hush-".ljust(24, "h")  # found nowhere by chance
    (shop.directory / "token").write_text(secret)
    check = {"test": ["CMD-SHELL", f'test "$$TOKEN" = {secret[:-1]}"h"'], "interval": "300ms", "retries": 2}
    shop.project(healthcheck=check)
    shop("env", "create", "quiet", *QUICK, *DRAIN, "--secret", "TOKEN=token")
    assert shop.told("quiet") == {("one", "", secret, "")}
    (container,) = shop("ps", "-q", "--filter", "label=io.wherry.instance=i-1").split()
    assert shop("exec", container, "sh", "-c", "echo $TOKEN").strip() == secret
    eventually(lambda: shop("inspect", "-f", "{{.State.Health.Status}}", container).strip() == "healthy", 30)
    shop("restart", "-t", "0", container)
    eventually(lambda: shop.answer("quiet")[0] == 200, 30)
    assert shop.told("quiet") == {("one", "", secret, "")}

    assert secret not in shop("inspect", container)
    holding = subprocess.run(
        ["grep", "-rl", secret, shop.layout.root, shop.layout.run], stdout=subprocess.PIPE, text=True
    )
    paths = [Path(line) for line in holding.stdout.splitlines()]
    assert paths
    assert not [path for path in paths if path.is_relative_to(shop.layout.root)]
    assert not [path for path in paths if path.stat().st_mode & 0o077]


def test_what_an_environment_is_given(shop):
    (shop.directory / "token").write_text("t0k3n\n")
    shop("env", "create", "conf", *QUICK, *DRAIN)
    said = shop(
        *("env", "set", "conf", "health.unhealthy=5", "-e", "GREETING=hello"),
        *("--secret", "TOKEN=token", "--secret-file", "license=-"),
        stdin=b"l1cense\n",
    )
    assert "Version v1 runs on 1 instance." in said
    assert shop.told("conf") == {("one", "hello", "t0k3n", "l1cense")}
    shop("env", "unset", "conf", "health.unhealthy", "-e", "TOKEN", "-e", "GREETING")
    assert shop.told("conf") == {("one", "", "", "l1cense")}
    assert shop("env", "set", "conf", "maintenance=on") == "Settings of conf changed: maintenance=on.\n"
    assert shop.answer("conf")[0] == 503
    shop("env", "unset", "conf", "maintenance")
    assert shop.answer("conf")[0] == 200
    everything = shop("env", "status", "conf", "--format", "json") + shop("env", "events", "conf")
    assert "l1cense" not in everything

    kept = shop("env", "config", "get", "conf")
    assert "secrets:\n  license: file\n" in kept
    assert shop("env", "config", "save", "conf", "quiet") == "quiet\n"
    assert "variables: {}\n" in kept
    (shop.directory / "loud.yaml").write_text(kept.replace("variables: {}", "variables: {GREETING: LOUD}"))
    shop("env", "config", "put", "conf", "loud.yaml")
    assert shop.told("conf") == {("one", "LOUD", "", "l1cense")}
    shop("env", "config", "apply", "conf", "quiet")
    assert shop.told("conf") == {("one", "", "", "l1cense")}
    assert shop("env", "config", "get", "conf") == kept

    assert "no count" in shop("env", "scale", "conf", "two", code=1)
    assert "2 instances" in shop("env", "scale", "conf", "2")
    before = {one["Name"]: one for one in shop.status("conf")["Instances"]}
    assert len(before) == 2
    shop("env", "restart", "conf")
    assert {one["Name"] for one in shop.status("conf")["Instances"]} == {*before}
    rebuilt = json.loads(shop("env", "rebuild", "-y", "conf", "--format", "json"))
    assert (rebuilt["Operation"], rebuilt["Result"]) == ("rebuild", "succeeded")
    assert not {one["Name"] for one in shop.status("conf")["Instances"]} & {*before}
    back = json.loads(shop("env", "rollback", "conf", "--to", "2", "--format", "json"))
    assert (back["Operation"], back["To"], back["Result"]) == ("rollback", "v1", "succeeded")
    assert shop.told("conf") == {("one", "hello", "t0k3n", "l1cense")}
    assert "not between min=1 and max=4" in shop("env", "scale", "conf", "9", code=1)


def test_environments_are_swapped_cloned_terminated_and_restored(shop):
    shop("env", "create", "blue", *QUICK, *DRAIN, "-e", "GREETING=b")
    shop.project("two")
    shop("env", "create", "green", *QUICK, *DRAIN)
    shop("env", "swap", "blue", "green")
    assert shop.told("blue") == {("two", "", "", "")}
    assert shop.told("green") == {("one", "b", "", "")}
    shop("env", "clone", "blue", "third", "--dry-run")
    shop("env", "clone", "blue", "third", "--host", "third.localhost")
    assert shop.told("third") == {("one", "b", "", "")}
    assert "no terminal" in shop("env", "terminate", "third", code=125)
    shop("env", "terminate", "-y", "third")
    assert shop.answer("third")[0] == 404
    assert [row["Name"] for row in shop.rows("env", "list")] == ["blue", "green"]
    assert "wherry env restore third" in shop("deploy", "third", "--version", "v1", code=1)
    shop("env", "restore", "third")
    assert shop.told("third") == {("one", "b", "", "")}
    assert "has environments" in shop("app", "delete", "shop", code=1)
    shop("env", "terminate", "-y", "--volumes", "--purge", "third")
    assert "no environment third" in shop("env", "status", "third", code=1)
    shop("app", "delete", "--force", "--volumes", "shop")
    assert shop.answer("blue")[0] == 404
    assert shop("env", "list", "--all", "-q") == ""
    assert shop("app", "list", "-q") == ""


def test_ctrl_c_takes_a_deployment_back(shop):
    shop("env", "create", "shop", *QUICK, *DRAIN)
    shop.project("sick")
    with shop.start("deploy", "shop", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        eventually(lambda: ("Wait until i-2 is healthy", "running") in shop.steps("shop"))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1, said
    assert "was aborted and was taken back: ana aborted it. Version v1 runs on 1 instance." in said
    assert shop.told("shop") == {("one", "", "", "")}
    assert shop.rows("env", "history", "shop")[0]["Result"] == "aborted"


def test_an_abort_from_elsewhere_takes_a_deployment_back(shop):
    shop("env", "create", "shop", *QUICK, *DRAIN)
    shop.project("sick")
    argv = ("deploy", "shop", "--format", "json")
    with shop.start(*argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        eventually(lambda: ("Wait until i-2 is healthy", "running") in shop.steps("shop"))
        assert "takes it back now" in shop("env", "abort", "shop")
        out, said = process.communicate(timeout=60)
    assert process.returncode == 1, said
    assert "was aborted and was taken back: ana aborted it." in said
    told = json.loads(out)
    assert (told["Result"], told["Cause"], told["From"], told["To"]) == ("aborted", "ana aborted it", "v1", "v2")
    assert "nothing was cut off" in shop("env", "recover", "shop")
