import os
import subprocess
import threading

import pytest

from wherry.base.errors import Conflict, Corrupt, NotFound, Unavailable
from wherry.base.paths import Layout
from wherry.deploy.history import KEPT_EVENTS
from wherry.deploy.model import Deployment, Environment, Event, Revision, Version
from wherry.deploy.records import open_records
from wherry.deploy.secrets import Vault
from wherry.deploy.steps import Check, Enter, Exchange, Start
from wherry.deploy.target import Secret
from wherry.deploy.wish import Wish


@pytest.fixture
def records(tmp_path):
    now = iter(range(10**18, 2 * 10**18, 10**6))
    opened = open_records(Layout(str(tmp_path), str(tmp_path / "run")), lambda: next(now))
    opened.ensure_application("shop")
    yield opened
    opened.database.close()


def environment(name="prod", **values):
    return Environment(name, "shop", f"{name}.localhost", 1, **values)


def test_a_version_is_found_again_and_its_label_is_its_own(records):
    version = Version("shop", "v1", 5, {"services": {"web": {}}}, {"web": "sha256:1"}, "abc", "first")
    records.add_version(version, {"key": "hunter2"})
    assert records.version("shop", "v1") == version
    assert records.version_secrets(version) == {"key": "hunter2"}
    with pytest.raises(Conflict, match="has a version v1"):
        records.add_version(version)
    with pytest.raises(NotFound) as caught:
        records.version("shop", "v2")
    assert caught.value.hint == ""
    with pytest.raises(NotFound, match="no application shopp") as caught:
        records.add_version(version._replace(application="shopp"))
    assert caught.value.hint == "did you mean shop?"


def test_an_environment_is_what_its_revision_says(records):
    records.add_environment(environment(settings={"min": "2"}, size=2))
    records.add_revision(Revision("prod", 1, "v1", {"A": "b"}), [Secret("T", "s3cret"), Secret("F", "x", file=True)])
    assert records.environment("prod").version == ""
    records.change_environment("prod", revision=1, status="Ready")
    found = records.environment("prod")
    assert (found.version, found.variables, found.secrets) == ("v1", {"A": "b"}, {"T": False, "F": True})
    assert (found.settings, found.size, found.status) == ({"min": "2"}, 2, "Ready")
    assert records.secrets("prod", 1) == (Secret("F", "x", file=True), Secret("T", "s3cret"))


def test_secrets_are_nowhere_in_the_clear(records, tmp_path):
    records.add_environment(environment())
    records.add_revision(Revision("prod", 1, "v1"), [Secret("TOKEN", "correct horse battery")])
    records.database.close()
    held = subprocess.run(["cat", *tmp_path.glob("wherry.db*")], stdout=subprocess.PIPE, check=True).stdout
    assert b"TOKEN" in held
    assert b"correct horse" not in held
    assert os.stat(tmp_path / "deploy/secrets.key").st_mode & 0o777 == 0o600


def test_names_and_hosts_are_taken_once(records):
    records.add_environment(environment())
    with pytest.raises(Conflict, match="there is an environment prod"):
        records.add_environment(environment())
    with pytest.raises(Conflict, match=r"environment prod has the host prod\.localhost"):
        records.add_environment(environment("other")._replace(host="prod.localhost"))
    records.change_environment("prod", terminated=7, status="Terminated")
    records.add_environment(environment("other")._replace(host="prod.localhost"))
    with pytest.raises(Conflict) as caught:
        records.add_environment(environment())
    assert "env restore prod" in caught.value.hint
    assert [one.name for one in records.environments()] == ["other"]


def test_hosts_are_exchanged(records):
    records.add_environment(environment("blue"))
    records.add_environment(environment("green"))
    records.exchange_hosts("blue", "green")
    assert [one.host for one in records.environments()] == ["green.localhost", "blue.localhost"]


def test_instances_have_numbers_that_no_other_gets(records):
    records.add_environment(environment())
    assert records.number_instances("prod", 2) == ["i-1", "i-2"]
    records.add_instance("prod", "i-2", 1)
    records.add_instance("prod", "i-2", 9)
    records.remove_instance("prod", "i-2")
    assert records.number_instances("prod", 1) == ["i-3"]
    for name in ("i-10", "i-3"):
        records.add_instance("prod", name, 1)
    assert [one.name for one in records.instances("prod")] == ["i-3", "i-10"]


def test_weights_are_set_and_instances_drain(records):
    records.add_environment(environment())
    records.add_instance("prod", "i-1", 1)
    records.weigh("prod", {"i-1": 90})
    (one,) = records.instances("prod")
    assert one.serves
    assert one.entered
    records.drain("prod", ["i-1"])
    assert not records.instances("prod")[0].serves
    records.weigh("prod", {"i-1": 0})
    assert records.instances("prod")[0].entered == 0


