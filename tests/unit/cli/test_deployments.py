"""The command line of deployments: on real records, and on fakes of everything else."""

import io
import json
import os
import pwd
import signal
import tarfile
import threading
from pathlib import Path

import pytest

from wherry.base.clock import parse_rfc3339
from wherry.base.errors import Conflict, InvalidInput, NotFound
from wherry.base.locks import FileLock
from wherry.base.paths import Layout
from wherry.base.progress import Started, nobody
from wherry.cli.deploying import (
    OPERATION,
    Watched,
    _interruptible,
    carry_out,
    issue_where_wanted,
    only_environment,
    pairs,
    read_secrets,
    who,
)
from wherry.cli.flags import Command
from wherry.cli.logbundle import write_bundle
from wherry.cli.main import main
from wherry.cli.verbs.env import _WORDS
from wherry.cli.verbs.env_logs import shown
from wherry.compose.location import ProjectOptions
from wherry.deploy.applications import Applications
from wherry.deploy.balancer import AccessRecord
from wherry.deploy.cron import KEY, Job
from wherry.deploy.environments import Environments, Outcome
from wherry.deploy.fakes import Killed, fake_parts
from wherry.deploy.schedules import Schedules
from wherry.deploy.target import LogLine, Secret

MODEL = {"services": {"web": {"image": "web", "ports": [{"target": 80}]}}, "networks": {"default": {}}}
PLAIN = Command("wherry", "", "", OPERATION).parse([])


