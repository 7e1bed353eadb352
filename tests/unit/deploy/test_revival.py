"""What stands still is brought back in place, on fakes."""

import pytest
from tests.unit.deploy.test_environments import House

from wherry.base.errors import Unavailable
from wherry.base.locks import FileLock
from wherry.deploy.fakes import Killed


@pytest.fixture
def shop(tmp_path):
    house = House(tmp_path)
    house.create()
    house.since = len(house.world.calls)
    return house


def done(house):
    return [call for call in house.world.calls[house.since :] if not call.startswith("apply")]


def servers(house):
    return [one.instance for one in house.parts.balancer.sections()["shop"].pools[0].servers]


def test_where_all_is_well_nothing_is_done(shop):
    assert shop.environments.revive("shop") == []
    assert shop.world.calls[shop.since :] == []


def test_a_reboot_is_followed_by_balancer_then_accessories_then_instances(shop):
    shop.parts.balancer.stop()
    shop.parts.target.dead.update({("shop", ""): 137, ("shop", "i-1"): 137, ("shop", "i-2"): 137})
    said = shop.environments.revive("shop")
    assert said == [
        "The load balancer did not run and was started.",
        "The accessory db stood still (exited, exit code 137) and was started again.",
        "web of i-1 stood still (exited, exit code 137) and was started again.",
        "web of i-2 stood still (exited, exit code 137) and was started again.",
    ]
    assert done(shop) == ["ensure", "accessories db", "start i-1 v1", "start i-2 v1"]
    assert shop.served() == {"v1": 2}
    events = [one.message for one in shop.records.history.events("shop")]
    assert events[-4:] == said
    assert shop.environments.revive("shop") == []


def test_what_has_ended_well_has_done_its_work(shop):
    shop.parts.target.dead["shop", "i-1"] = 0
    assert shop.environments.revive("shop") == []


def test_what_cannot_be_started_does_not_keep_the_rest_down(shop):
    shop.parts.target.dead.update({("shop", ""): 137, ("shop", "i-1"): 137})

    def fails(*_, **__):
        raise Unavailable("its disk is gone")

    shop.parts.target.ensure_accessories = fails
    said = shop.environments.revive("shop")
    assert said[0] == "The accessory db stood still and cannot be started: its disk is gone."
    assert "web of i-1" in said[1]


def test_what_its_restart_policy_is_at_is_given_what_it_may_lack(shop):
    shop.parts.target.changes["shop", "i-1"] = {"status": "restarting", "address": ""}
    assert shop.environments.revive("shop") == []
    assert done(shop) == ["start i-1 v1"]


def test_what_does_not_come_up_is_not_waited_for_for_ever(shop):
    shop.parts.target.dead["shop", ""] = 1
    shop.world.hangs.add("accessories")
    [said] = shop.environments.revive("shop")
    assert said == (
        "The accessory db stood still and cannot be started: the accessories did not start within 600 seconds."
    )


def test_a_server_that_the_balancer_lost_is_told_to_it_again(shop):
    [section] = shop.parts.balancer.sections().values()
    [pool] = section.pools
    shop.parts.balancer.apply(section._replace(pools=(pool._replace(servers=pool.servers[:1]),)))
    assert servers(shop) == ["i-1"]
    shop.environments.revive("shop")
    assert servers(shop) == ["i-1", "i-2"]


def test_an_instance_that_is_restarting_stays_with_the_balancer(shop):
    [before] = shop.parts.balancer.sections().values()
    shop.parts.target.changes["shop", "i-1"] = {"status": "restarting", "address": ""}
    shop.environments.configure("shop", settings={"health.path": "/healthz"})
    [after] = shop.parts.balancer.sections().values()
    assert after.pools[0].servers == before.pools[0].servers


def test_what_was_cut_off_is_ended_afterwards(shop):
    label = shop.version()
    shop.world.kill_at = len(shop.world.calls) + 5
    with pytest.raises(Killed):
        shop.environments.deploy("shop", label)
    shop.world.kill_at = -1
    shop.parts.balancer.stop()
    said = shop.environments.revive("shop")
    assert said[0] == "The load balancer did not run and was started."
    assert "Deployment 2" in said[-1]
    assert shop.served() == {"v2": 2}
    assert shop.is_at_rest()


def test_what_somebody_works_on_is_left_alone(shop):
    shop.parts.balancer.stop()
    with FileLock(f"{shop.parts.layout.locks}/environment-shop"):
        assert shop.environments.revive("shop") == []
    assert not shop.parts.balancer.running()


def test_a_terminated_environment_stays_as_it_is(shop):
    shop.environments.terminate("shop")
    shop.parts.balancer.stop()
    assert shop.environments.revive("shop") == []
