"""Compose projects with real containers, on no network: those are in test_compose_networks.py."""

import json
import os
import random
import select
import signal
import subprocess
import time

import pytest

from composed import Composed, project_of
from wherry.base.clock import parse_rfc3339

HEAD = "x-s: &s {image: tiny, network_mode: none, stop_grace_period: 0s, command: sleep 1000}\n"
TWO = """
services:
  a: {<<: *s}
  b: {<<: *s, depends_on: [a], volumes: ['data:/data', /anon]}
volumes: {data: }
"""


class Project(Composed):
    head = HEAD

    def containers(self):
        return {one["Name"]: one for one in map(json.loads, self("ps", "-a", "--format", "json").out.splitlines())}


@pytest.fixture
def compose(wherry, tmp_path_factory, request):
    with project_of(Project, wherry, tmp_path_factory, request, prefix="p", check=False) as project:
        yield project


def builds(**steps):
    """A service for each, whose image is made by that one step."""
    text = ""
    for name, step in steps.items():
        inline = json.dumps(f"FROM tiny\nRUN {step}")
        text += f"  {name}: {{build: {{context: ., network: none, dockerfile_inline: {inline}}}}}\n"
    return f"services:\n{text}"


def test_images_are_built_at_once(compose):
    meet = "--mount=type=cache,id={0},target=/meet touch /meet/{1}; until test -e /meet/{2}; do sleep 0.02; done"
    compose.write(builds(a=meet.format(compose.name, "a", "b"), b=meet.format(compose.name, "b", "a")))
    built = compose("build")
    assert "[a 2/2] RUN" in built.err
    assert "[b 2/2] RUN" in built.err


def test_a_build_that_fails_ends_the_others(compose):
    compose.write(builds(a="exit 3", b="sleep 1000"))
    failed = compose("build", check=False, timeout=60)
    assert failed.returncode == 3
    assert "[a 2/2] RUN exit 3" in failed.err
    assert "exit code: 3" in failed.err


def test_up_is_idempotent_changes_only_what_changed_and_down_removes_all(compose, wherry):
    compose.write(TWO)
    first = compose("up", "-d")
    assert "Started" in first.err
    before = compose.containers()
    assert set(before) == {f"{compose.name}-a-1", f"{compose.name}-b-1"}
    again = compose("up", "-d")
    assert again.err.splitlines() == [f" Container {compose.name}-{name}-1  Running" for name in "ab"]
    assert compose.containers().keys() == before.keys()
    wherry("exec", f"{compose.name}-b-1", "sh", "-c", "echo kept > /anon/file; echo kept > /data/file")
    compose.write(TWO.replace("/anon]", "/anon], labels: {v: 2}"))
    compose("up", "-d")
    after = compose.containers()
    assert after[f"{compose.name}-a-1"]["ID"] == before[f"{compose.name}-a-1"]["ID"]
    assert after[f"{compose.name}-b-1"]["ID"] != before[f"{compose.name}-b-1"]["ID"]
    assert wherry("exec", f"{compose.name}-b-1", "cat", "/anon/file", "/data/file").out == "kept\nkept\n"
    compose("down")
    assert compose.containers() == {}
    assert f"{compose.name}_data" in wherry("volume", "ls", "-q").out
    compose("up", "-d")
    assert compose("exec", "-T", "b", "cat", "/data/file").out == "kept\n"
    compose("down", "-v")
    assert f"{compose.name}_data" not in wherry("volume", "ls", "-q").out


def test_dry_run_does_nothing(compose):
    compose.write("services: {a: {<<: *s}}")
    assert f"Container {compose.name}-a-1  Create" in compose("--dry-run", "up", "-d").out
    assert compose.containers() == {}