@pytest.fixture
def parts(tmp_path, monkeypatch):
    monkeypatch.setenv("WHERRY_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("WHERRY_RUN", str(tmp_path / "run"))
    made = fake_parts(Layout(str(tmp_path / "root"), str(tmp_path / "run")))
    made.versions.models["/project"] = MODEL
    for _ in range(2):
        Applications(made).add_version("shop", ProjectOptions({}, "/project"))
    return made


def test_an_operation_ends_with_one_true_sentence(parts, capsys):
    assert carry_out("shop", PLAIN, lambda facade: facade.create("shop", "shop", "v1"), given=parts) == 0
    assert "Version v1 runs on 1 instance." in capsys.readouterr().out
    assert carry_out("shop", PLAIN, lambda facade: facade.deploy("shop", "v2", dry_run=True), given=parts) == 0
    assert "with version v2" in capsys.readouterr().out


def test_changed_settings_are_told(parts, capsys):
    carry_out("shop", PLAIN, lambda facade: facade.create("shop", "shop", "v1"), given=parts)
    capsys.readouterr()
    carry_out(
        "shop", PLAIN, lambda facade: facade.configure("shop", settings={"drain": "3"}, dry_run=True), given=parts
    )
    assert capsys.readouterr().out == "At once: drain=3.\n"
    carry_out("shop", PLAIN, lambda facade: facade.configure("shop", settings={"drain": "3"}), given=parts)
    assert capsys.readouterr().out == "Settings of shop changed: drain=3.\n"
    carry_out("shop", PLAIN, lambda facade: facade.configure("shop", settings={"drain": ""}), given=parts)
    assert capsys.readouterr().out == "Settings of shop changed: drain is back to 20.\n"
    carry_out("shop", PLAIN, lambda facade: facade.configure("shop", settings={"drain": ""}), given=parts)
    assert capsys.readouterr().out == "shop: nothing had to be done\n"
    assert "Settings changed by" in parts.records.history.events("shop")[-1].message


def test_a_failure_of_the_operation_is_raised_to_the_caller(parts):
    with pytest.raises(NotFound):
        carry_out("shop", PLAIN, lambda facade: facade.create("shop", "shop", "v9"), given=parts)


def test_lists(parts, capsys):
    Environments(parts, "me").create("shop", "shop", "v1")
    assert main(["env", "list", "--format", "json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["Name"], row["Version"], row["Status"], row["Health"]) == (
        "shop",
        "v1",
        "Ready",
        "Severe",
    )  # no containers
    assert main(["env", "health", "shop", "--format", "json"]) == 0
    assert [one["Name"] for one in json.loads(capsys.readouterr().out)["Instances"]] == ["i-1"]
    assert main(["env", "health", "shop"]) == 0
    assert capsys.readouterr().out.startswith("shop: Severe (red)\n  ")
    assert main(["env", "status", "shop"]) == 0
    assert "Health:      Severe (red)\n" in capsys.readouterr().out
    assert main(["env", "open", "shop"]) == 0
    assert capsys.readouterr().out == f"{row['URL']}\n"
    assert main(["env", "history", "shop", "--format", "{{.Number}} {{.To}} {{.Result}}"]) == 0
    assert capsys.readouterr().out == "1 v1 succeeded\n"
    assert main(["env", "events", "shop"]) == 0
    assert "succeeded" in capsys.readouterr().out
    assert main(["app", "versions", "shop", "--format", "{{.Label}}"]) == 0
    assert capsys.readouterr().out == "v2\nv1\n"


def test_names_alone(parts, capsys):
    Environments(parts, "me").create("shop", "shop", "v1")
    for argv, said in ((["env", "list"], "shop"), (["app", "list"], "shop"), (["env", "history", "shop"], "1")):
        assert main([*argv, "-q"]) == 0
        assert capsys.readouterr().out == f"{said}\n"


@pytest.fixture
def told(parts, monkeypatch, capsys):
    """What a command line prints, on fakes; `--format json` as a value."""
    monkeypatch.setattr("wherry.deploy.parts.open_parts", lambda *_: parts)

    def run(*argv, code=0):
        assert main([*argv, "--format", "json"]) == code
        return json.loads(capsys.readouterr().out)

    return run


def states(found):
    return {one["State"] for one in found["Steps"]}


def test_every_operation_tells_programs_what_it_came_to(told):
    made = told("env", "create", "shop", "--app", "shop", "--from", "v1", "--min", "2", "--max", "7")
    assert {key: made[key] for key in ("Environment", "Operation", "State", "Deployment", "From", "To", "Result")} == {
        "Environment": "shop",
        "Operation": "create",
        "State": "done",
        "Deployment": 1,
        "From": "",
        "To": "v1",
        "Result": "succeeded",
    }
    assert states(made) == {"done"}
    assert "max: 7" in main_text(told("env", "config", "get", "shop"))
    planned = told("deploy", "shop", "--version", "v2", "--dry-run", "--policy", "rolling", "--batch", "2")
    assert (planned["State"], planned["Steps"]) == ("", [])
    assert any("v2" in one for one in planned["Plan"])
    deployed = told("deploy", "shop", "--version", "v2", "--policy", "rolling", "--batch", "2", "--replace-accessories")
    assert (deployed["Deployment"], deployed["From"], deployed["To"], deployed["Policy"]) == (2, "v1", "v2", "rolling")
    assert sum(one["Step"].startswith("Take i-1 and i-2 out") for one in deployed["Steps"]) == 1
    assert deployed["Said"].startswith("Deployment 2 of version v2, in place of v1, succeeded")
    back = told("env", "rollback", "shop", "--to", "1", "-m", "again")
    assert (back["Operation"], back["To"]) == ("rollback", "v1")
    for argv, operation in (
        (("restart", "shop"), "restart"),
        (("rebuild", "shop", "--yes"), "rebuild"),
        (("scale", "shop", "3"), "scale"),
        (("set", "shop", "-e", "A=b"), "configuration"),
        (("unset", "shop", "-e", "A"), "configuration"),
        (("clone", "shop", "other"), "create"),
        (("swap", "shop", "other"), "swap"),
        (("terminate", "other", "--yes"), "terminate"),
        (("restore", "other"), "restore"),
    ):
        found = told("env", *argv)
        assert (found["Operation"], found["Result"]) == (operation, "succeeded"), argv
    nothing = told("env", "set", "shop", "drain=3")
    assert (nothing["Operation"], nothing["Said"]) == ("", "Settings of shop changed: drain=3.")
    assert told("env", "abort", "shop")["Operation"] == ""
    assert told("env", "recover", "shop") == {"Environment": "shop", "Done": []}
    assert told("env", "open", "shop") == {"Environment": "shop", "URL": "http://other.localhost"}
    assert told("env", "config", "save", "shop", "kept") == {"Title": "kept", "Application": "shop"}
    assert told("env", "config", "apply", "shop", "kept")["Environment"] == "shop"
    assert told("env", "config", "delete", "shop", "kept") == {"Title": "kept", "Application": "shop"}
    assert told("app", "delete", "shop:v2") == {"Application": "shop", "Version": "v2"}


def main_text(value):
    return "\n".join(f"{key}: {one}" for key, one in value["settings"].items())


def test_an_operation_that_fails_tells_programs_too(told, parts, capsys):
    told("env", "create", "shop", "--app", "shop", "--from", "v1")
    parts.balancer._world.fails.add("v2")
    assert main(["deploy", "shop", "--version", "v2", "--format", "json"]) == 1
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert (found["Result"], found["State"], found["To"]) == ("failed", "undone", "v2")
    assert found["Cause"] == "web of i-2 exited with code 1"
    assert found["Said"] in err


def test_a_template_that_cannot_be_read_is_refused_before_anything_is_done(told, parts, capsys):
    told("env", "create", "shop", "--app", "shop", "--from", "v1")
    for argv in (
        ["deploy", "shop", "--version", "v2"],
        ["env", "create", "other", "--app", "shop", "--from", "v1"],
        ["env", "abort", "shop"],
        ["app", "delete", "shop:v2"],
    ):
        assert main([*argv, "--format", "{{.Result"]) != 0
        assert "bug" not in capsys.readouterr().err
    assert [one.label for one in parts.records.versions("shop")] == ["v2", "v1"]
    assert [one.name for one in parts.records.environments()] == ["shop"]
    assert parts.records.environment("shop").version == "v1"


def test_a_dry_run_forgets_nothing(told, parts, capsys):
    told("env", "create", "shop", "--app", "shop", "--from", "v1")
    assert main(["env", "terminate", "shop", "--yes"]) == 0
    capsys.readouterr()
    assert main(["env", "terminate", "shop", "--purge", "--dry-run"]) == 0
    assert capsys.readouterr().out == "shop would be forgotten\n"
    assert parts.records.environment("shop").terminated
    assert main(["env", "terminate", "shop", "--purge", "--yes"]) == 0
    with pytest.raises(NotFound):
        parts.records.environment("shop")


def test_what_was_cut_off_is_taken_up_by_recover_and_taken_back_by_abort(told, parts):
    told("env", "create", "shop", "--app", "shop", "--from", "v1")
    world = parts.balancer._world
    for word, result in (("recover", "succeeded"), ("abort", "aborted")):
        world.kill_at = len(world.calls) + 4
        with pytest.raises(Killed):
            Environments(parts, "me").deploy("shop", "v2" if word == "recover" else "v1")
        world.kill_at = -1
        found = told("env", word, "shop")
        assert found["Done"] if word == "recover" else (found["Result"], found["State"]) == ("aborted", "undone")
        assert parts.records.history.deployments("shop")[0].result == result


def test_who_sets_a_variable_as_a_setting_is_told_how_it_is_done(parts, capsys):
    Environments(parts, "me").create("shop", "shop", "v1")
    assert main(["env", "set", "shop", "DATABASE_URL=x"]) == 1
    assert "a variable of the services is given with --env NAME=VALUE" in capsys.readouterr().err


def test_jobs_are_listed_with_their_next_time_and_last_run(parts, monkeypatch, capsys):
    monkeypatch.setattr("wherry.deploy.parts.open_parts", lambda *_: parts)
    jobs = [
        Job("ask", "30 6 * * *", timezone="Europe/Berlin", url="/tasks/ask"),
        Job("tidy", "0 * * * *", service="web", command=("tidy", "--all")),
    ]
    parts.versions.models["/project"] = {**MODEL, KEY: [one._asdict() for one in jobs]}
    Applications(parts).add_version("shop", ProjectOptions({}, "/project"), label="jobs")
    Environments(parts, "me").create("shop", "shop", "jobs", settings={"backup.schedule": "0 3 * * *"})
    schedules = Schedules(parts, lambda *_: "well")
    for moment in (1_700_000_000, 1_700_003_600):
        for thread in schedules.due(moment):
            thread.join()
    monkeypatch.setattr("wherry.cli.verbs.env_jobs.system_clock", lambda: 1_700_003_600_000_000_000)
    assert main(["env", "jobs", "shop", "--format", "json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["Job"], one["Schedule"], one["Does"], one["Next"], one["Result"]) for one in rows] == [
        ("ask", "30 6 * * * Europe/Berlin", "POST /tasks/ask", "2023-11-15T05:30:00Z", "-"),
        ("tidy", "0 * * * *", "tidy --all", "2023-11-15T00:00:00Z", "succeeded"),
        ("backup of accessories", "0 3 * * *", "wherry env backup create", "2023-11-15T03:00:00Z", "-"),
    ]
    assert main(["env", "jobs", "shop", "--runs", "--format", "{{.Job}} {{.Planned}} {{.Result}} {{.Detail}}"]) == 0
    assert capsys.readouterr().out == "tidy 2023-11-14T23:00:00Z succeeded well\n"
    assert main(["env", "jobs", "shop"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["JOB", "SCHEDULE", "DOES", "NEXT", "LAST", "RESULT"]


def test_requests_are_shown_as_the_balancer_logs_them(told, parts, capsys):
    told("env", "create", "shop", "--app", "shop", "--from", "v1")
    parts.balancer.records += [
        AccessRecord(1e9 + 0.5, "shop", "web", "i-1", 200, 12.4, "GET", "/a", "10.0.0.7"),
        AccessRecord(1e9 + 1, "shop", "web-8080", "i-2", 500, 3.0, "POST", "/b", "10.0.0.7"),
        AccessRecord(1e9 + 2, "shop", "web", "", 503, 0.0, "GET", "/c", "::1"),
    ]
    lines = [
        '2001-09-09T01:46:40.5Z 10.0.0.7 "GET /a" 200 12ms i-1/web',
        '2001-09-09T01:46:41Z 10.0.0.7 "POST /b" 500 3ms i-2/web-8080',
        '2001-09-09T01:46:42Z ::1 "GET /c" 503 0ms -',
    ]
    for words, wanted in (((), lines), (("-n", "1"), lines[2:]), (("--instance", "i-2"), lines[1:2])):
        assert main(["env", "logs", "shop", "--access", *words]) == 0
        assert capsys.readouterr().out.splitlines() == wanted
    assert main(["env", "logs", "shop", "--access", "--service", "web", "--format", "{{.Status}} {{.Time}}"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["200", "500", "503"]


def test_lines_of_logs_for_programs(told, parts, capsys):
    told("env", "create", "shop", "--app", "shop", "--from", "v1")
    lines = [LogLine("i-1", "web", 1_000_000_000, 1, b"hello\n"), LogLine("i-1", "web", 2_000_000_000, 2, b"caf\xe9\n")]
    parts.target.logs = lambda *_, **__: iter(lines)
    assert main(["env", "logs", "shop", "--format", "json"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"Instance": "i-1", "Service": "web", "Time": "1970-01-01T00:00:01Z", "Stream": "stdout", "Text": "hello"},
        {"Instance": "i-1", "Service": "web", "Time": "1970-01-01T00:00:02Z", "Stream": "stderr", "Text": "caf\ufffd"},
    ]
    assert main(["env", "logs", "shop", "--format", "json", "-o", "x.tar.gz"]) != 0


def test_times_are_for_people_in_tables_and_exact_in_json(parts, capsys):
    Environments(parts, "me").create("shop", "shop", "v1")
    assert main(["app", "versions", "shop"]) == 0
    assert " ago " in capsys.readouterr().out
    assert main(["app", "versions", "shop", "--format", "json"]) == 0
    assert parse_rfc3339(json.loads(capsys.readouterr().out.splitlines()[0])["Created"])
    assert main(["env", "history", "shop"]) == 0
    assert " ago " in capsys.readouterr().out


def test_saved_configurations(parts, capsys, tmp_path):
    facade = Environments(parts, "me")
    facade.create(
        "shop", "shop", "v1", settings={"max": "9"}, variables={"A": "1"}, secrets=[Secret("TOKEN", "s3cret")]
    )
    assert main(["env", "config", "save", "shop", "small"]) == 0
    assert main(["env", "config", "save", "shop", "small"]) == 1
    assert "--force replaces it" in capsys.readouterr().err
    assert main(["env", "config", "save", "--force", "shop", "small"]) == 0
    capsys.readouterr()
    for argv in (["list"], ["list", "shop"], ["ls", "--app", "shop"]):
        assert main(["env", "config", *argv, "-q"]) == 0
        assert capsys.readouterr().out == "small\n"
    assert main(["env", "config", "get", "shop", "--saved", "small"]) == 0
    text = capsys.readouterr().out
    assert text == "settings:\n  max: 9\nvariables:\n  A: 1\nsecrets:\n  TOKEN: variable\n"
    assert main(["env", "config", "get", "--all"]) == 0
    assert "# policy: rolling-additional  # How a version replaces another" in capsys.readouterr().out
    assert main(["env", "create", "new", "--app", "shop", "--from", "v1", "--config", "small"]) == 1
    assert "needs the secret TOKEN" in capsys.readouterr().err
    assert main(["env", "config", "delete", "shop", "small"]) == 0
    assert parts.records.configurations("shop") == []
    (tmp_path / "wrong.yaml").write_text("settings: {polcy: x}")
    assert main(["env", "config", "put", "shop", str(tmp_path / "wrong.yaml")]) == 1
    assert f"{tmp_path}/wrong.yaml, line 1: settings.polcy" in capsys.readouterr().err
    (tmp_path / "wrong.yaml").write_bytes(b"\xff\xfe")
    assert main(["env", "config", "put", "shop", str(tmp_path / "wrong.yaml")]) == 1
    assert "is not text" in capsys.readouterr().err


def test_whoever_acts_has_a_name(monkeypatch):
    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.delenv("USER", raising=False)
    assert who() == pwd.getpwuid(os.getuid()).pw_name
    monkeypatch.setenv("USER", "ana")
    assert who() == "ana"
    monkeypatch.setenv("SUDO_USER", "ben")
    assert who() == "ben"


def test_an_application_is_forgotten_with_what_is_kept_of_its_environments(parts):
    facade = Environments(parts, "me")
    facade.create("shop", "shop", "v1")
    facade.terminate("shop")
    kept = Path(f"{parts.layout.root}/environments/shop/logs")
    kept.mkdir(parents=True)
    assert main(["app", "delete", "shop"]) == 0
    assert not kept.exists()
    assert parts.records.history.events("shop") == []


def test_a_name_that_is_taken_is_refused_before_anything_is_made(parts, capsys):
    facade = Environments(parts, "me")
    facade.create("shop", "shop", "v1")
    new = ["env", "create", "--app", "shop", "--from", "v1"]
    assert main([*new, "shop"]) == 1
    assert "there is an environment shop" in capsys.readouterr().err
    assert main([*new, "other", "--host", "Shop.localhost"]) == 1
    assert "has the host shop.localhost" in capsys.readouterr().err
    facade.terminate("shop")
    assert main([*new, "shop"]) == 1
    assert "`wherry env restore shop` brings it back" in capsys.readouterr().err


def test_a_certificate_is_asked_for_where_nobody_else_does(parts):
    Environments(parts, "me").create("shop", "shop", "v1")
    assert issue_where_wanted(parts, "shop", {"tls": "local"}, PLAIN) == 0
    with FileLock(f"{parts.layout.locks}/serve"):
        assert issue_where_wanted(parts, "shop", {"tls": "acme"}, PLAIN) == 0
    with pytest.raises(Conflict, match="does not get its certificate by ACME"):
        issue_where_wanted(parts, "shop", {"tls": "acme"}, PLAIN)


def test_logs_are_a_bundle_with_a_file_for_each_service_of_each_instance(tmp_path):
    lines = [LogLine("i-1", "web", 10**18, 1, b"one\n"), LogLine("", "db", 10**18, 2, b"two")]
    lines += [LogLine(f"i-{number}", "web", 10**18, 1, b"more\n") for number in (*range(1, 250), 1)]
    assert write_bundle(str(tmp_path / "logs.tar.gz"), "shop", lines) == 250
    assert (tmp_path / "logs.tar.gz").stat().st_mode & 0o77 == 0
    with tarfile.open(tmp_path / "logs.tar.gz") as archive:
        read = {one.name: archive.extractfile(one).read() for one in archive}
    assert read["shop/accessories/db.log"] == b"2001-09-09T01:46:40Z err two\n"
    assert read["shop/i-1/web.log"].count(b"\n") == 3
    assert read["shop/i-249/web.log"] == b"2001-09-09T01:46:40Z out more\n"


NEW = ["env", "create", "new", "--from", "v1", "--app", "shop"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["deploy", "nosuch", "--version", "v1"], "wherry env create nosuch"),
        (["env", "nosuch"], "wherry env --help"),
        (["env", "set", "shop"], "nothing to set"),
        (["env", "set", "shop", "polcy=rolling"], "did you mean policy"),
        (["env", "set", "shop", "--env", "NAME"], "NAME=VALUE"),
        (["env", "scale", "shop", "many"], "no count"),
        (["env", "terminate", "nosuch", "-y"], "no environment nosuch"),
        (["deploy", "shop", "--version", "v1", "--policy", "fast"], "there is no policy fast"),
        (["deploy", "shop", "--batch", "x"], "batch=x"),
        ([*NEW, "--host", "not a host"], "no host name"),
        ([*NEW, "--host", "x:80"], "no host name"),
        ([*NEW, "-e", "A B=c"], "no name for a variable"),
        ([*NEW, "--secret-file", "a/b=/dev/null"], "no name for a"),
        ([*NEW, "--secret-file", "..=/dev/null"], "no name for a"),
        ([*NEW, "-e", "A=1", "--secret", "A=/dev/null"], "A cannot be a variable and a secret at once"),
        ([*NEW, "--secret", "A=/dev/null", "--secret-file", "A=/dev/null"], "the secret A is given twice"),
        ([*NEW, "--secret", "A=-", "--secret-file", "B=-"], "standard input is read once"),
        (["app", "delete", "shop:"], "which version?"),
        (["app", "delete", ":v1"], "which application?"),
        (["app", "delete", "shop:v9"], "application shop has no version v9"),
        (["deploy", "shop", "--version", "v1", "--profile", "x"], "--profile is for a new one"),
        (["deploy", "--base-fallback", "some"], "none or distro"),
        (["env", "create", "new", "--from", "v1", "--label", "x"], "--label is for a new version"),
        (["env", "set", "shop", "nothing-alike=1"], "wherry env config get --all"),
        (["env", "config", "get"], "which environment?"),
        (["env", "config", "delete", "small"], "which one?"),
        (["env", "logs", "shop", "--all", "--tail", "3"], "--all and --tail contradict"),
        (["env", "logs", "shop", "-f", "--output", "x"], "--output and --follow contradict"),
    ],
)
def test_what_is_refused_says_why(parts, argv, words, capsys):
    assert main(argv) != 0
    assert words in capsys.readouterr().err


def project(directory, text='services: {web: {image: web, ports: ["80"]}}'):
    directory.mkdir()
    (directory / "compose.yaml").write_text(text)
    return directory


def test_a_dry_run_plans_what_would_be_made_here(parts, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(project(tmp_path / "shop"))
    assert main(["env", "create", "new", "--dry-run", "--min", "2"]) == 0
    told = capsys.readouterr()
    assert "Version v3: built from here" in told.err
    assert "Start instance i-2 with version v3" in told.out
    Environments(parts, "me").create("shop", "shop", "v1")
    assert main(["deploy", "--dry-run", "--label", "next"]) == 0
    assert "with version next" in capsys.readouterr().out
    assert [one.label for one in parts.records.versions("shop")] == ["v2", "v1"]
    (tmp_path / "shop/compose.yaml").write_text("services: {web: {image: web}}\nx-wherry: {routs: []}")
    assert main(["deploy", "--dry-run"]) == 1
    assert "did you mean routes?" in capsys.readouterr().err


def test_a_project_can_come_from_standard_input(parts, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(project(tmp_path / "elsewhere"))
    monkeypatch.setattr("sys.stdin", io.StringIO('{name: shop, services: {web: {image: web, ports: ["80"]}}}'))
    assert main(["env", "create", "new", "-f", "-", "--dry-run"]) == 0
    assert "Start instance i-1 with version v3" in capsys.readouterr().out


@pytest.mark.parametrize("file", ["compose.yaml", "Dockerfile"])
def test_an_application_is_named_as_its_directory(parts, tmp_path, monkeypatch, capsys, file):
    (tmp_path / "My_Shop").mkdir()
    text = {"Dockerfile": "FROM scratch\nEXPOSE 80\n", "compose.yaml": "services: {web: {image: web}}"}[file]
    (tmp_path / "My_Shop" / file).write_text(text)
    monkeypatch.chdir(tmp_path / "My_Shop")
    assert main(["deploy"]) == 1
    assert "application my-shop has no environment" in capsys.readouterr().err
    assert main(["env", "create", "new", "--dry-run"]) == 0
    assert "Start instance i-1 with version v1" in capsys.readouterr().out


def test_logs_of_what_never_was_are_refused(parts, capsys):
    Environments(parts, "me").create("shop", "shop", "v1")
    assert main(["env", "logs", "shop"]) == 0
    assert main(["env", "logs", "shop", "--instance", "i-99", "--service", "webb"]) == 1
    assert "shop has no logs of i-99 and webb" in capsys.readouterr().err


def test_a_version_without_routes_has_no_address(parts, tmp_path, monkeypatch, capsys):
    parts.versions.models["/project"] = {"services": {"web": {"image": "web"}}}
    said = []
    Applications(parts).add_version("shop", ProjectOptions({}, "/project"), label="idle", warn=said.append)
    assert said == ["no service publishes a port, and x-wherry.routes says nothing: no requests lead to this version"]
    Environments(parts, "me").create("shop", "shop", "idle")
    assert main(["env", "open", "shop"]) == 1
    assert "shop has no address" in capsys.readouterr().err


def test_the_only_environment_of_an_application(parts):
    facade = Environments(parts, "me")
    with pytest.raises(NotFound):
        only_environment(facade, "shop")
    facade.create("one", "shop", "v1")
    assert only_environment(facade, "shop") == "one"
    facade.create("two", "shop", "v1")
    with pytest.raises(InvalidInput, match="one, two"):
        only_environment(facade, "shop")


def test_waiting_for_another_operation_is_no_step_that_could_be_aborted():
    watched = Watched(nobody)
    watched(Started("wait-shop", ""))
    assert not watched.begun
    watched(Started("1.0", ""))
    assert watched.begun


def test_secrets_come_from_files(tmp_path):
    (tmp_path / "key").write_text("s3cret\n")
    variable, file = read_secrets([f"A={tmp_path}/key"], [f"B={tmp_path}/key"])
    assert (variable.value, variable.file) == ("s3cret", False)
    assert (file.value, file.file) == ("s3cret\n", True)


def test_pairs_keep_further_equals_signs():
    assert pairs(["A=b=c", "D="], "a variable") == {"A": "b=c", "D": ""}


def test_operations_leave_no_thread_behind(parts):
    before = threading.active_count()
    carry_out("shop", PLAIN, lambda facade: facade.create("shop", "shop", "v1"), given=parts)
    assert threading.active_count() == before


@pytest.mark.parametrize("word", [*_WORDS])
def test_every_word_of_env_is_there(word, capsys):
    assert main(["env", word, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage:  wherry env {word}")


def test_a_line_of_a_log_says_whose_it_is():
    assert shown(LogLine("i-1", "web", 1, 1, b"hello\n")) == b"i-1/web  | hello\n"
    assert shown(LogLine("", "db", 1, 1, b"up")) == b"db  | up\n"


class Interrupted:
    """An operation that goes on until it is aborted; Ctrl-C comes while it does."""

    def __init__(self):
        self.aborted = threading.Event()

    def abort(self, name):
        self.aborted.set()

    def work(self):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        assert self.aborted.wait(30)
        return Outcome("shop", ())


def test_ctrl_c_aborts_what_has_begun_and_waits_for_its_end():
    one, watched = Interrupted(), Watched(nobody)
    watched(Started("1.0", ""))
    assert _interruptible("shop", one, watched, one.work) == Outcome("shop", ())
    assert one.aborted.is_set()


class Lasting(Interrupted):
    """One that is interrupted when its caller waits, and whose way back takes its time."""

    def work(self):
        threading.Event().wait(0.2)
        outcome = super().work()
        threading.Event().wait(0.2)
        return outcome


def test_ctrl_c_waits_for_an_end_that_takes_its_time():
    one, watched = Lasting(), Watched(nobody)
    watched(Started("1.0", ""))
    assert _interruptible("shop", one, watched, one.work) == Outcome("shop", ())


def test_ctrl_c_while_waiting_aborts_nothing():
    one = Interrupted()
    assert _interruptible("shop", one, Watched(nobody), one.work) is None
    assert not one.aborted.is_set()
    one.aborted.set()
