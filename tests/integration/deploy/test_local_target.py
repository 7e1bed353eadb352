"""This machine as a target, with real containers."""

import os
import subprocess
import urllib.request

import pytest
from tests.installation import SERVE, eventually

from wherry.base.paths import Layout
from wherry.base.progress import nobody
from wherry.deploy.local import LocalTarget
from wherry.deploy.target import AccessoryWish, InstanceWish, Release, Secret

LOOK_UP = 'print join ".", unpack "C4", gethostbyname $ARGV[0] or exit 3'
MODEL = {
    "services": {
        "web": {
            "image": "tiny",
            "command": ["perl", "-e", SERVE],
            "networks": {"default": None, "back": None},
            "depends_on": {"db": {"condition": "service_healthy"}, "worker": {"condition": "service_started"}},
            "ports": [{"target": 80, "published": "8080"}],
            "container_name": "only-one",
            "build": {"context": "/nowhere"},
            "stop_grace_period": "0s",
        },
        "worker": {
            "image": "tiny",
            "command": ["sh", "-c", 'echo "working for $NAME with $PASSWORD"; exec sleep 1000'],
            "networks": {"default": None},
            "stop_grace_period": "0s",
        },
        "db": {
            "image": "tiny",
            "command": ["sh", "-c", "echo up > /data/state; exec sleep 1000"],
            "networks": {"back": None},
            "volumes": [{"type": "volume", "source": "data", "target": "/data"}],
            "stop_grace_period": "0s",
        },
    },
    "networks": {"default": {}, "back": {}},
    "volumes": {"data": {"name": "somebody_data"}},
}


@pytest.fixture
def target(wherry, request):
    made = LocalTarget(Layout(wherry.root, wherry.run))
    made.environment = "e" + request.node.name.replace("_", "")[4:20]
    yield made
    made.terminate(made.environment, nobody, volumes=True)
    assert made.observe(made.environment) == []


def instance(target, name, version="v1", model=MODEL, **variables):
    return InstanceWish(
        target.environment,
        name,
        version,
        model,
        ("web", "worker"),
        {"NAME": name, **variables},
        (Secret("PASSWORD", "s3"),),
    )


def accessories(target, model=MODEL):
    return AccessoryWish(target.environment, model, ("db",), {})


def answer(one):
    """What its server says, once it listens."""
    [web] = [service for service in one.services if service.service == "web"]

    def asked():
        try:
            with urllib.request.urlopen(f"http://{web.address}/", timeout=5) as response:
                return response.read().decode().strip()
        except OSError:
            return ""

    return eventually(asked)


def inside(wherry, one, *command):
    [web] = [service for service in one.services if service.service == "web"]
    return wherry("exec", web.container, *command, check=False)


def test_instances_are_apart_and_share_the_accessories(wherry, target):
    assert target.ensure_accessories(accessories(target), nobody) == []
    one = target.start(instance(target, "i-1"), nobody)
    two = target.start(instance(target, "i-2", "v2"), nobody)
    assert [answer(one), answer(two)] == ["hello i-1", "hello i-2"]
    for each in (one, two):
        for service in each.services:
            found = inside(wherry, each, "perl", "-e", LOOK_UP, service.service).out
            networks = wherry.inspect(service.container)["NetworkSettings"]["Networks"]
            assert found in [network["IPAddress"] for network in networks.values()]
    [db] = target.observe(target.environment)[-1].services
    addresses = {inside(wherry, each, "perl", "-e", LOOK_UP, "db").out for each in (one, two)}
    assert len(addresses) == 1
    assert addresses != {""}
    assert db.status == "running"
    assert [each.name for each in target.observe(target.environment)] == ["i-1", "i-2", ""]
    assert [each.version for each in target.observe(target.environment)] == ["v1", "v2", ""]


def test_what_runs_is_measured(target):
    target.ensure_accessories(accessories(target), nobody)
    one = target.start(instance(target, "i-1"), nobody)
    assert all(each.memory > 0 and each.started > 0 for each in one.services)


def test_accessories_are_replaced_only_where_the_user_says_so(wherry, target):
    target.ensure_accessories(accessories(target), nobody)
    [before] = target.observe(target.environment)[-1].services
    db = {**MODEL["services"]["db"], "command": ["sleep", "1001"]}
    changed = {**MODEL, "services": {**MODEL["services"], "db": db}}
    assert target.ensure_accessories(accessories(target, changed), nobody) == ["db"]
    assert target.observe(target.environment)[-1].services[0].container == before.container
    assert target.ensure_accessories(accessories(target, changed), nobody, replace=True) == []
    [after] = target.observe(target.environment)[-1].services
    assert after.container != before.container
    assert wherry("exec", after.container, "cat", "/data/state").out == "up\n"


