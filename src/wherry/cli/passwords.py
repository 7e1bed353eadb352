"""Passwords that are set: asked for on the terminal, twice, or read from standard input."""

from __future__ import annotations

import sys

from wherry.cli.flags import Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Parsed

__all__ = ["PASSWORD", "read_password"]

PASSWORD = Flag("password-stdin", "bool", "Read the password from standard input")


def read_password(parsed: Parsed) -> str:
    """Raises UsageError where there is no terminal to ask on, InvalidInput where it was given differently."""
    if parsed["password-stdin"]:
        return sys.stdin.read().rstrip("\r\n")
    from wherry.base.errors import InvalidInput, UsageError

    if not sys.stdin.isatty():
        raise UsageError("no terminal to ask for the password on", hint="give it with --password-stdin")
    from getpass import getpass

    password = getpass("Password: ")
    if getpass("Again: ") != password:
        raise InvalidInput("the passwords differ")
    return password