def test_scaling_and_orphans(compose):
    compose.write("services: {a: {<<: *s, deploy: {replicas: 2}}, b: {<<: *s}}")
    compose("up", "-d", "--scale", "a=3")
    assert len(compose.containers()) == 4
    compose("up", "-d")
    assert f"{compose.name}-a-3" not in compose.containers()
    compose.write("services: {a: {<<: *s}}")
    assert "Found orphan containers" in compose("up", "-d").err
    compose("up", "-d", "--remove-orphans")
    assert set(compose.containers()) == {f"{compose.name}-a-1"}


def test_a_job_is_waited_for_and_its_failure_stops_the_rest(compose):
    waits = "depends_on: {job: {condition: service_completed_successfully}}"
    compose.write(
        f"services:\n  job: {{<<: *s, command: [sh, -c, 'sleep 0.3; exit $CODE']}}\n  web: {{<<: *s, {waits}}}"
    )
    with open(f"{compose.directory}/.env", "w") as file:
        file.write("CODE=3\n")
    failed = compose("up", "-d", check=False)
    assert failed.returncode == 1
    assert "didn't complete successfully: exit 3" in failed.err
    assert compose.containers()[f"{compose.name}-web-1"]["State"] == "created"
    with open(f"{compose.directory}/.env", "w") as file:
        file.write("CODE=0\n")
    compose("up", "-d")
    assert compose.containers()[f"{compose.name}-web-1"]["State"] == "running"


def test_secrets_and_configs_are_seen_inside_and_nowhere_else(compose, wherry):
    compose.write(
        """
services:
  a:
    <<: *s
    user: ana
    secrets: [{source: token, mode: 0400, uid: "1000"}, file]
    configs: [{source: text, target: /etc/app.conf}]
secrets: {token: {environment: TOKEN}, file: {file: ./secret.txt}}
configs: {text: {content: "n=${N}"}}
"""
    )
    with open(f"{compose.directory}/secret.txt", "w") as file:
        file.write("from a file")
    with open(f"{compose.directory}/.env", "w") as file:
        file.write("TOKEN=hush-hush-7\nN=5\n")
    compose("up", "-d")
    shown = compose("exec", "-T", "a", "sh", "-c", "cat /run/secrets/token /run/secrets/file /etc/app.conf").out
    assert shown == "hush-hush-7from a filen=5"
    assert compose("exec", "-T", "a", "stat", "-c", "%a %u", "/run/secrets/token").out == "400 1000\n"
    denied = compose("exec", "-T", "-u", "root", "a", "sh", "-c", "echo x > /run/secrets/token", check=False)
    assert denied.returncode != 0
    assert "hush-hush" not in json.dumps(wherry.inspect(f"{compose.name}-a-1"))
    searched = subprocess.run(["grep", "-rl", "hush-hush-7", wherry.root], capture_output=True, text=True, check=False)
    assert searched.stdout == ""
    compose("restart", "-t", "0")
    assert compose("exec", "-T", "a", "cat", "/run/secrets/token").out == "hush-hush-7"
    compose("down")
    assert os.listdir(f"{wherry.run}/compose") == []


def test_output_has_names_and_the_exit_code_is_the_services(compose):
    compose.write("services:\n  a: {<<: *s, command: sh -c 'echo one; exit 5'}\n  longer: {<<: *s}")
    done = compose("up", "--exit-code-from", "a", "-t", "0", check=False)
    assert done.returncode == 5
    assert "a-1       | one\n" in done.out
    assert "a-1 exited with code 5\n" in done.out
    assert {one["State"] for one in compose.containers().values()} == {"exited"}
    plain = compose("up", "--abort-on-container-exit", "--no-log-prefix", "-t", "0", check=False)
    assert plain.returncode == 5
    assert "\none\n" in "\n" + plain.out


def read_until(process, words):
    text = ""
    while words not in text:
        line = process.stdout.readline().decode()
        assert line, f"it ended after: {text}"
        text += line
    return text


