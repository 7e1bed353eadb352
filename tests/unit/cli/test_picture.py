"""The live picture of an operation, on a terminal that remembers what was drawn."""

import os
import threading

import pytest

from screen import Screen
from wherry.base.errors import NotFound, OperationFailed
from wherry.base.paths import Layout
from wherry.base.progress import Advanced, Finished, Output, Started, Turned, Warned
from wherry.cli import deploying
from wherry.cli.deploying import OPERATION, carry_out
from wherry.cli.flags import Command
from wherry.cli.picture import Picture
from wherry.compose.location import ProjectOptions
from wherry.deploy.applications import Applications
from wherry.deploy.environments import Environments
from wherry.deploy.fakes import World, fake_parts
from wherry.deploy.status import take_status

MODEL = {"services": {"web": {"image": "web", "ports": [{"target": 80}]}}, "networks": {"default": {}}}


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


PLAIN = Command("wherry", "", "", OPERATION).parse([])


@pytest.fixture
def screen():
    made = Screen(90, 24)
    yield made
    made.stream.close()
    os.close(made.master)


@pytest.fixture
def world():
    return World()


@pytest.fixture
def parts(tmp_path, world):
    made = fake_parts(Layout(str(tmp_path / "root"), str(tmp_path / "run")), world)
    made.versions.models["/project"] = MODEL
    for _ in range(2):
        Applications(made).add_version("shop", ProjectOptions({}, "/project"))
    return made


@pytest.fixture
def shop(parts):
    Environments(parts, "me").create("shop", "shop", "v1", settings={"min": "2"})
    return lambda: take_status(parts, "shop", is_held=lambda _: True)


def missing():
    raise NotFound("there is no environment shop")


def test_steps_with_their_time_stand_above_the_instances(screen, shop):
    clock = Clock()
    picture = Picture(screen.stream, shop, colours=False, clock=clock)
    picture(Started("1.0", "Start instance i-3"))
    picture(Started("1.1", "Start instance i-4"))
    clock.now += 1.5
    picture(Finished("1.0"))
    picture.look()
    picture.draw()
    lines = screen.read()
    assert lines[:3] == ["✓ Start instance i-3  1.5s", "• Start instance i-4  1.5s", ""]
    assert [line.split()[:4] for line in lines[4:]] == [
        ["i-1", "v1", "serving", "100"],
        ["i-2", "v1", "serving", "100"],
        ["all", "-", "0"],
    ]


def test_a_frame_takes_the_place_of_the_one_before(screen, shop):
    clock = Clock()
    picture = Picture(screen.stream, shop, colours=False, clock=clock)
    picture(Started("1.0", "Check"))
    for _ in range(3):
        clock.now += 1
        picture.look()
        picture.draw()
    assert [line for line in screen.read() if "Check" in line] == ["• Check  3.0s"]


@pytest.mark.parametrize("columns", [20, 41, 89])
def test_a_terminal_made_narrower_keeps_no_rest(screen, shop, columns):
    picture = Picture(screen.stream, shop, colours=False, clock=Clock())
    picture(Started("1.0", "Check"))
    picture.look()
    picture.draw()
    screen.read()
    screen.resize(columns, 24)
    picture.draw()
    lines = screen.read()
    assert max(map(len, lines)) < columns
    assert len([line for line in lines if line.startswith("INSTANCE")]) == 1


@pytest.mark.parametrize("rows", [1, 3, 5, 8])
def test_a_frame_is_never_higher_than_the_terminal(screen, shop, rows):
    picture = Picture(screen.stream, shop, colours=False, clock=Clock())
    for number in range(9):
        picture(Started(f"1.{number}", "Start"))
    picture.look()
    screen.resize(90, rows)
    picture.draw()
    assert len(screen.read()) <= max(rows - 1, 2)


def test_what_programs_say_stays_as_lines_without_what_moves_the_cursor(screen):
    picture = Picture(screen.stream, missing, colours=False, clock=Clock())
    picture(Started("1.0", "Run the release step"))
    picture(Output("1.0", 1, b"one\r\ntw"))
    picture(Output("1.0", 1, b"o\n\x1b[2Athree"))
    picture.draw()
    assert screen.read() == ["  | one", "  | two", "• Run the release step  0.0s"]
    picture(Finished("1.0", error="exit code 1"))
    picture.draw()
    assert screen.read()[2:] == ["  | three", "✗ Run the release step  0.0s: exit code 1"]


