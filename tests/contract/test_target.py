"""Every target keeps the contract of `deploy/target.py`.

An implementation is a name and a function that gives one for a test; `IMPLEMENTATIONS` lists them. The version `v4` of
the model has a release command that ends with exit code 4.
"""

import pytest

from wherry.base.paths import Layout
from wherry.base.progress import nobody
from wherry.deploy.target import AccessoryWish, InstanceWish, Release, Secret

SLEEP = {"image": "tiny", "command": ["sleep", "1000"], "networks": {"default": None}, "stop_grace_period": "0s"}
MODEL = {
    "services": {
        "web": SLEEP,
        "worker": SLEEP,
        "db": {**SLEEP, "volumes": [{"type": "volume", "source": "data", "target": "/data"}]},
    },
    "networks": {"default": {}},
    "volumes": {"data": {}},
}
PLAIN = {**MODEL, "services": {"web": SLEEP, "worker": SLEEP}}  # whose instances need no accessories
COMMAND = ("sh", "-c", "echo releasing; exit 4")


def local(request):
    from wherry.deploy.local import LocalTarget

    wherry = request.getfixturevalue("wherry")
    return LocalTarget(Layout(wherry.root, wherry.run))


def fake(request):
    from wherry.deploy.fakes import FakeTarget, World

    del request
    world = World()
    world.release_codes["v4"] = 4
    return FakeTarget(world)


IMPLEMENTATIONS = {
    "fake": pytest.param(fake, id="fake"),
    "local": pytest.param(local, marks=pytest.mark.root, id="local"),
}


@pytest.fixture(params=IMPLEMENTATIONS.values())
def target(request):
    made = request.param(request)
    yield made
    for environment in ("contract", "neighbour"):
        made.terminate(environment, nobody, volumes=True)
        assert made.observe(environment) == []


def instance(name, version="v1", environment="contract", model=PLAIN):
    return InstanceWish(environment, name, version, model, ("web", "worker"), {}, (Secret("PASSWORD", "s3"),))


def accessories(model=MODEL):
    return AccessoryWish("contract", model, ("db",), {})


def names(target, environment="contract"):
    return [one.name for one in target.observe(environment)]


def containers(target, name, environment="contract"):
    return [service.container for one in target.observe(environment) if one.name == name for service in one.services]


def test_what_is_started_runs_and_is_observed(target):
    started = target.start(instance("i-2", "v2"), nobody)
    assert (started.environment, started.name, started.version) == ("contract", "i-2", "v2")
    assert [one.service for one in started.services] == ["web", "worker"]
    for one in started.services:
        assert (one.status, one.exit_code, one.restarts) == ("running", 0, 0)
        assert one.container
        assert one.started > 0
    assert names(target) == ["i-2"]


def test_instances_are_listed_by_number_and_accessories_last(target):
    target.ensure_accessories(accessories(), nobody)
    for name in ("i-10", "i-9"):
        target.start(instance(name, model=MODEL), nobody)
    assert names(target) == ["i-9", "i-10", ""]


def test_no_two_services_have_one_address(target):
    target.ensure_accessories(accessories(), nobody)
    for name in ("i-1", "i-2"):
        target.start(instance(name, model=MODEL), nobody)
    addresses = [service.address for one in target.observe("contract") for service in one.services]
    assert all(addresses)
    assert len(set(addresses)) == 5


def test_starting_again_changes_nothing(target):
    first = target.start(instance("i-1"), nobody)
    again = target.start(instance("i-1"), nobody)
    assert [one.container for one in first.services] == [one.container for one in again.services]
    assert [one.address for one in first.services] == [one.address for one in again.services]


def test_stopping_is_harmless_where_there_is_nothing_to_stop(target):
    target.start(instance("i-1"), nobody)
    target.start(instance("i-2"), nobody)
    for _ in range(2):
        target.stop("contract", "i-1", 0.0, nobody)
    target.stop("contract", "i-77", None, nobody)
    target.stop("never-heard-of", "i-1", None, nobody)
    assert names(target) == ["i-2"]


def test_a_restart_is_in_place_and_keeps_the_addresses(target):
    before = target.start(instance("i-1"), nobody)
    target.restart("contract", "i-1")
    [after] = target.observe("contract")
    assert [one.container for one in after.services] == [one.container for one in before.services]
    assert [one.address for one in after.services] == [one.address for one in before.services]
    assert {one.status for one in after.services} == {"running"}


def test_accessories_are_replaced_only_where_that_is_asked_for(target):
    assert target.ensure_accessories(accessories(), nobody) == []
    assert target.ensure_accessories(accessories(), nobody) == []
    changed = {**MODEL, "services": {**MODEL["services"], "db": {**MODEL["services"]["db"], "command": ["cat"]}}}
    changed["services"]["db"]["tty"] = True
    before = containers(target, "")
    assert target.ensure_accessories(accessories(changed), nobody) == ["db"]
    assert containers(target, "") == before
    assert target.ensure_accessories(accessories(changed), nobody, replace=True) == []
    assert target.ensure_accessories(accessories(changed), nobody) == []
    assert names(target) == [""]


def test_accessories_are_made_anew_where_that_is_asked_for(target):
    target.ensure_accessories(accessories(), nobody)
    before = containers(target, "")
    assert target.ensure_accessories(accessories(), nobody, anew=True) == []
    [after] = containers(target, "")
    assert [after] != before


def test_a_release_says_how_it_ended_and_leaves_nothing(target):
    said = []
    release = Release(instance("release", "v4"), "web", COMMAND)
    assert target.release(release, said.append) == 4
    assert b"".join(said) == b"releasing\n"
    assert target.observe("contract") == []


def test_termination_takes_all_of_one_environment_and_nothing_of_another(target):
    target.ensure_accessories(accessories(), nobody)
    target.start(instance("i-1", model=MODEL), nobody)
    target.start(instance("i-1", environment="neighbour"), nobody)
    for _ in range(2):
        target.terminate("contract", nobody, volumes=True)
    assert names(target) == []
    assert names(target, "neighbour") == ["i-1"]


def test_what_is_not_there_says_nothing(target):
    assert list(target.logs("never-heard-of")) == []
    assert target.observe("never-heard-of") == []