def test_ctrl_c_stops_and_a_second_one_kills(compose):
    compose.write(
        "services: {a: {<<: *s, stop_grace_period: 60s,"
        " command: sh -c 'trap \"\" TERM; echo up; while :; do sleep 1; done'}}"
    )
    process = compose.start("up")
    read_until(process, "| up")
    process.send_signal(signal.SIGINT)
    read_until(process, "-1  Stopping")
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert {one["State"] for one in compose.containers().values()} == {"exited"}


def test_wait_and_events(compose):
    compose.write("services: {a: {<<: *s}}")
    compose("up", "-d", "--wait")
    events = compose.start("events", "--json")
    try:
        while not select.select([events.stdout], [], [], 0)[0]:  # until it has looked for the first time
            compose("pause", "a")
            compose("unpause", "a")
        waiting = compose.start("wait", "a")
        compose("kill", "a")
        assert waiting.wait(60) == 137
        told = json.loads(events.stdout.readline())
        while told["action"] != "die":
            assert told["service"] == "a"
            told = json.loads(events.stdout.readline())
    finally:
        events.terminate()
        events.wait()


def test_run_exec_logs_and_ports(compose):
    compose.write(
        "services:\n  a: {<<: *s, command: sh -c 'echo hello; sleep 1000'}\n"
        "  p: {<<: *s, network_mode: bridge, ports: [80]}"
    )
    compose("up", "-d")
    assert compose("exec", "-T", "a", "sh", "-c", "exit 7", check=False).returncode == 7
    one_off = compose("run", "--rm", "-T", "-e", "X=5", "a", "sh", "-c", "echo $X; exit 4", check=False)
    assert (one_off.returncode, one_off.out) == (4, "5\n")
    assert len(compose.containers()) == 2
    assert compose("logs", "a").out == "a-1  | hello\n"
    assert compose("port", "p", "80").out.startswith("0.0.0.0:")
    assert compose("ps", "-q").out.count("\n") == 2
    assert compose.name in compose("ls", "-q").out
    compose("stop", "a", "-t", "0")
    assert compose("ps", "--services").out == "p\n"
    compose("start", "a")
    compose("rm", "-f", "-s", "a")
    assert set(compose.containers()) == {f"{compose.name}-p-1"}


def test_images_are_built_for_up(compose, wherry):
    compose.write("services: {a: {build: {context: ., args: [WHO=me]}, network_mode: none, command: cat /who}}")
    with open(f"{compose.directory}/Dockerfile", "w") as file:
        file.write("FROM tiny\nARG WHO\nRUN echo $WHO > /who\n")
    done = compose("up", "--no-log-prefix")
    assert "me\n" in done.out
    assert f"{compose.name}-a" in wherry("images").out
    with open(f"{compose.directory}/Dockerfile", "a") as file:
        file.write("RUN echo you > /who\n")
    assert "you\n" in compose("up", "--build", "--no-log-prefix").out
    compose("down", "--rmi", "local")
    assert f"{compose.name}-a" not in wherry("images").out


@pytest.mark.slow
def test_killed_anywhere_the_next_command_goes_on(compose):
    chance = random.Random(7)
    names = "abcd"
    lines = [f"  {name}: {{<<: *s, volumes: ['v:/v'], secrets: [t]}}" for name in names]
    compose.write("services:\n" + "\n".join(lines) + "\nvolumes: {v: }\nsecrets: {t: {environment: PATH}}")
    for verb in ["up", "down"] * 5:
        process = compose.start(*([verb, "-d"] if verb == "up" else [verb, "-v", "-t", "0"]))
        time.sleep(chance.uniform(0.1, 0.9))
        process.kill()
        process.communicate()
    compose("up", "-d")
    assert {one["State"] for one in compose.containers().values()} == {"running"}
    assert set(compose.containers()) == {f"{compose.name}-{name}-1" for name in names}
    compose("down", "-v", "-t", "0")
    assert compose.containers() == {}


