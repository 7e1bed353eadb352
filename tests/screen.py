"""A terminal for tests: a pseudo terminal, and what would be seen on it."""

import fcntl
import os
import pty
import struct
import termios


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
