"""Layers on their way, on a terminal and elsewhere."""

import io
import os

import pytest

from wherry.base.progress import Advanced, Finished, Started, Turned, Warned
from wherry.cli import transfers
from wherry.cli.transfers import layer_lines

EVENTS = [
    Started("aaa", "aaa: Pulling fs layer"),
    Started("bbb", "bbb: Pulling fs layer"),
    Turned("aaa", "Downloading"),
    Advanced("aaa", 500_000, 1_000_000),
    Turned("aaa", "Extracting"),
    Warned("careful"),
    Turned("aaa", "Pull complete"),
    Finished("aaa"),
    Turned("bbb", "Already exists"),
    Finished("bbb"),
]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(stream):
    sink = layer_lines(stream)
    for event in EVENTS:
        sink(event)
    return stream.getvalue()


def test_elsewhere_each_change_is_a_line():
    assert shown(io.StringIO()).splitlines() == [
        "aaa: Pulling fs layer",
        "bbb: Pulling fs layer",
        "WARNING: careful",
        "aaa: Pull complete",
        "bbb: Already exists",
    ]


def test_on_a_terminal_the_lines_are_drawn_anew(monkeypatch):
    monkeypatch.setattr(transfers, "_INTERVAL", 0.0)
    text = shown(Terminal())
    assert "aaa: Downloading [========================" in text
    assert "] 500kB/1MB" in text
    assert text.endswith("aaa: Pull complete\nbbb: Already exists\n")
    assert "\x1b[2A\x1b[J" in text


@pytest.mark.parametrize("rows", [3, 5])
def test_more_layers_than_rows_do_not_scroll(monkeypatch, rows):
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((80, rows)))
    stream = Terminal()
    sink = layer_lines(stream)
    for number in range(20):
        sink(Started(f"layer{number}", f"layer{number}: Pulling fs layer"))
    drawings = stream.getvalue().split("\x1b[J")
    assert max(drawing.count("\n") for drawing in drawings) <= rows
