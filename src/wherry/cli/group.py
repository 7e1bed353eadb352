"""Grouped commands (`container ls`) and the question before something is removed."""

from __future__ import annotations

import sys

from wherry.cli.flags import Help, Misuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["confirm", "dispatch"]


def dispatch(
    group: str, argv: list[str], verbs: Mapping[str, str], own: Mapping[str, Callable[[list[str]], int]]
) -> int:
    """Run `argv[1]`: one of the group's own words, or another name of a top-level verb."""
    word = argv[1] if argv[1:] else ""
    if word in ("", "--help", "-h", "help"):
        names = ", ".join(sorted({*verbs, *own}))
        text = f"Usage:  wherry {group} COMMAND\n\nCommands: {names}\n"
        if word:
            raise Help(text)
        print(text, file=sys.stderr)  # a script that lacks the word reads no help as if it were an answer
        return 0
    if word in own:
        return own[word](argv[2:])
    if word not in verbs:
        raise Misuse(f"unknown command: wherry {group} {word}", hint=f"See 'wherry {group} --help'.")
    from importlib import import_module

    from wherry.cli.main import module_of

    verb = verbs[word]
    code: int = import_module(module_of(verb)).run([verb, *argv[2:]])
    return code


def confirm(warning: str) -> bool:
    """Ask on the terminal; anything but y means no."""
    print(f"WARNING! {warning}\nAre you sure you want to continue? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
