"""A service with replicas inside each instance: all of them get requests, and none is lost when they are replaced."""

import json

import pytest

from backends import Load
from deploying import QUICK, SERVER, service
from installation import eventually

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]
WITH_HOST = 'SAYS="$$SAYS $$(hostname)" exec perl -e "$$0"'


def project(says):
    command = ["sh", "-c", WITH_HOST, SERVER.replace("$", "$$")]
    return {"web": service(says, command=command, deploy={"replicas": 2})}


def told(commands, most=40):
    """What is said, and by whom, to so many requests."""
    found = {tuple(commands.get("pair")[1].split()) for _ in range(most)}
    return {says for says, _ in found}, {host for _, host in found}


def test_all_replicas_answer_and_are_replaced_without_a_failed_request(commands):
    commands.write("pair", project("one"))
    commands("env", "create", "pair", *QUICK, "--min", "2", "--set", "drain=5")
    says, hosts = told(commands)
    assert (says, len(hosts)) == ({"one"}, 4)
    with Load(commands.port, "pair.localhost", rate=40) as load:
        commands.write("pair", project("two"))
        commands("deploy", "pair", "--policy", "rolling-additional")
    assert (load.done > 20, load.failures) == (True, [])
    says, hosts = told(commands)
    assert (says, len(hosts)) == ({"two"}, 4)


def test_a_replica_that_is_not_well_is_named_and_left_out(commands):
    commands.write("pair", project("one"))
    commands("env", "create", "pair", *QUICK)
    container = commands("ps", "-q", "--filter", "label=io.wherry.instance=i-1").split()[0]

    def health():
        return json.loads(commands("env", "health", "pair", "--format", "json"))["Instances"][0]

    commands("pause", container)
    eventually(lambda: health()["Status"] == "Degraded", 20)
    assert any(one.startswith("web at 10.") for one in health()["Causes"])
    assert len(told(commands)[1]) == 1
    commands("unpause", container)
    eventually(lambda: len(told(commands)[1]) == 2, 20)
