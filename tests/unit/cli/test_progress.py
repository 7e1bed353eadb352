"""Progress on a terminal that is narrow, that is made narrower, and that is written all sorts of things to."""

import fcntl
import os
import pty
import struct
import termios

import pytest

from wherry.base.progress import Finished, Output, Started
from wherry.cli.progress import choose


class Screen:
    """A pseudo terminal, and what a terminal would show of what is written to it."""

    def __init__(self, columns, rows):
        self.master, slave = pty.openpty()
        self.stream = open(slave, "w", encoding="utf-8")
        self.lines, self.columns = [""], columns
        self.resize(columns, rows)

    def resize(self, columns, rows):
        fcntl.ioctl(self.stream.fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        broken = []
        for line in self.lines:
            broken += [line[start : start + columns] for start in range(0, len(line), columns)] or [""]
        self.lines, self.columns = broken, columns

    def read(self):
        self.stream.write("\0")  # a terminal hands on what is written to it in its own time
        self.stream.flush()
        data = b""
        while not data.endswith(b"\0"):
            data += os.read(self.master, 65536)
        text = data[:-1].decode().replace("\r\n", "\n")
        while text:
            if text.startswith("\x1b[") and (end := next(i for i, c in enumerate(text[2:], 2) if c.isalpha())):
                count, what, text = text[2:end], text[end], text[end + 1 :]
                if what == "A":
                    self.lines = [*self.lines[: -int(count) - 1], ""]
                continue
            letter, text = text[0], text[1:]
            if letter == "\n":
                self.lines.append("")
            elif letter != "\r":
                if len(self.lines[-1]) == self.columns:
                    self.lines.append("")
                self.lines[-1] += letter
        return self.lines[:-1]


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
