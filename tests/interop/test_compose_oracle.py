"""Debian's docker-compose (1.29) reads the conformance files: what it prints must mean what Wherry says they mean.

It is older than much of the specification: files that it cannot read are left out, and the few that it reads otherwise
are named here with the reason. Where it and Compose 2 differ, Wherry follows Compose 2.
"""

import os
import shutil
import subprocess

import pytest
from compose_cases import cases, expected

from wherry.compose import ProjectOptions, load_project
from wherry.compose.project import without_unused
from wherry.compose.readers import MemorySource
from wherry.compose.rendering import canonical_model, escape_dollars, to_yaml

COMPOSE = shutil.which("docker-compose")
pytestmark = pytest.mark.skipif(COMPOSE is None, reason="docker-compose is not installed")

NEWER = """
build-forms build-merge command-forms configs depends-on-forms depends-on-optional-undefined deploy develop
devices-hosts dotenv-option env-file-optional env-file-raw environment-forms extends-other-file extends-profile
extends-reset healthcheck hooks include include-long include-overridden interpolation-operators label-file
name-from-file name-option-wins name-variable null-override override-tag ports-long reset secrets volumes-long
yaml-documents yaml-numbers
""".split()  # of the specification than 1.29, which refuses these files

OTHERWISE = {
    "container-name-scaled": "1.29 finds out when it starts the containers",
    "duration-malformed": "1.29 finds out when it creates the container",
    "limits-conflict": "1.29 ignores deploy",
    "name-invalid": "1.29 takes out what a name may not have",
    "network-undefined": "1.29 finds out when it creates the container",
    "profiles-dependency-disabled": "1.29 finds out when it starts the services",
    "secret-undefined": "1.29 finds out when it creates the container",
    "secret-without-source": "1.29 finds out when it creates the container",
    "yaml-duplicate-key": "PyYAML takes the last",
    "anchors": "1.29 does not print x- keys",
    "extensions": "1.29 does not print x- keys",
    "depends-on-implied": "1.29 prints volumes_from with a prefix of its own",
    "env-file-order": "1.29 expands no variables within quotes of env files",
    "file-name-order": "1.29 prefers docker-compose.yml",
    "interpolation-keys": "keys with a dollar sign are printed with two",
    "network-aliases-merge": "1.29 prints an empty mapping for a network without wishes",
    "ports-merge": "1.29 keeps ports in the order of their texts",
    "ports-short": "1.29 prints IPv6 addresses without brackets",
    "profiles-on": "1.29 prints every service",
    "profiles-star": "1.29 knows no *",
    "profiles-variable": "1.29 prints every service",
}


def printed(case):
    environment = {"PATH": os.environ["PATH"], **case.environment}
    stdin = open(case.stdin) if case.stdin else subprocess.DEVNULL
    argv = [COMPOSE, *case.options, "config"]
    return subprocess.run(argv, cwd=case.cwd, env=environment, stdin=stdin, capture_output=True, text=True, check=False)


COMPARED = [case for case in cases() if case.name not in (*NEWER, *OTHERWISE)]


def test_enough_is_compared():
    assert len(COMPARED) >= 45
    assert {case.name for case in cases()}.issuperset({*NEWER, *OTHERWISE})


@pytest.mark.slow
@pytest.mark.parametrize("case", COMPARED, ids=[case.name for case in COMPARED])
def test_the_same_model(case):
    kind, model = expected(case)
    done = printed(case)
    if kind == "error.txt":
        assert done.returncode
        return
    assert done.returncode == 0, done.stderr
    name = model.partition("\n")[0].removeprefix("name: ")
    options = ProjectOptions({"HOME": case.environment["HOME"]}, case.directory, name=name)
    source = MemorySource({f"{case.directory}/compose.yaml": done.stdout})
    theirs = escape_dollars(to_yaml(canonical_model(without_unused(load_project(options, source)))))
    assert theirs == model
