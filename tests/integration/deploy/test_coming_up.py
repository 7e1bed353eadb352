"""What others wait for: after a reboot it gets its secrets again, and where it never comes it is given up."""

import contextlib
import json
import re
import subprocess

import pytest

from deploying import QUICK, reboot, service
from installation import eventually
from wherry.deploy.records import open_records

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]
CHECK = {"test": ["CMD", "true"], "interval": "300ms"}
# Ends at once where what it needs is not there, as a database does whose password is a file.
NEEDS = 'test "$$TOKEN" = hush && cat /run/secrets/license /settings >/dev/null && exec sh -c "$$0"'


def needs(program, **more):
    files = {"secrets": [{"source": "license"}], "configs": [{"source": "settings", "target": "/settings"}]}
    return {"image": "tiny", "command": ["sh", "-c", NEEDS, program], "stop_grace_period": "0s", **files, **more}


def project(commands):
    """A database, what waits for it, and what answers, which waits for both; the two need secrets and a config."""
    (commands.directory / "license").write_text("l1cense")
    web = service("site")
    after = {"api": {"condition": "service_healthy"}, "db": {"condition": "service_healthy"}}
    commands.write(
        "site",
        {
            "db": needs("exec sleep 1000", volumes=["data:/data"], healthcheck=CHECK),
            "api": needs("exec sleep 1000", healthcheck=CHECK, depends_on={"db": {"condition": "service_healthy"}}),
            "web": {**web, "depends_on": after},
        },
        volumes={"data": {}},
        secrets={"license": {"file": "license"}},
        configs={"settings": {"content": "a: 1\n"}},
    )


def containers(commands):
    words = ("ps", "-a", "--filter", "label=io.wherry.environment=site", "--format", "{{.ID}} {{.State}}")
    return dict(line.split() for line in commands(*words).splitlines())


@pytest.mark.parametrize("by", ["recover", "serve"])
def test_after_a_reboot_secrets_are_there_again_and_nothing_is_replaced(commands, by):
    project(commands)
    (commands.directory / "token").write_text("hush")
    commands("env", "create", "site", *QUICK, "--min", "2", "--secret", "TOKEN=token")
    before = containers(commands)
    assert len(before) == 5
    reboot(commands.layout)
    commands("ps")  # which starts what has a restart policy, in vain
    with commands.serve("--period", "0.5") if by == "serve" else contextlib.nullcontext():
        if by == "recover":
            commands("env", "recover", "site")
        eventually(lambda: containers(commands) == dict.fromkeys(before, "running"), 60)
        eventually(lambda: commands.get("site") == (200, "site"), 30)


def test_what_waits_for_a_service_that_ends_again_and_again_is_taken_back(commands):
    commands.write("site", {"web": service("site")})
    commands("env", "create", "site", *QUICK)
    broken = {"image": "tiny", "command": ["sh", "-c", "echo no database; exit 3"], "healthcheck": CHECK}
    web = {**service("new"), "depends_on": {"api": {"condition": "service_healthy"}}}
    commands.write("site", {"api": broken, "web": web})
    said = commands("deploy", "site", code=1)
    assert re.search(r"i-2 cannot start: api exited( with code 3,)? \d times: no database", said), said
    assert commands.get("site") == (200, "site")
    assert len(containers(commands)) == 1


def test_what_waits_for_a_service_that_is_never_healthy_is_aborted(commands):
    commands.write("site", {"web": service("site")})
    commands("env", "create", "site", *QUICK)
    never = {"image": "tiny", "command": ["sleep", "1000"], "healthcheck": {"test": ["CMD", "false"], "retries": 9999}}
    web = {**service("new"), "depends_on": {"api": {"condition": "service_healthy"}}}
    commands.write("site", {"api": {**never, "stop_grace_period": "0s"}, "web": web})
    journal = open_records(commands.layout).journal
    with commands.start("deploy", "site", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        eventually(lambda: len(containers(commands)) >= 2, 30)
        commands("env", "abort", "site")
        _, said = process.communicate(timeout=60)
    assert (process.returncode, "was aborted and was taken back" in said) == (1, True), said
    assert journal.pending("site") is None
    [one] = json.loads(commands("env", "status", "site", "--format", "json"))["Instances"]
    assert one["Name"] == "i-1"
