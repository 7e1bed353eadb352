import os

import pytest

from wherry.base.errors import NotFound, Unavailable
from wherry.base.locks import FileLock
from wherry.base.paths import Layout
from wherry.compose.location import ProjectOptions
from wherry.deploy.applications import Applications
from wherry.deploy.assessing import assess, read_machine
from wherry.deploy.balancer import AccessRecord
from wherry.deploy.environments import Environments
from wherry.deploy.fakes import Killed, World, fake_parts
from wherry.deploy.health import Machine
from wherry.deploy.series import Series

MODEL = {"services": {"web": {"image": "web", "ports": [{"target": 80}]}}, "networks": {"default": {}}}


@pytest.fixture
def world():
    return World()


@pytest.fixture
def parts(tmp_path, world):
    made = fake_parts(Layout(str(tmp_path / "root"), str(tmp_path / "run")), world)
    made.versions.models["/project"] = MODEL
    label = Applications(made).add_version("shop", ProjectOptions({}, "/project")).label
    Environments(made, "me").create("shop", "shop", label, settings={"min": "2", "health.interval": "1"})
    world.now += 300
    return made


def look(parts):
    return assess(parts, "shop", machine=lambda: Machine(0.5, 4, 20.0))


def test_all_is_well(parts):
    found = look(parts)
    assert found[:3] == ("green", "Ok", ())
    assert [(one.name, one.version, one.deployment) for one in found.instances] == [("i-1", "v1", 1), ("i-2", "v1", 1)]
    with pytest.raises(NotFound, match="no environment shopp"):
        assess(parts, "shopp")


def test_requests_of_the_last_seconds_count(parts, world):
    def answered(age, status, instance="i-1"):
        return AccessRecord(world.now - age, "shop", "web", instance, status, 4.0, "GET", "/", "::1")

    parts.balancer.records += [answered(90, 500)] * 100 + [answered(5, 200)] * 30 + [answered(5, 503, "")] * 10
    found = look(parts)
    assert found.stats.status == (0, 30, 0, 0, 10)
    assert found.causes == (
        "25.0 % of the requests are failing with HTTP 5xx.",
        "25.0 % of the requests reached no instance.",
    )
    assert (found.status, [one.status for one in found.instances]) == ("Severe", ["Ok", "Ok"])
    assert assess(parts, "shop", seconds=120).stats.requests == 140


def test_cpu_is_known_where_somebody_measures_it(parts, world):
    assert look(parts).instances[0].cpu is None
    series = Series(parts.records.database, parts.clock)
    series.add("shop", "i-1", "cpu", world.now, 395.0)
    assert [one.cpu for one in look(parts).instances] == [395.0, None]
    assert look(parts).instances[0].causes == ("99 % of CPU is in use.",)
    parts.target.changes["shop", "i-2"] = {"cpus": 0.5}
    series.add("shop", "i-2", "cpu", world.now, 49.0)
    assert look(parts).instances[1].causes == ("98 % of CPU is in use.",)
    world.now += 60
    assert look(parts).instances[0].cpu is None


def test_what_the_balancer_and_the_target_say(parts):
    parts.balancer.down["i-1"] = 0.0
    parts.target.dead["shop", "i-2"] = 3
    found = look(parts)
    assert found.status == "Severe"
    assert [one.causes for one in found.instances] == [("web: Connection refused.",), ("web exited with code 3.",)]
    parts.balancer.stop()
    assert look(parts).causes[0] == "The load balancer does not run: nothing answers."


def test_a_target_that_cannot_be_looked_at(parts):
    def observe(environment):
        raise Unavailable("cannot use the database")

    parts.target.observe = observe
    found = look(parts)
    assert (found.color, found.status) == ("grey", "NoData")
    assert found.causes == ("None of the instances are sending data: cannot use the database.",)


def test_operations_under_way_and_cut_off(parts, world):
    label = Applications(parts).add_version("shop", ProjectOptions({}, "/project")).label
    world.kill_at = len(world.calls) + 1
    with pytest.raises(Killed):
        Environments(parts, "me").deploy("shop", label)
    world.kill_at = -1
    assert look(parts).status == "Warning"
    with FileLock(f"{parts.layout.locks}/environment-shop"):
        found = look(parts)
    assert found.status == "Info"
    assert found.causes[0].startswith("Application update in progress (running for 0 seconds).")


def test_a_terminated_environment(parts):
    Environments(parts, "me").terminate("shop")
    assert look(parts)[:3] == ("grey", "Unknown", ("The environment is terminated.",))


def test_this_machine():
    found = read_machine()
    assert found.load >= 0
    assert 1 <= found.processors <= (os.cpu_count() or 1)
    assert 0 < found.memory < 100