def test_images_are_pushed(compose, wherry, open_registry):
    host = open_registry.address
    compose.write(
        f"services:\n  a: &a {{<<: *s, build: ., image: '{host}/team/a:1'}}\n  same: *a\n  other: {{<<: *s}}\n"
    )
    with open(f"{compose.directory}/Dockerfile", "w") as file:
        file.write("FROM tiny\nLABEL pushed=yes\n")
    absent = compose("push", check=False)
    assert absent.returncode == 1
    assert f"An image does not exist locally with the tag: {host}/team/a" in absent.err
    compose("build", "--push")
    assert open_registry("GET", "/v2/team/a/tags/list").json()["tags"] == ["1"]
    pushed = compose("push")
    assert pushed.err.count(f" Image {host}/team/a:1  Pushed\n") == 1
    wherry("rmi", f"{host}/team/a:1")
    compose("pull", "a")
    assert wherry("image", "inspect", "--format", "{{.Config.Labels.pushed}}", f"{host}/team/a:1").out == "yes\n"
    assert compose("push", "-q", "a").err == ""
    wherry("rmi", f"{host}/team/a:1")
    assert "Image" in compose("push", "--ignore-push-failures", "a").err


CHECKED = """
services:
  db:
    <<: *s
    healthcheck: {test: "test -e /ready", interval: 50ms, retries: %s}
    command: sh -c 'sleep 0.3; %s; sleep 1000'
  web: {<<: *s, depends_on: {db: {condition: service_healthy}}}
"""


def test_what_depends_on_a_healthy_service_starts_after_it(compose):
    compose.write(CHECKED % (1000, "touch /ready"))
    compose("up", "-d", "--wait")
    found = compose.containers()
    assert found[f"{compose.name}-db-1"]["Health"] == "healthy"
    assert found[f"{compose.name}-web-1"]["State"] == "running"
    db, web = (compose.wherry.inspect(f"{compose.name}-{service}-1")["State"] for service in ("db", "web"))
    assert parse_rfc3339(web["StartedAt"]) - parse_rfc3339(db["StartedAt"]) > 300_000_000
    assert compose("up", "-d", "--wait").returncode == 0


def test_a_dependency_that_becomes_unhealthy_ends_up_with_composes_words(compose):
    compose.write(CHECKED % (2, "true"))
    done = compose("up", "-d", check=False)
    assert done.returncode == 1
    assert f"dependency failed to start: container {compose.name}-db-1 is unhealthy" in done.err
    assert compose.containers()[f"{compose.name}-web-1"]["State"] == "created"


def test_wait_fails_where_a_service_becomes_unhealthy(compose):
    compose.write("services: {a: {<<: *s, healthcheck: {test: [CMD, 'false'], interval: 50ms, retries: 2}}}\n")
    done = compose("up", "-d", "--wait", check=False)
    assert done.returncode == 1
    assert f"container {compose.name}-a-1 is unhealthy" in done.err


def test_cp_goes_to_every_container_of_a_service_and_from_one(compose):
    compose.write("services:\n  a: {<<: *s, scale: 2}\n")
    compose("up", "-d")
    with open(f"{compose.directory}/here", "w") as file:
        file.write("all")
    compose("cp", "here", "a:/tmp/there")
    for index in ("1", "2"):
        assert compose("exec", "-T", "--index", index, "a", "cat", "/tmp/there").out == "all"
    with open(f"{compose.directory}/here", "w") as file:
        file.write("second")
    compose("cp", "--index", "2", "here", "a:/tmp/there")
    compose("cp", "a:/tmp/there", "first")
    compose("cp", "--index", "2", "a:/tmp/there", "second")
    assert [open(f"{compose.directory}/{name}").read() for name in ("first", "second")] == ["all", "second"]
    assert compose("cp", "a:/tmp/there", "-").stdout
    for words, said in (
        (("nobody:/x", "."), "no such service: nobody"),
        (("a:/x", "a:/y"), "between services"),
        (("here", "there"), "unknown copy direction"),
        (("-", "a:/tmp"), "--index"),
    ):
        told = compose("cp", *words, check=False)
        assert (told.returncode, said in told.err) == (1, True), told.err