def test_events_have_times_that_only_grow(records):
    def tell():
        for _ in range(20):
            records.history.tell(Event(0, "prod", "INFO", "x"))

    threads = [threading.Thread(target=tell) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times = [one.time for one in records.history.events("prod")]
    assert len(times) == 60
    assert times == sorted(set(times))
    assert all(time % 10**6 == 0 for time in times)
    assert [one.time for one in records.history.events("prod", limit=2)] == times[-2:]
    assert [one.time for one in records.history.events(since=times[-3])] == times[-2:]


def test_events_are_bounded(records):
    with records.database.write():
        for number in range(KEPT_EVENTS + 10):
            records.history.tell(Event(0, "prod", "INFO", str(number)))
    found = records.history.events("prod")
    assert (len(found), found[0].message) == (KEPT_EVENTS, "10")


def test_deployments_are_numbered_from_one(records):
    records.add_environment(environment())
    assert records.history.next_number("prod") == 1
    records.history.begin(Deployment("prod", 1, "deploy", "me", 10**18, 0, 1, "", "v1", "rolling"))
    assert records.history.next_number("prod") == 2
    records.history.end("prod", 1, "failed", "it broke")
    found = records.history.deployment("prod", 1)
    assert (found.result, found.cause) == ("failed", "it broke")
    assert found.seconds > 0
    with pytest.raises(NotFound):
        records.history.deployment("prod", 2)


def test_an_operation_is_read_back_as_it_was_written(records):
    records.add_environment(environment())
    wish = Wish(1, "v1", 2, hosts=(("a", "b"),), before_hosts=(("c", "d"),))
    stages = [(Start("i-1", 1, "v1"), Start("i-2", 1, "v1")), (Check("i-1"),), (Enter((("i-1", 100),)),)]
    journal = records.journal
    operation = journal.begin("prod", "deploy", "me", wish, stages)
    assert operation.wish == wish
    steps = journal.steps(operation)
    assert [(one.stage, one.step) for one in steps] == [
        (0, Start("i-1", 1, "v1")),
        (0, Start("i-2", 1, "v1")),
        (1, Check("i-1")),
        (2, Enter((("i-1", 100),))),
    ]
    journal.mark(operation, 0, "running")
    journal.mark(operation, 0, "done")
    assert journal.ask_abort("prod", "you").id == operation.id
    assert journal.aborted_by(operation) == "you"
    journal.turn(operation, "you asked", [(Exchange((("a", "b"),)),)])
    assert [one.state for one in journal.steps(operation)] == ["done", "dropped", "dropped", "dropped", "waiting"]
    assert journal.steps(operation)[4].stage == 3
    assert journal.pending("prod").state == "undoing"
    journal.end(operation, "undone")
    assert journal.pending("prod") is None
    assert journal.ask_abort("prod", "you") is None


def test_a_version_in_use_stays(records):
    records.add_version(Version("shop", "v1", 5, {}))
    records.add_environment(environment())
    records.add_revision(Revision("prod", 1, "v1"), [])
    records.change_environment("prod", revision=1)
    with pytest.raises(Conflict, match="in use by prod"):
        records.remove_version("shop", "v1")
    with pytest.raises(Conflict, match="has environments: prod"):
        records.remove_application("shop")
    records.change_environment("prod", revision=0, terminated=3)
    records.remove_version("shop", "v1")
    records.remove_application("shop")
    assert records.applications() == []


def test_saved_configurations(records):
    records.save_configuration("shop", "small", "settings: {}\n")
    assert records.configuration("shop", "small") == "settings: {}\n"
    assert [name for name, _ in records.configurations("shop")] == ["small"]
    with pytest.raises(NotFound) as caught:
        records.configuration("shop", "smal")
    records.remove_configuration("shop", "small")
    assert records.configurations("shop") == []
    with pytest.raises(NotFound, match="no saved configuration of shop small"):
        records.remove_configuration("shop", "small")
    assert caught.value.hint == "did you mean small?"


def test_a_sealed_text_opens_in_its_place_alone(tmp_path):
    vault = Vault(str(tmp_path / "keys" / "key"))
    with pytest.raises(Unavailable):
        vault.unseal(b"x" * 40, "here")
    sealed = vault.seal("text", "here")
    assert vault.unseal(sealed, "here") == "text"
    assert vault.seal("text", "here") != sealed
    assert vault.mark("text") == vault.mark("text") != vault.mark("other")
    assert Vault(str(tmp_path / "other")).mark("text") != vault.mark("text")
    for bad, place in ((sealed, "there"), (sealed[:-1] + b"x", "here"), (b"", "here")):
        with pytest.raises(Corrupt):
            vault.unseal(bad, place)
    (tmp_path / "keys" / "key").write_bytes(b"short")
    with pytest.raises(Corrupt, match="not 32 bytes long"):
        vault.seal("text", "here")


def test_the_last_operations_of_each_environment_are_kept(records):
    for name in ("prod", "other"):
        records.add_environment(environment(name))
    for _ in range(55):
        for name in ("prod", "other"):
            records.journal.end(records.journal.begin(name, "deploy", "me", Wish(), []), "done")
    assert [len(records.journal.operations(name)) for name in ("prod", "other")] == [50, 50]
