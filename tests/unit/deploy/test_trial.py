"""What ends the trial of a version, and what does not: whole deployments by traffic splitting, on fakes."""

import pytest
from tests.unit.deploy.test_environments import House

from wherry.base.errors import OperationFailed
from wherry.deploy.balancer import AccessRecord
from wherry.deploy.environments import Environments
from wherry.deploy.settings import Settings
from wherry.deploy.traffic import RequestStats
from wherry.deploy.trial import verdict


class Trial:
    """A shop of two instances of v1, and v2, which is to be tried for 30 s. `then` happens once its instances serve."""

    def __init__(self, root, **settings):
        self.house = House(root)
        self.house.create(**{"split.evaluation": "30", **settings})
        self.label = self.house.version()
        self.then = lambda: None
        self.began = 0.0

    @property
    def names(self):
        return [one.name for one in self.house.records.instances("shop") if one.version == self.label and one.serves]

    def answers(self, count, status=200, milliseconds=3.0, instance=""):
        """Answers of the version on trial, from now on, or of another instance."""
        self.house.parts.balancer.records += [
            AccessRecord(self.house.world.now, "shop", "web", name, status, milliseconds, "GET", "/", "127.0.0.1")
            for name in ([instance] if instance else self.names[:1])
            for _ in range(count)
        ]

    def run(self):
        def pause(seconds):
            self.house.world.pause(seconds)
            if self.names and not self.began:
                self.began = self.house.world.now
                self.then()

        parts = self.house.parts._replace(pause=pause)
        return Environments(parts, "me").deploy("shop", self.label, policy="traffic-splitting")

    def fails(self, words):
        with pytest.raises(OperationFailed, match=f"taken back: version v2 failed its trial: {words}"):
            self.run()
        assert self.house.served() == {"v1": 2}
        assert {one.weight for one in self.house.records.instances("shop")} == {100}
        assert self.house.world.now - self.began < 10, "it did not wait for the end of the trial"

    def succeeds(self):
        self.run()
        assert self.house.served() == {"v2": 2}
        assert self.house.world.now - self.began >= 29


@pytest.fixture
def trial(tmp_path):
    return Trial(tmp_path)


def test_a_version_that_nobody_asks_passes(trial):
    trial.succeeds()


def test_a_version_that_answers_well_passes(trial):
    trial.then = lambda: trial.answers(1000)
    trial.succeeds()


# --- 5xx


def test_more_answers_with_5xx_than_are_allowed_end_it(trial):
    trial.then = lambda: (trial.answers(94), trial.answers(6, 503))
    trial.fails(r"6% of its 100 answers were 5xx, more than 5%")


def test_as_many_answers_with_5xx_as_are_allowed_do_not(trial):
    trial.then = lambda: (trial.answers(95), trial.answers(5, 503))
    trial.succeeds()


def test_answers_with_4xx_do_not(trial):
    trial.then = lambda: trial.answers(100, 404)
    trial.succeeds()


def test_twenty_answers_are_judged_and_fewer_are_not(trial):
    trial.then = lambda: trial.answers(19, 500)
    trial.succeeds()


def test_twenty_answers_are_enough(trial):
    trial.then = lambda: trial.answers(20, 500)
    trial.fails(r"100% of its 20 answers were 5xx")


def test_what_the_old_version_answers_does_not_count(trial):
    trial.then = lambda: trial.answers(100, 500, 9000.0, instance="i-1")
    trial.succeeds()


def test_what_comes_at_the_very_end_is_judged_too(trial):
    def later():
        trial.house.world.now += 29.5
        trial.answers(20, 500)

    trial.then = later
    with pytest.raises(OperationFailed, match="failed its trial: 100% of its 20 answers"):
        trial.run()


# --- latency


def test_a_95th_percentile_above_the_limit_ends_it(tmp_path):
    trial = Trial(tmp_path, **{"split.latency": "200ms"})
    trial.then = lambda: (trial.answers(94, milliseconds=10.0), trial.answers(6, milliseconds=201.0))
    trial.fails(r"p95 of its 100 answers was 201 ms, more than 200 ms")


def test_a_95th_percentile_at_the_limit_does_not(tmp_path):
    trial = Trial(tmp_path, **{"split.latency": "0.2"})
    trial.then = lambda: (trial.answers(95, milliseconds=200.0), trial.answers(5, milliseconds=9000.0))
    trial.succeeds()


def test_latency_without_a_limit_is_not_judged(trial):
    trial.then = lambda: trial.answers(100, milliseconds=60_000.0)
    trial.succeeds()


def test_a_percentile_of_fewer_than_twenty_answers_is_none():
    given = Settings({"split.latency": "0.2"})
    assert verdict(None, given) == ""
    assert verdict(RequestStats(19, (0, 19, 0, 0, 0), p95=900.0), given) == ""
    assert verdict(RequestStats(20, (0, 20, 0, 0, 0), p95=900.0), given)
    upgraded = RequestStats(25, (6, 19, 0, 0, 0), p95=900.0)
    assert verdict(upgraded, given) == "", "upgraded connections have no latency"


# --- instances


def test_an_instance_that_the_balancer_calls_down_ends_it(trial):
    trial.then = lambda: trial.house.parts.balancer.down.update({trial.names[-1]: 1.0})
    trial.fails(r"i-4: the load balancer calls it down: Connection refused")


def test_without_rollback_it_loses_its_share_of_the_requests_too(tmp_path):
    trial = Trial(tmp_path, rollback="off")
    trial.then = lambda: trial.house.parts.balancer.down.update({trial.names[0]: 1.0})
    trial.fails("i-3: the load balancer calls it down")


def test_an_old_instance_that_the_balancer_calls_down_does_not(trial):
    trial.then = lambda: trial.house.parts.balancer.down.update({"i-1": 1.0})
    trial.succeeds()


def test_an_instance_that_dies_ends_it(trial):
    trial.then = lambda: trial.house.parts.target.dead.update({("shop", trial.names[0]): 137})
    trial.fails(r"i-3: web exited with code 137")


def test_an_instance_whose_containers_were_removed_ends_it(trial):
    trial.then = lambda: trial.house.parts.target.instances["shop"].pop(trial.names[0])
    trial.fails(r"i-3: it has no containers")


def test_an_instance_that_is_unhealthy_by_its_own_check_ends_it(trial):
    trial.then = lambda: trial.house.parts.target.changes.update({("shop", trial.names[0]): {"health": "unhealthy"}})
    trial.fails(r"i-3: web calls itself unhealthy")


def test_an_old_instance_that_dies_does_not(trial):
    trial.then = lambda: trial.house.parts.target.dead.update({("shop", "i-1"): 137})
    trial.succeeds()