def test_what_is_done_beside_the_steps_says_only_its_last_line(screen):
    picture = Picture(screen.stream, missing, colours=False, clock=Clock())
    picture.aside(Started("apt", "Build haproxy"))
    picture.aside(Output("apt", 1, b"one\ntwo\n"))
    picture.draw()
    assert screen.read() == ["• Build haproxy  0.0s", "  | two"]
    picture.aside(Advanced("apt", 3, 9))
    picture.draw()
    assert screen.read()[1] == "  | 3/9 bytes"
    picture.aside(Turned("apt", "Extracting"))
    picture.aside(Finished("apt", cached=True))
    picture.draw()
    assert screen.read() == ["= Build haproxy  0.0s"]


def test_the_end_leaves_steps_warnings_and_words_alone(screen, shop):
    with Picture(screen.stream, shop, colours=False) as picture:
        picture(Started("1.0", "Check"))
        picture.look()
        picture.draw()
        picture(Warned("mind the gap"))
        picture.say("Aborting")
        picture(Finished("1.0"))
    lines = screen.read()
    assert lines[:2] == ["WARNING: mind the gap", "Aborting"]
    assert [line.split("  ")[0] for line in lines[2:]] == ["✓ Check"]


@pytest.mark.parametrize("colours", [True, False])
def test_colours_are_only_there_where_they_are_wanted(screen, shop, colours):
    picture = Picture(screen.stream, shop, colours=colours, clock=Clock())
    picture(Started("1.0", "Check"))
    picture(Finished("1.0", error="it does not answer"))
    picture.look()
    picture.draw()
    written = os.read(screen.master, 65536).decode()
    assert ("\x1b[31m" in written) is colours
    assert ("m" in [part[:1] for part in written.split("\x1b[2")[1:]]) is colours


def test_it_looks_by_itself_once_a_step_has_begun_and_not_before(screen, shop):
    looked = threading.Event()

    def look():
        looked.set()
        return shop()

    with Picture(screen.stream, look) as picture:
        assert not looked.is_set()
        picture(Started("1.0", "Check"))
        assert looked.wait(30)


def test_an_environment_that_cannot_be_looked_at_has_no_table(screen, shop):
    found = [shop, missing]
    picture = Picture(screen.stream, lambda: found[0](), colours=False, clock=Clock())
    picture(Started("1.0", "Check"))
    picture.look()
    found[0] = missing
    picture.look()
    picture.draw()
    assert screen.read() == ["• Check  0.0s"]


class Torn:
    """A terminal that is gone."""

    def isatty(self):
        return True

    def fileno(self):
        raise ValueError("closed")

    def write(self, text):
        raise OSError(5, "Input/output error")

    def flush(self):
        raise OSError(5, "Input/output error")


def test_a_terminal_that_is_gone_does_not_harm_the_operation(parts, shop, monkeypatch, capsys):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", Torn())
    before = threading.active_count()
    assert carry_out("shop", PLAIN, lambda facade: facade.deploy("shop", "v2"), given=parts) == 0
    assert "Version v2 runs on 2 instances." in capsys.readouterr().out
    assert threading.active_count() == before


def test_a_deployment_is_drawn_on_a_terminal_and_nothing_of_it_stays_but_steps(
    parts, shop, screen, monkeypatch, capsys
):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stderr", screen.stream)
    assert carry_out("shop", PLAIN, lambda facade: facade.deploy("shop", "v2"), given=parts) == 0
    lines = screen.read()
    assert lines
    assert all(line.startswith("✓ ") for line in lines)
    assert deploying._ASIDE.sink is None
    assert "Version v2 runs on 2 instances." in capsys.readouterr().out


def test_a_failure_leaves_the_step_that_failed_with_its_reason(parts, shop, world, screen, monkeypatch):
    world.fails.add("v2")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stderr", screen.stream)
    with pytest.raises(OperationFailed):
        carry_out("shop", PLAIN, lambda facade: facade.deploy("shop", "v2"), given=parts)
    lines = screen.read()
    failed = [line for line in lines if line.startswith("✗ ")]
    assert "exited with code 1" in failed[0]
    assert not any("INSTANCE" in line for line in lines)


@pytest.mark.parametrize("terminal", ["dumb", "unknown"])
def test_a_terminal_without_a_cursor_gets_plain_lines(parts, shop, screen, monkeypatch, terminal):
    monkeypatch.setenv("TERM", terminal)
    monkeypatch.setattr("sys.stderr", screen.stream)
    assert carry_out("shop", PLAIN, lambda facade: facade.deploy("shop", "v2"), given=parts) == 0
    assert screen.read()[0].startswith("#1 ")
