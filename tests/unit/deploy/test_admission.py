"""When an instance may get requests, on fakes."""

import pytest

from wherry.base.errors import OperationFailed
from wherry.base.paths import Layout
from wherry.deploy.admission import admit, hopelessness
from wherry.deploy.fakes import World, fake_parts
from wherry.deploy.membership import Membership
from wherry.deploy.model import Environment, Revision, Version
from wherry.deploy.probing import Probe
from wherry.deploy.target import ObservedInstance, ObservedService

MODEL = {"services": {"web": {"image": "web", "ports": [{"target": 80}]}}}


class House:
    def __init__(self, root, model=MODEL, **given):
        self.world = World()
        self.parts = fake_parts(Layout(str(root / "root"), str(root / "run")), self.world)
        records = self.parts.records
        records.ensure_application("shop")
        records.add_version(Version("shop", "v1", 0, model))
        records.add_environment(Environment("shop", "shop", "shop.localhost", 0, settings=given))
        records.add_revision(Revision("shop", 1, "v1"), ())
        records.add_instance("shop", "i-1", 1)
        self.membership = Membership(self.parts)
        self.parts.target.start(self.membership.instance_wish("shop", "i-1", 1), lambda _: None)
        self.asked = 0

    def admit(self, *answers, look=lambda: None):
        def probe(address, port, check, host):
            assert self.parts.target.owner_of(address) == ("shop", "i-1", "web")
            assert (port, host) == (80, "shop.localhost")
            self.asked += 1
            good = answers[min(self.asked, len(answers)) - 1]
            return Probe(good, "" if good else "/ answered 503", 0.0)

        admit(self.parts._replace(probe=probe), self.membership, "shop", "i-1", look)


def test_it_takes_so_many_good_answers_in_a_row(tmp_path):
    house = House(tmp_path, **{"health.healthy": "3"})
    house.admit(True, True, False, True, True, True)
    assert house.asked == 6


def test_every_replica_has_to_answer(tmp_path):
    house = House(tmp_path, timeout="10", **{"health.healthy": "1"})
    [one] = house.parts.target.observe("shop")
    other = one.services[0]._replace(container="other", address="10.9.9.9")
    house.parts.target.observe = lambda _: [one._replace(services=(*one.services, other))]
    asked = []

    def probe(address, *_):
        asked.append(address)
        good = address != "10.9.9.9" or len(asked) >= 4
        return Probe(good, "" if good else "/ answered 503", 0.0)

    admit(house.parts._replace(probe=probe), house.membership, "shop", "i-1", lambda: None)
    assert asked == ["10.0.0.0", "10.9.9.9"] * 2
    asked.append("")
    with pytest.raises(OperationFailed, match=r"web at 10\.9\.9\.9: / answered 503"):
        admit(
            house.parts._replace(probe=lambda address, *_: Probe(address != "10.9.9.9", "/ answered 503", 0.0)),
            house.membership,
            "shop",
            "i-1",
            lambda: None,
        )


def test_an_instance_without_routes_has_to_go_on_running(tmp_path):
    house = House(tmp_path, model={"services": {"worker": {"image": "worker"}}}, **{"health.healthy": "3"})
    looks = []

    def die():
        looks.append(1)
        if len(looks) == 3:
            house.parts.target.dead["shop", "i-1"] = 2

    with pytest.raises(OperationFailed, match="worker exited with code 2"):
        house.admit(False, look=die)


def test_the_last_reason_is_told_when_the_time_is_up(tmp_path):
    house = House(tmp_path, timeout="10", **{"health.interval": "2"})
    with pytest.raises(OperationFailed, match=r"^i-1 is not healthy: web: / answered 503$") as caught:
        house.admit(False)
    assert caught.value.hint == "what it said: `wherry env logs shop --instance i-1`"
    assert 10 <= house.asked <= 12  # once a second at the slowest


def test_what_has_ended_is_not_waited_for(tmp_path):
    house = House(tmp_path)
    house.parts.target.dead["shop", "i-1"] = 2
    with pytest.raises(OperationFailed, match="web exited with code 2"):
        house.admit(True)
    assert house.asked == 0


def test_where_health_is_ignored_it_only_has_to_run(tmp_path):
    house = House(tmp_path, **{"ignore-health": "on"})
    house.admit(False)
    house.parts.target.dead["shop", "i-1"] = 2
    with pytest.raises(OperationFailed):
        house.admit(False)


def test_waiting_can_be_ended(tmp_path):
    def look():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        House(tmp_path).admit(False, look=look)


@pytest.mark.parametrize(
    ("service", "reason"),
    [
        (ObservedService("web", "c", "running", "", 0, 0, 0.0), ""),
        (ObservedService("web", "c", "exited", "", 0, 0, 0.0), ""),
        (ObservedService("web", "c", "exited", "", 1, 0, 0.0), "web exited with code 1"),
        (ObservedService("web", "c", "running", "unhealthy", 0, 0, 0.0), "web calls itself unhealthy"),
        (ObservedService("web", "c", "restarting", "", 1, 3, 0.0), "web exited with code 1, 3 times"),
        (
            ObservedService("web", "c", "exited", "", 137, 0, 0.0, oom_killed=True),
            "web exited with code 137, killed for want of memory",
        ),
    ],
)
def test_what_is_beyond_hope(service, reason):
    assert hopelessness(ObservedInstance("shop", "i-1", "v1", (service,))) == reason


def test_nothing_is_beyond_hope():
    assert hopelessness(None) == "it has no containers"


def test_what_is_started_again_may_be_healthy_yet():
    service = ObservedService("web", "c", "restarting", "unhealthy", 1, 1, 0.0)
    assert hopelessness(ObservedInstance("shop", "i-1", "v1", (service,))) == ""
