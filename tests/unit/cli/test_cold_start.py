"""What a command imports is what every user waits for."""

import subprocess
import sys

HEAVY = {
    "dataclasses",
    "inspect",
    "asyncio",
    "logging",
    "email",
    "ssl",
    "http.client",
    "click",
    "rich",
    "tarfile",
    "zstandard",
    "isal",
}


def imported_by(*arguments):
    argv = [sys.executable, "-I", "-X", "importtime", "-m", "wherry", *arguments]
    lines = subprocess.run(argv, capture_output=True, text=True, check=False).stderr.splitlines()
    return {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}


def test_version_imports_next_to_nothing():
    assert not imported_by("version") & (HEAVY | {"typing", "json", "sqlite3", "subprocess", "re", "hashlib"})


REGISTRY = {"granian", "botocore", "jwt", "argon2", "bcrypt", "wherry.registry"}


def test_what_the_registry_needs_is_imported_by_the_registry_alone():
    for arguments in (("version",), ("run", "--help"), ("pull", "--help"), ("images",), ("registry", "--help")):
        assert not imported_by(*arguments) & REGISTRY, arguments
    assert not imported_by("registry", "serve", "--help") & REGISTRY


def test_the_way_to_run_imports_nothing_heavy():
    assert not imported_by("run", "--help") & HEAVY


def test_compose_loads_no_builder_to_read_a_file(tmp_path):
    (tmp_path / "compose.yaml").write_text("services: {a: {image: i}}")
    loaded = imported_by("compose", "-f", f"{tmp_path}/compose.yaml", "config", "-q")
    assert not loaded & (HEAVY | {"wherry.build.builder", "wherry.engine.engine", "sqlite3", "subprocess"})
