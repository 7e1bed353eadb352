"""Backups of volumes with real containers; those of PostgreSQL are in `test_postgres_backups.py`."""

import os

import pytest
from tests.integration.deploy.test_local_target import accessories, target

from wherry.base.errors import NotFound
from wherry.base.paths import Layout
from wherry.base.progress import nobody
from wherry.deploy.local.backups import Backups

__all__ = ["target"]


@pytest.fixture
def backups(wherry, target):  # noqa: F811 (a fixture)
    target.ensure_accessories(accessories(target), nobody)
    [db] = target.observe(target.environment)[-1].services
    made = Backups(Layout(wherry.root, wherry.run), target.environment)
    made.run = lambda script: wherry("exec", db.container, "sh", "-c", script).out
    return made


def test_a_volume_comes_back_as_it_was(backups):
    backups.run("echo precious > /data/a; ln -s a /data/b; mkdir -p /data/d; chown 7:8 /data/d; chmod 700 /data")
    before = backups.run("stat -c '%n %a %u:%g' /data /data/d; cat /data/b")
    made = backups.create(nobody)
    assert made.services == {"db": "volumes"}
    assert made.bytes > 0
    backups.run("rm -rf /data/*; echo wrong > /data/z; chmod 755 /data")
    backups.restore(made.name, nobody)
    assert backups.run("stat -c '%n %a %u:%g' /data /data/d; cat /data/b") == before
    assert "z" not in backups.run("ls /data")


def test_half_a_backup_is_never_seen_and_an_exchange_is_ended(backups, target):  # noqa: F811
    made = backups.create(nobody)
    os.mkdir(f"{backups._directory}/20200101T000000.000000Z.partial")
    [db] = backups._chosen(())
    [path] = backups._volumes(db).values()
    os.rename(path, f"{path}.old")  # as if killed between the two renames
    assert [one.name for one in backups.all()] == [made.name]
    again = backups.create(nobody)
    assert [one.name for one in backups.all()] == [again.name, made.name]
    assert os.listdir(path)
    assert not [name for name in os.listdir(backups._directory) if name.endswith(".partial")]


def test_only_the_newest_are_kept_and_wrong_names_are_refused(backups):
    first, second = backups.create(nobody), backups.create(nobody)
    assert backups.keep(1) == [first.name]
    assert [one.name for one in backups.all()] == [second.name]
    with pytest.raises(NotFound, match="no backup"):
        backups.restore(first.name, nobody)
    with pytest.raises(NotFound, match="no accessory nobody"):
        backups.create(nobody, ["nobody"])
