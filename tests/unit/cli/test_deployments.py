"""The command line of deployments: on real records, and on fakes of everything else."""

import json
import signal
import threading

import pytest

from wherry.base.errors import InvalidInput, NotFound
from wherry.base.paths import Layout
from wherry.base.progress import Started, nobody
from wherry.cli.deploying import Watched, _interruptible, carry_out, only_environment, pairs, read_secrets
from wherry.cli.main import main
from wherry.cli.verbs.env import _WORDS
from wherry.cli.verbs.env_logs import shown
from wherry.compose.location import ProjectOptions
from wherry.deploy.applications import Applications
from wherry.deploy.environments import Environments, Outcome
from wherry.deploy.fakes import fake_parts
from wherry.deploy.target import LogLine

MODEL = {"services": {"web": {"image": "web", "ports": [{"target": 80}]}}, "networks": {"default": {}}}


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
    assert carry_out("shop", lambda facade: facade.create("shop", "shop", "v1"), given=parts) == 0
    assert "Version v1 runs on 1 instance." in capsys.readouterr().out
    assert carry_out("shop", lambda facade: facade.deploy("shop", "v2", dry_run=True), given=parts) == 0
    assert "with version v2" in capsys.readouterr().out


def test_a_failure_of_the_operation_is_raised_to_the_caller(parts):
    with pytest.raises(NotFound):
        carry_out("shop", lambda facade: facade.create("shop", "shop", "v9"), given=parts)


def test_lists(parts, capsys):
    Environments(parts, "me").create("shop", "shop", "v1")
    assert main(["env", "list", "--format", "json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["Name"], row["Version"], row["Status"]) == ("shop", "v1", "Ready")
    assert main(["env", "open", "shop"]) == 0
    assert capsys.readouterr().out == f"{row['URL']}\n"
    assert main(["env", "history", "shop", "--format", "{{.Number}} {{.To}} {{.Result}}"]) == 0
    assert capsys.readouterr().out == "1 v1 succeeded\n"
    assert main(["env", "events", "shop"]) == 0
    assert "succeeded" in capsys.readouterr().out
    assert main(["app", "versions", "shop", "--format", "{{.Label}}"]) == 0
    assert capsys.readouterr().out == "v2\nv1\n"


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
        (["deploy", "shop", "--dry-run"], "makes no version"),
    ],
)
def test_what_is_refused_says_why(parts, argv, words, capsys):
    assert main(argv) != 0
    assert words in capsys.readouterr().err


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
    carry_out("shop", lambda facade: facade.create("shop", "shop", "v1"), given=parts)
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
