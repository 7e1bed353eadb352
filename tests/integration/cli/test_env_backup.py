"""`env backup` and `env certificate` on an environment with a real accessory."""

import io
import json
import os
import tarfile

import pytest
from tests.integration.deploy.test_backups import backups
from tests.integration.deploy.test_local_target import target

from wherry.base.errors import InvalidInput, NotFound, UsageError
from wherry.base.paths import Layout
from wherry.cli.verbs import env_backup, env_certificate
from wherry.deploy.certificates import LocalAuthority
from wherry.deploy.model import Environment
from wherry.deploy.records import open_records

__all__ = ["backups", "target"]


@pytest.fixture
def environment(wherry, monkeypatch, target):  # noqa: F811 (a fixture)
    for name in ("WHERRY_ROOT", "WHERRY_RUN"):
        monkeypatch.setenv(name, wherry.environment[name])
    records = open_records(Layout(wherry.root, wherry.run))
    records.ensure_application(target.environment)
    name = target.environment
    records.add_environment(Environment(name, name, f"{name}.localhost", 1))
    yield name
    records.remove_environment(name)
    records.remove_application(name)


@pytest.fixture
def backup(environment, backups, capsys):  # noqa: F811
    def call(*argv, code=0):
        capsys.readouterr()
        assert env_backup.run(["backup", *argv]) == code
        return capsys.readouterr().out

    call.inside = backups.run
    return call


def test_a_backup_is_made_listed_restored_exported_and_deleted(backup, environment, tmp_path, monkeypatch):
    backup.inside("echo precious > /data/a")
    name = backup("create", environment).strip()
    assert backup("list", "-q", environment).split() == [name]
    row = json.loads(backup("list", "--format", "json", environment))
    assert row["Services"] == "db (volumes)"
    assert row["Bytes"] > 0
    backup.inside("echo worthless > /data/a")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert "is replaced by" in backup("restore", environment, "latest", code=1)
    assert backup.inside("cat /data/a").strip() == "worthless"
    restored = json.loads(backup("restore", "-f", environment, "latest", "--format", "json"))
    assert (restored["Name"], restored["Restored"]) == (name, "db")
    assert backup.inside("cat /data/a").strip() == "precious"
    path = tmp_path / "backup.tar"
    exported = json.loads(backup("export", "-o", str(path), environment, name, "--format", "json"))
    assert (exported["Name"], exported["Output"]) == (name, str(path))
    with pytest.raises(UsageError, match="--format tells of the file"):
        backup("export", environment, name, "--format", "json")
    assert path.stat().st_mode & 0o77 == 0
    with tarfile.open(path) as archive:
        assert f"{name}/backup.json" in archive.getnames()
        assert f"{name}/db/0.tar.zst" in archive.getnames()
    newer = backup("create", "--keep", "1", environment, "--format", "{{.Name}}").strip()
    assert backup("ls", "-q", environment).split() == [newer]
    assert json.loads(backup("delete", environment, newer, "--format", "json")) == {"Name": newer}
    assert backup("list", "-q", environment) == ""
    records = open_records(Layout(os.environ["WHERRY_ROOT"], os.environ["WHERRY_RUN"]))
    said = [one.message for one in records.history.events(environment)]
    assert said[0] == f"Backup {name} of db made."
    assert said[1] == f"Backup {name} restored: db."


def test_mistakes(backup, environment):
    for words in (("restore", environment, "latest"), ("export", environment, "latest")):
        with pytest.raises(NotFound, match="has no backup"):
            env_backup.run(["backup", *words])
    with pytest.raises(NotFound, match="there is no environment nowhere"):
        env_backup.run(["backup", "list", "nowhere"])
    with pytest.raises(UsageError, match="--keep"):
        env_backup.run(["backup", "create", "--keep", "0", environment])
    with pytest.raises(NotFound, match="no accessory cache"):
        env_backup.run(["backup", "create", "--service", "cache", environment])


def test_a_certificate_is_brought_shown_and_forgotten(environment, tmp_path, capsys):
    authority = LocalAuthority(str(tmp_path / "authority"))
    key, mark, rest = authority.issue("own", (f"{environment}.localhost",)).pem.partition("-----BEGIN CERTIFICATE-----")
    (tmp_path / "key.pem").write_text(key)
    (tmp_path / "cert.pem").write_text(mark + rest)
    files = ["--cert", f"{tmp_path}/cert.pem", "--key", f"{tmp_path}/key.pem"]
    with pytest.raises(UsageError, match="both --cert and --key"):
        env_certificate.run(["certificate", "set", environment])
    with pytest.raises(NotFound, match="cannot be read: No such file"):
        env_certificate.run(["certificate", "set", "--cert", "/nowhere", "--key", "/nowhere", environment])
    assert env_certificate.run(["certificate", "set", *files, environment]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"kept for {environment}.localhost, valid until 20")
    assert f"wherry env set {environment} tls=own" in said
    env_certificate.run(["certificate", "set", *files, environment, "--format", "json"])
    kept = json.loads(capsys.readouterr().out)
    assert (kept["Hosts"], kept["Shown"]) == ([f"{environment}.localhost"], False)
    env_certificate.run(["certificate", "show", "--format", "json", environment])
    assert json.loads(capsys.readouterr().out)["Source"] == "off"
    other = authority.issue("other", ("other.localhost",)).pem.partition("-----BEGIN CERTIFICATE-----")
    (tmp_path / "key.pem").write_text(other[0])
    (tmp_path / "cert.pem").write_text(other[1] + other[2])
    with pytest.raises(InvalidInput, match="the certificate is not for"):
        env_certificate.run(["certificate", "set", *files, environment])
    with pytest.raises(NotFound, match="there is no environment nowhere"):
        env_certificate.run(["certificate", "show", "nowhere"])


def test_the_local_authority_is_printed_for_others_to_trust(environment, capsys):
    assert env_certificate.run(["certificate", "authority"]) == 0
    assert capsys.readouterr().out.count("-----BEGIN CERTIFICATE-----") == 1