def test_a_variable_that_an_accessory_does_not_name_makes_it_not_differ(target):
    target.ensure_accessories(accessories(target), nobody)
    [before] = target.observe(target.environment)[-1].services
    wish = accessories(target)._replace(variables={"GREETING": "hi"}, secrets=(Secret("TOKEN", "t"),))
    assert target.ensure_accessories(wish, nobody) == []
    assert target.ensure_accessories(wish, nobody, replace=True) == []
    [after] = target.observe(target.environment)[-1].services
    assert after.container == before.container


def test_an_accessory_whose_secret_has_another_value_is_told_and_replaced_where_the_user_says_so(wherry, target):
    db = {**MODEL["services"]["db"], "environment": {"TOKEN": None}}
    model = {**MODEL, "services": {**MODEL["services"], "db": db}}
    wish = accessories(target, model)._replace(secrets=(Secret("TOKEN", "old"),), marks={"TOKEN": "0" * 64})
    changed = wish._replace(secrets=(Secret("TOKEN", "new"),), marks={"TOKEN": "1" * 64})

    def token():
        [service] = target.observe(target.environment)[-1].services
        return wherry("exec", service.container, "sh", "-c", "echo $TOKEN").out.strip()

    target.ensure_accessories(wish, nobody)
    assert target.ensure_accessories(changed, nobody) == ["db"]
    assert token() == "old"
    assert target.ensure_accessories(changed, nobody, replace=True) == []
    assert token() == "new"
    assert target.ensure_accessories(changed, nobody) == []


def test_logs_stay_when_the_instance_is_gone_and_secrets_never_show(wherry, target):
    target.ensure_accessories(accessories(target), nobody)
    target.start(instance(target, "i-1"), nobody)
    target.stop(target.environment, "i-1", 0.0, nobody)
    target.start(instance(target, "i-2"), nobody)
    lines = [line for line in target.logs(target.environment) if line.service == "worker"]
    assert [(line.instance, line.data) for line in lines] == [
        ("i-1", b"working for i-1 with s3\n"),
        ("i-2", b"working for i-2 with s3\n"),
    ]
    followed = target.logs(target.environment, follow=True, tail=1, services=["worker"])
    assert next(followed).instance == "i-2"
    target.start(instance(target, "i-3"), nobody)
    assert next(followed).data == b"working for i-3 with s3\n"
    followed.close()


def test_an_instance_that_ends_can_be_seen_and_asked_why(target):
    target.ensure_accessories(accessories(target), nobody)
    web = {**MODEL["services"]["web"], "command": ["sh", "-c", "echo no such table >&2; exit 7"], "restart": "no"}
    broken = {**MODEL, "services": {**MODEL["services"], "web": web}}
    target.start(instance(target, "i-1", model=broken), nobody)
    [web] = eventually(lambda: [one for one in target.observe(target.environment)[0].services if one.exit_code])
    assert (web.service, web.status, web.exit_code) == ("web", "exited", 7)
    [line] = target.logs(target.environment, tail=1, services=["web"])
    assert (line.stream, line.data) == (2, b"no such table\n")


def test_a_release_runs_beside_the_accessories_and_leaves_nothing(target):
    target.ensure_accessories(accessories(target), nobody)
    wish = instance(target, "i-1")
    said = []
    command = ("sh", "-c", f"perl -e '{LOOK_UP}' db && echo .; echo $NAME; exit 4")
    assert target.release(Release(wish, "web", command), said.append) == 4
    assert b"".join(said).endswith(b".\ni-1\n")
    assert [each.name for each in target.observe(target.environment)] == [""]


def test_killed_while_an_instance_starts_the_next_start_ends_it(wherry, target):
    target.ensure_accessories(accessories(target), nobody)
    code = (
        "from tests.integration.deploy import test_local_target as t; from wherry.deploy.local import LocalTarget;"
        "from wherry.base.paths import Layout; from wherry.base.progress import nobody; import sys, os, signal;"
        f"x = LocalTarget(Layout({wherry.root!r}, {wherry.run!r})); x.environment = {target.environment!r};"
        "n = [0];\n"
        "def stop(event):\n    n[0] += 1\n    n[0] < int(sys.argv[1]) or os.kill(os.getpid(), signal.SIGKILL)\n"
        "x.start(t.instance(x, 'i-1'), stop)"
    )
    for events in range(1, 12, 2):
        path = os.pathsep.join(("src", "."))
        subprocess.run(
            ["python3", "-c", code, str(events)], env={**wherry.environment, "PYTHONPATH": path}, check=False
        )
        one = LocalTarget(Layout(wherry.root, wherry.run)).start(instance(target, "i-1"), nobody)
        assert answer(one) == "hello i-1"
        target.stop(target.environment, "i-1", 0.0, nobody)
