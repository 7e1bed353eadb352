"""The user's terminal while a container has it: raw, its size passed on, put back whatever happens."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from wherry.runtime.attachment import Attachment

__all__ = ["Terminal", "parse_detach_keys", "proxy_signals"]

_PASSED = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGCONT", "SIGALRM")


class Terminal:
    """A context in which standard input is raw and the container's terminal has the size of ours."""

    def __init__(self) -> None:
        self._attributes: Any = None
        self._previous: Any = None

    def take(self, attachment: Attachment, *, raw: bool) -> None:
        """Keep the sizes equal and, where input is passed on, make the terminal raw.

        A standard input that is no terminal is left as it is.
        """
        import signal
        import termios
        import tty

        if not os.isatty(0):
            return
        self._attributes = termios.tcgetattr(0)
        if raw:
            tty.setraw(0)
        self._previous = signal.signal(signal.SIGWINCH, lambda _number, _frame: _resize(attachment))
        _resize(attachment)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self._attributes is not None:
            import signal
            import termios

            termios.tcsetattr(0, termios.TCSADRAIN, self._attributes)
            signal.signal(signal.SIGWINCH, self._previous or signal.SIG_DFL)


def _resize(attachment: Attachment) -> None:
    try:
        size = os.get_terminal_size(0)
    except OSError:
        return
    attachment.resize(size.lines, size.columns)


def proxy_signals(send: Callable[[str], None], *, terminal: bool) -> None:
    """Pass signals that reach this process on to the container."""
    import signal

    def handler(number: int, _frame: FrameType | None) -> None:
        send(signal.Signals(number).name)

    for name in _PASSED:
        if not (terminal and name == "SIGWINCH"):
            signal.signal(getattr(signal, name), handler)


def parse_detach_keys(text: str) -> bytes:
    """`ctrl-p,ctrl-q` as bytes; empty is that default."""
    from wherry.base.errors import InvalidInput

    keys = bytearray()
    for part in (text or "ctrl-p,ctrl-q").split(","):
        if len(part) == 1:
            keys += part.encode()
        elif part.startswith("ctrl-") and len(part) == 6 and (part[5].isalpha() or part[5] in "@[\\]^_"):
            keys.append(ord(part[5].upper()) & 0x1F)
        else:
            raise InvalidInput(f"invalid detach keys ({text}) provided", hint="write for instance ctrl-p,ctrl-q")
    return bytes(keys)
