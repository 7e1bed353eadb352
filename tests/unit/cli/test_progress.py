"""Progress on a terminal that is narrow, that is made narrower, and that is written all sorts of things to."""

import os

import pytest

from screen import Screen
from wherry.base.progress import Finished, Output, Started
from wherry.cli.progress import choose


@pytest.fixture
def screen():
    made = Screen(40, 24)
    yield made
    made.stream.close()
    os.close(made.master)


def test_long_lines_and_control_characters_are_cut_out(screen):
    show = choose("tty", screen.stream)
    show(Started("a", "RUN step"))
    show(Output("a", 1, b"x" * 200 + b"\n\x1b[31mred\x1b[0m\x1b[2A up\n\tafter a tab\n"))
    lines = screen.read()
    assert lines[0].startswith("• RUN step")
    assert lines[1:] == ["   " + "x" * 36, "   red up", "        after a tab"]


@pytest.mark.parametrize("columns", [17, 25, 39, 80])
def test_a_terminal_of_another_size_is_drawn_on_anew(screen, columns):
    show = choose("tty", screen.stream)
    show(Started("a", "a title that is rather long for it"))
    show(Output("a", 1, b"y" * 100 + b"\n"))
    screen.read()
    screen.resize(columns, 24)
    show(Finished("a"))
    assert "".join(screen.read()).startswith("✓ a title that is rather long for it")
    assert not any("y" in line or "•" in line for line in screen.lines)


def test_a_terminal_of_few_rows_keeps_the_title(screen):
    screen.resize(40, 4)
    show = choose("tty", screen.stream)
    show(Started("a", "RUN step"))
    show(Output("a", 1, b"one\ntwo\nthree\nfour\n"))
    lines = screen.read()
    assert [lines[0][:10], *lines[1:]] == ["• RUN step", "   three", "   four"]
