"""The command line of `compose`: what needs no container."""

import json

import pytest

from wherry.base.progress import Finished, Output, Started, Warned
from wherry.cli.composelogs import LogPrinter
from wherry.cli.composeprogress import ComposeProgress
from wherry.cli.main import main
from wherry.cli.verbs import compose_logs
from wherry.compose.state import ObservedContainer
from wherry.runtime.logs import LogRecord

COMMANDS = (
    "attach build config cp create down events exec images kill logs ls pause port ps pull push restart rm run start"
    " stop top unpause up version wait"
).split()


@pytest.fixture
def project(tmp_path, monkeypatch):
    directory = tmp_path / "shop"
    directory.mkdir()
    monkeypatch.chdir(directory)
    for name in ("COMPOSE_FILE", "COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES"):
        monkeypatch.delenv(name, raising=False)
    (directory / "compose.yaml").write_text(
        "services:\n  web: {image: 'w:1', depends_on: [db], volumes: ['data:/d']}\n  db: {build: .}\n"
        "  extra: {image: e, profiles: [more]}\nvolumes: {data: , spare: }\n"
    )
    return directory


def run(capsys, *arguments):
    code = main(["compose", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_help_lists_every_command(capsys):
    for words in ([], ["--help"], ["help"]):
        code, out, _ = run(capsys, *words)
        assert code == 0
        assert all(f"\n  {name} " in out for name in COMMANDS)
    for name in COMMANDS:
        code, out, _ = run(capsys, name, "--help")
        assert (code, out.partition("\n")[0].split()[:4]) == (0, ["Usage:", "wherry", "compose", name])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pss"], "did you mean"),
        (["--ansi", "sometimes", "ps"], "never, always, auto"),
        (["--progress", "loud", "ps"], "progress"),
        (["config", "--format", "xml"], "yaml or json"),
        (["config", "nobody"], "no such service: nobody"),
        (["up", "--build", "--no-build"], "incompatible"),
        (["up", "--force-recreate", "--no-recreate"], "incompatible"),
        (["up", "-d", "--abort-on-container-exit"], "incompatible"),
        (["up", "--scale", "web"], "SERVICE=NUM"),
        (["up", "--watch"], "not supported"),
        (["down", "--rmi", "some"], "local or all"),
        (["-f", "gone.yaml", "config"], "gone.yaml"),
        (["--compatibility", "ps"], "not supported"),
    ],
)
def test_mistakes(project, capsys, arguments, words):
    code, out, err = run(capsys, *arguments)
    assert code != 0
    assert words in err
    assert out == ""


@pytest.mark.parametrize(
    ("arguments", "out"),
    [
        (["--services"], "db\nweb\n"),
        (["--volumes"], "data\n"),
        (["--networks"], "default\n"),
        (["--images"], "shop-db\nw:1\n"),
        (["--profiles"], "more\n"),
        (["-q"], ""),
    ],
)
def test_config_lists(project, capsys, arguments, out):
    assert run(capsys, "config", *arguments)[:2] == (0, out)


def test_config_prints_and_writes(project, capsys):
    _, text, _ = run(capsys, "config")
    assert text.startswith("name: shop\nservices:\n  db:\n    build:\n")
    _, out, _ = run(capsys, "config", "-o", "model.yaml")
    assert (out, (project / "model.yaml").read_text()) == ("", text)
    model = json.loads(run(capsys, "config", "--format", "json", "db")[1])
    assert list(model["services"]) == ["db"]
    assert model["services"]["db"]["command"] is None
    _, out, _ = run(capsys, "config", "--hash", "*")
    assert [line.split()[0] for line in out.splitlines()] == ["db", "web"]
    assert run(capsys, "--all-resources", "config", "--volumes")[1] == "data\nspare\n"
    assert run(capsys, "--profile", "more", "config", "--services")[1] == "db\nextra\nweb\n"
    assert run(capsys, "-p", "other", "config")[1].startswith("name: other\n")


def test_version(capsys):
    number = run(capsys, "version", "--short")[1].strip()
    assert number in run(capsys, "--version")[1]
    assert "version" in json.loads(run(capsys, "version", "-f", "json")[1])


class Stream:
    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass

    def isatty(self):
        return False


def told(style, *events, colours=False):
    stream = Stream()
    sink = ComposeProgress(stream, style, colours=colours)
    for event in events:
        sink(event)
    return stream.text


def test_progress_in_every_style():
    events = [
        Started("1", "Container a-1  Creating"),
        Finished("1"),
        Started("2", "Container a-1  Starting"),
        Finished("2", error="no"),
        Warned("careful"),
        Started("3", "[1/1] FROM x"),
        Output("3", 1, b"hello\n"),
    ]
    plain = told("plain", *events)
    assert plain.startswith(
        " Container a-1  Creating\n Container a-1  Created\n Container a-1  Starting\n Container a-1  Error\n"
        "WARNING: careful\n#1 [1/1] FROM x\n"
    )
    assert told("quiet", *events) == "WARNING: careful\n"
    assert "\x1b[32mCreated" in told("auto", *events, colours=True)
    lines = [json.loads(line) for line in told("json", *events[:4]).splitlines()]
    assert [line["text"] for line in lines] == ["Creating", "Created", "Starting", "Error"]
    assert lines[3]["details"] == "no"


def test_lines_get_the_names_of_their_containers(capfdbinary):
    first, second = ObservedContainer("1", "p-a-1", {}), ObservedContainer("2", "p-longer-1", {})
    printer = LogPrinter("p", prefix=True, colours=False)
    printer.expect([first.name, second.name])
    printer(first, LogRecord("t", 1, b"one "))
    printer(second, LogRecord("t", 1, b"two\n"))
    printer(first, LogRecord("t", 1, b"line\n"))
    assert capfdbinary.readouterr().out == b"longer-1  | two\na-1       | one line\n"
    LogPrinter("p", prefix=True, colours=True)(first, LogRecord("t", 1, b"x\n"))
    assert capfdbinary.readouterr().out == b"\x1b[36ma-1  | \x1b[0mx\n"
    LogPrinter("p", prefix=False, colours=True, timestamps=True)(first, LogRecord("t", 1, b"x\n"))
    assert capfdbinary.readouterr().out == b"t x\n"


def test_events_are_what_changed_between_two_looks():
    one = ObservedContainer("1", "a", {}, "created")
    running = one._replace(status="running")

    def changes(before, now):
        return [action for action, _ in compose_logs.changes({x.id: x for x in before}, {x.id: x for x in now})]

    assert changes([], [one]) == ["create"]
    assert changes([], [running]) == ["create", "start"]
    assert changes([running], [one._replace(status="exited")]) == ["die"]
    assert changes([running], [one._replace(status="paused")]) == ["pause"]
    assert changes([one._replace(status="paused")], [running]) == ["unpause"]
    assert changes([running], []) == ["die", "destroy"]
    assert changes([running], [running._replace(name="b")]) == ["rename"]
    assert changes([running], [running._replace(health="healthy")]) == ["health_status: healthy"]
