"""Instances that leave: how long their requests may take, who hears of it, and how long they may take to stop."""

import pytest
from tests.unit.deploy.test_environments import House

from wherry.base.errors import OperationFailed
from wherry.deploy.environments import Environments


@pytest.fixture
def shop(tmp_path):
    house = House(tmp_path)
    house.create(drain="7.5")
    return house


def scale_in(house, environments=None):
    """The seconds that it took, and what was told that is no mere beginning or end."""
    before = house.world.now
    (environments or house.environments).scale("shop", 2)
    events = [one for one in house.records.history.events("shop") if one.severity == "WARN"]
    return house.world.now - before, [(one.instance, one.message) for one in events]


@pytest.fixture
def three(shop):
    shop.environments.scale("shop", 3)
    return shop


def test_an_instance_without_requests_leaves_at_once(three):
    took, told = scale_in(three)
    assert took < 0.5
    assert told == []
    assert three.served() == {"v1": 2}


def test_requests_under_way_are_waited_for(three):
    three.parts.balancer.busy["i-3"] = three.world.now + 5.0
    took, told = scale_in(three)
    assert took == pytest.approx(5.0, abs=0.1)
    assert told == []


def test_they_have_the_draining_time_and_no_longer_and_that_is_told(three):
    three.parts.balancer.busy["i-3"] = three.world.now + 600.0
    took, told = scale_in(three)
    assert took == pytest.approx(7.5, abs=0.1)
    assert told == [("i-3", "Requests of i-3 were still under way after the draining time.")]
    assert three.served() == {"v1": 2}


def test_the_draining_time_is_for_all_that_leave_together(shop):
    shop.parts.balancer.busy = {"i-1": shop.world.now + 5.0, "i-2": shop.world.now + 600.0}
    before = shop.world.now
    shop.environments.deploy("shop", shop.version(), policy="immutable")
    late = [one.instance for one in shop.records.history.events("shop") if "still under way" in one.message]
    assert late == ["i-2"]
    assert shop.world.now - before < 7.5 + 5


def test_without_a_draining_time_nobody_waits(three):
    three.environments.configure("shop", settings={"drain": "0"})
    three.parts.balancer.busy["i-3"] = three.world.now + 600.0
    took, told = scale_in(three)
    assert took < 0.5
    assert len(told) == 1


def test_who_drains_gets_nothing_new_and_has_not_been_stopped(three):
    seen = []

    def wait_idle(environment, instance, timeout, wait=three.parts.balancer.wait_idle):
        servers = {one.instance: one for one in three.parts.balancer.sections()["shop"].pools[0].servers}
        seen.append((servers["i-3"].draining, "i-3" in three.parts.target.instances["shop"]))
        return wait(environment, instance, timeout)

    three.parts.balancer.busy["i-3"] = three.world.now + 3.0
    three.parts.balancer.wait_idle = wait_idle
    scale_in(three)
    assert set(seen) == {(True, True)}
    assert len(seen) >= 3, "an abort is looked for every second"


def test_an_abort_ends_the_waiting_and_who_drained_serves_again(three):
    three.environments.configure("shop", settings={"drain": "600"})
    three.parts.balancer.busy["i-3"] = three.world.now + 590.0
    before = three.world.now

    def wait_idle(environment, instance, timeout, wait=three.parts.balancer.wait_idle):
        Environments(three.parts, "you").abort("shop")
        return wait(environment, instance, timeout)

    three.parts.balancer.wait_idle = wait_idle
    with pytest.raises(OperationFailed, match="was aborted and was taken back: you aborted it"):
        three.environments.scale("shop", 2)
    assert three.world.now - before < 5
    assert three.served() == {"v1": 3}


# --- the time to stop


def test_instances_are_stopped_with_the_grace_that_is_set(three):
    scale_in(three)
    assert three.parts.target.graces == {"i-3": None}, "each service's own"
    three.environments.configure("shop", settings={"grace": "500ms"})
    three.environments.deploy("shop", three.version())
    assert three.parts.target.graces == {"i-1": 0.5, "i-2": 0.5, "i-3": None}
