import json
import os

import pytest

from wherry.base.errors import Corrupt
from wherry.deploy.balancer import Listener
from wherry.deploy.haproxy.applied import Applied, merge
from wherry.deploy.haproxy.configuration import Setting
from wherry.deploy.haproxy.records import Records, decode_applied, encode_applied
from wherry.deploy.routing import Certificate, Check, Pool, Rule, Section, Server

PEM = "-----BEGIN PRIVATE KEY-----\nAA\n-----BEGIN CERTIFICATE-----\nBB\n"
SECTION = Section(
    "shop",
    (Rule("shop.localhost", "/", "web", secure=True),),
    (Pool("web", (Server("i-1", "10.0.0.2", 80, 7, draining=True),), Check("/up", "204", 1.5, 1, 1, 9), sticky=True),),
    (Certificate("own", PEM),),
    maintenance=True,
    challenges=(("token", "token.print"),),
)
APPLIED = merge(Applied(), [SECTION, Section("empty")])


def test_the_state_survives_its_way_through_json():
    assert decode_applied(json.loads(json.dumps(encode_applied(APPLIED)))) == APPLIED


def test_a_state_from_before_there_were_challenges_is_understood():
    values = encode_applied(APPLIED)
    for section in values["sections"]:
        del section["challenges"]
    assert decode_applied(values).sections["shop"] == SECTION._replace(challenges=())


def test_what_was_saved_is_loaded_and_is_for_the_owner_alone(tmp_path):
    records = Records(str(tmp_path / "balancer"))
    assert records.load() == Applied()
    records.save(APPLIED, {"haproxy.cfg": "one\r\n"})
    records.save(APPLIED, {"haproxy.cfg": "two\r\n"})
    assert Records(records.directory).load() == APPLIED
    assert len(os.listdir(records.configuration)) == 2
    for directory, _, names in os.walk(records.directory):
        assert os.stat(directory).st_mode & 0o77 == 0
        assert all(os.stat(f"{directory}/{name}").st_mode & 0o77 == 0 for name in names)


def test_saving_what_holds_already_changes_nothing(tmp_path):
    records = Records(str(tmp_path))
    records.save(APPLIED, {"haproxy.cfg": "one\r\n"})
    before = os.readlink(f"{records.configuration}/current")
    records.save(APPLIED, {"haproxy.cfg": "one\r\n"})
    assert os.readlink(f"{records.configuration}/current") == before


def test_what_a_dead_process_left_is_swept_by_the_next(tmp_path):
    records = Records(str(tmp_path))
    records.save(APPLIED, {"haproxy.cfg": "one"})
    os.mkdir(f"{records.configuration}/generation-dead")
    os.symlink("generation-dead", f"{records.configuration}/generation-dead.link")
    records.save(APPLIED, {"haproxy.cfg": "two"})
    current = os.readlink(f"{records.configuration}/current")
    assert sorted(os.listdir(records.configuration)) == sorted(["current", current])


def test_an_unreadable_state_is_said_to_be_so(tmp_path):
    records = Records(str(tmp_path))
    records.save(APPLIED, {})
    (tmp_path / "configuration" / "current" / "applied.json").write_text("{")
    with pytest.raises(Corrupt, match="cannot be read"):
        records.load()
    os.unlink(tmp_path / "configuration" / "current" / "applied.json")
    with pytest.raises(Corrupt, match="not there"):
        records.load()


def test_the_setting_is_kept(tmp_path):
    records = Records(str(tmp_path))
    assert records.load_setting() is None
    setting = Setting(Listener("127.0.0.1", 8080, 8443), ipv6=True, default_certificate="PEM")
    records.save_setting(setting)
    assert records.load_setting() == setting
