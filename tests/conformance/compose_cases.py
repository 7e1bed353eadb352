"""The Compose files below `compose/`: one point each, with the model (`model.yaml`) or the error that they must give.

`case.txt` says the point, and what the command line and the environment add. `$HERE` in a model is the directory.
"""

import os
from typing import NamedTuple

DIRECTORY = f"{os.path.dirname(__file__)}/compose"


class Case(NamedTuple):
    name: str
    directory: str
    cwd: str
    options: list
    stdin: str
    environment: dict


def cases():
    return [read_case(name) for name in sorted(os.listdir(DIRECTORY))]


def read_case(name):
    directory = f"{DIRECTORY}/{name}"
    said = {}
    with open(f"{directory}/case.txt") as file:
        for line in file:
            key, _, value = line.strip().partition(": ")
            said[key] = value
    options, _, stdin = said.get("options", "").partition(" < ")
    cwd = directory
    if options.startswith("(in "):
        cwd, options = f"{directory}/{options[4:-1]}", ""
    environment = dict(pair.split("=", 1) for pair in said.get("environment", "").split())
    environment.setdefault("HOME", "/root")
    return Case(name, directory, cwd, options.split(), f"{directory}/{stdin}" if stdin else "", environment)


def expected(case):
    """The model, or the error, as text with the case's directory in place of `$HERE`."""
    for name in ("model.yaml", "error.txt"):
        if os.path.exists(f"{case.directory}/{name}"):
            with open(f"{case.directory}/{name}") as file:
                return name, file.read().replace("$HERE", case.directory)
    raise AssertionError(f"{case.name} has neither model.yaml nor error.txt")
