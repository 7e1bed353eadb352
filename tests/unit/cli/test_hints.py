"""Every command that a message or docstring names in back quotes exists, with the flags that it is named with."""

import ast
import re
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import wherry
from wherry.cli.flags import Help
from wherry.cli.main import _VERBS, module_of
from wherry.cli.verbs.env import _WORDS

GROUPS = ("app", "base", "env", "network", "registry", "system", "volume")
FURTHER = ("backup", "certificate", "config")  # groups inside of env


def texts(tree):
    """String constants and f-strings, with an x for what is filled in; those of several literals are one."""
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "x" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value


def commands():
    found = set()
    for path in Path(wherry.__file__).parent.rglob("*.py"):
        for text in texts(ast.parse(path.read_text())):
            found.update(" ".join(one.split()) for one in re.findall(r"`wherry ([^`]*)`", text))
    return sorted(found)


@cache
def usage(*path):
    with pytest.raises(Help) as told:
        import_module(module_of(path[0])).run([*path, "--help"])
    return str(told.value)


def split(command):
    """The words that lead to the verb, and the flags."""
    words = command.split()
    count = 1 + (words[0] in GROUPS and len(words) > 1)
    count += words[:1] == ["env"] and words[1:2] != [] and words[1] in FURTHER and len(words) > 2
    count += words[0] == "serve" and {"user": 2, "audit": 1}.get("".join(words[1:2]), 0)
    return words[:count], re.findall(r"(?<!\S)--[a-z-]+", command)


def test_there_are_commands_to_look_at():
    assert len([one for one in commands() if one.startswith("env ")]) > 10


@pytest.mark.parametrize("command", [one for one in commands() if one.split()[0] in ("app", "deploy", "env", "serve")])
def test_it_exists(command):
    path, flags = split(command)
    assert path[0] in _VERBS
    if path[0] == "env" and path[1:]:
        assert path[1] in _WORDS
    if path == ["env"] or path[1:] == ["x"]:
        return
    said = usage(*path)
    for flag in flags:
        assert re.search(rf"{flag}\b", said), f"{flag} is no flag of {' '.join(path)}"
