"""Looking after environments, on fakes: a turn at a time, with a clock of its own."""

import threading

import pytest

from wherry.base.errors import Unavailable
from wherry.base.locks import FileLock
from wherry.base.paths import Layout
from wherry.base.progress import Warned
from wherry.compose.location import ProjectOptions
from wherry.deploy.applications import Applications
from wherry.deploy.balancer import AccessRecord
from wherry.deploy.control import Control, Follower
from wherry.deploy.environments import Environments
from wherry.deploy.fakes import Killed, World, fake_parts
from wherry.deploy.health import Machine
from wherry.deploy.traffic import Window

MODEL = {"services": {"web": {"image": "web", "ports": [{"target": 80}]}}, "networks": {"default": {}}}


class House:
    """An installation of fakes, and what looks after it."""

    def __init__(self, root):
        self.world = World()
        self.parts = fake_parts(Layout(str(root / "root"), str(root / "run")), self.world)
        self.target, self.balancer, self.records = self.parts.target, self.parts.balancer, self.parts.records
        self.parts.versions.models["/project"] = MODEL
        self.applications = Applications(self.parts)
        self.environments = Environments(self.parts, "me")
        self.warnings = []
        self.control = self.controller()

    def controller(self):
        self.window = Window()
        return Control(
            self.parts, "keeper", self.warnings.append, window=self.window, machine=lambda: Machine(0.1, 4, 10.0)
        )

    def create(self, name="shop", size=2, **settings):
        label = self.applications.add_version("shop", ProjectOptions({}, "/project")).label
        given = {"min": str(size), "health.interval": "1", **{key.replace("_", "."): v for key, v in settings.items()}}
        self.environments.create(name, "shop", label, settings=given)

    def turn(self, seconds=10.0, times=1):
        for _ in range(times):
            self.world.now += seconds
            assert self.control.turn()
            self.control.wait(20)

    def events(self, beginning="", name="shop"):
        return [one.message for one in self.records.history.events(name) if one.message.startswith(beginning)]

    def names(self, name="shop"):
        return [one.name for one in self.records.instances(name) if one.serves]

    def burn(self, percent, seconds, name="shop"):
        """Let each instance take so much CPU for a time, a turn every ten seconds."""
        for _ in range(int(seconds // 10)):
            for instance in self.target.instances[name]:
                change = self.target.changes.setdefault((name, instance), {"cpu_seconds": 0.0, "memory": 64 << 20})
                change["cpu_seconds"] += percent / 10
            self.turn()


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    made.control.close()


@pytest.fixture
def shop(house):
    house.create()
    house.turn(times=2)
    return house


# --- health


def test_health_is_told_once_for_each_change(shop):
    note = "Application deployment completed {} ago and took 2 seconds."
    first = f"Environment health has transitioned from Pending to Ok. {note.format('20 seconds')}"
    assert shop.events("Environment health") == [first]
    shop.turn(times=5)
    assert len(shop.events("Environment health")) == 1
    shop.balancer.down["i-2"] = 0.0
    shop.turn(times=3)
    cause = "The load balancer's health check fails on 1 out of 2 instances. i-2: web: Connection refused."
    second = f"Environment health has transitioned from Ok to Degraded. {cause} {note.format('1 minute')}"
    assert shop.events("Environment health") == [first, second]
    assert shop.control.health["shop"].color == "red"
    shop.balancer.down.clear()
    shop.turn(times=3)
    assert len(shop.events("Environment health")) == 3
    assert shop.records.history.events("shop")[-1].severity == "INFO"


def test_one_bad_look_proves_nothing(shop):
    shop.balancer.down["i-2"] = 0.0
    shop.turn()
    shop.balancer.down.clear()
    shop.turn(times=3)
    assert len(shop.events("Environment health")) == 1


def test_after_a_restart_nothing_is_told_again(shop):
    shop.control.close()
    shop.control = shop.controller()
    shop.turn(times=3)
    assert len(shop.events("Environment health")) == 1


def test_two_do_not_do_it_at_once(shop):
    other = shop.controller()
    assert not other.turn()
    shop.control.close()
    assert other.turn()
    other.close()


# --- replacements


def test_an_instance_that_stays_bad_is_replaced_after_its_grace(shop):
    shop.balancer.down["i-2"] = 0.0
    shop.turn(times=6)
    assert shop.names() == ["i-1", "i-2"]
    shop.turn()
    assert shop.names() == ["i-1", "i-3"]
    assert shop.events("i-2 is replaced") == ["i-2 is replaced: web: Connection refused, for 1 minute or more."]
    assert "begun by keeper" in shop.events("Replacement")[0]
    shop.turn(times=10)
    assert shop.names() == ["i-1", "i-3"]


def test_grace_begins_anew_when_it_was_well_meanwhile(shop):
    shop.target.dead["shop", "i-1"] = 1
    shop.turn(times=5)
    del shop.target.dead["shop", "i-1"]
    shop.turn()
    shop.target.dead["shop", "i-1"] = 1
    shop.turn(times=6)
    assert shop.names() == ["i-1", "i-2"]
    shop.turn()
    assert shop.names() == ["i-2", "i-3"]


def test_one_that_is_restarted_again_and_again_is_not_well_between(shop):
    """A container with a restart policy has its grace to come back, and one that falls over meanwhile has not."""
    for turn in range(7):
        restarting = turn % 2 == 0
        shop.target.changes["shop", "i-1"] = {
            "status": "restarting" if restarting else "running",
            "exit_code": 3,
            "restarts": turn + 1,
            "started": shop.world.now,
        }
        assert shop.names() == ["i-1", "i-2"]
        shop.turn()
    assert shop.names() == ["i-2", "i-3"]


def test_one_that_comes_back_and_stays_is_left_alone(shop):
    shop.target.dead["shop", "i-1"] = 1
    shop.turn(times=2)
    shop.environments.get("shop")
    shop.target.dead.clear()
    shop.target.changes["shop", "i-1"] = {"restarts": 1, "started": shop.world.now - 50}
    shop.turn(times=10)
    assert shop.names() == ["i-1", "i-2"]
    assert not shop.events("i-1 is replaced")


def test_instances_that_are_missing_are_made(shop):
    shop.target.instances["shop"].pop("i-1")
    shop.turn(times=7)
    assert shop.names() == ["i-2", "i-3"]
    assert shop.events("i-1 is replaced") == ["i-1 is replaced: its containers are gone, for 1 minute or more."]


def test_replacements_that_fail_are_not_tried_all_the_time(house):
    house.create(size=1)
    house.turn(times=2)
    house.target.dead["shop", "i-1"] = 1
    house.world.sick.add("v1")
    house.world.fails.add("v1")
    house.turn(times=360)  # an hour
    tries = house.events("Replacement begun")
    assert 4 <= len(tries) <= 7
    assert any("failed" in one.message for one in house.warnings if isinstance(one, Warned))
    house.world.fails.clear()
    house.world.sick.clear()
    house.turn(times=361)
    assert house.names() != ["i-1"]


def test_after_a_reboot_the_first_turn_brings_everything_back_in_place(shop):
    shop.control.close()
    shop.control = shop.controller()
    shop.balancer.stop()
    shop.target.dead.update({("shop", "i-1"): 137, ("shop", "i-2"): 137})
    shop.turn()
    assert shop.balancer.running()
    assert shop.target.dead == {}
    assert shop.names() == ["i-1", "i-2"]
    assert [one for one in shop.world.calls if one.startswith("start")][-2:] == ["start i-1 v1", "start i-2 v1"]


def test_a_balancer_that_does_not_run_is_started_again(shop):
    shop.turn()
    shop.balancer.stop()
    shop.turn()
    assert shop.balancer.running()
    assert shop.events("The load balancer did not run") == ["The load balancer did not run and was started."]


def unavailable():
    raise Unavailable("its port is taken")


def test_nothing_is_replaced_while_the_balancer_does_not_run(shop):
    shop.balancer.stop()
    shop.balancer.ensure = unavailable
    shop.turn(times=10)
    assert shop.names() == ["i-1", "i-2"]
    assert shop.control.health["shop"].status == "Severe"
    assert shop.control.health["shop"].causes[0] == "The load balancer does not run: nothing answers."


# --- what was cut off


def test_what_was_cut_off_is_ended(shop):
    label = shop.applications.add_version("shop", ProjectOptions({}, "/project")).label
    shop.world.kill_at = len(shop.world.calls) + 2
    with pytest.raises(Killed):
        shop.environments.deploy("shop", label)
    shop.world.kill_at = -1
    assert shop.records.journal.pending("shop") is not None
    shop.turn()
    assert shop.records.journal.pending("shop") is None
    assert shop.environments.get("shop").status == "Ready"
    assert shop.environments.get("shop").version == label


def test_what_somebody_works_on_is_left_to_them(shop):
    label = shop.applications.add_version("shop", ProjectOptions({}, "/project")).label
    shop.world.kill_at = len(shop.world.calls) + 2
    with pytest.raises(Killed):
        shop.environments.deploy("shop", label)
    shop.world.kill_at = -1
    with FileLock(f"{shop.parts.layout.locks}/environment-shop"):
        shop.turn(times=2)
        assert shop.records.journal.pending("shop") is not None
        assert shop.control.health["shop"].status == "Info"
    shop.turn()
    assert shop.records.journal.pending("shop") is None


def test_one_environment_does_not_wait_for_another(house):
    house.create("shop")
    house.create("blog")
    house.turn(times=2)
    begun, go_on = threading.Event(), threading.Event()
    start = house.target.start

    def slow(wish, progress, look):
        if wish.environment == "shop":
            begun.set()
            assert go_on.wait(30)
        return start(wish, progress, look)

    house.target.start = slow
    for name in ("shop", "blog"):
        house.target.dead[name, "i-1"] = 1
    for _ in range(8):
        house.world.now += 10
        house.control.turn()
        house.control._working.get("blog", threading.current_thread()) is threading.current_thread() or (
            house.control._working["blog"].join(20)
        )
    assert begun.wait(20)
    assert house.names("blog") == ["i-2", "i-3"]
    assert "i-1" in house.names("shop")
    go_on.set()
    house.control.wait(20)
    house.turn()
    assert house.names("shop") == ["i-2", "i-3"]


def test_what_goes_wrong_with_one_does_not_keep_the_others_from_being_looked_after(house):
    for name in ("blog", "shop"):
        house.create(name)
    house.turn(times=2)
    look = house.control._transitions.look

    def broken(environment, health):
        if environment.name == "blog":
            raise RuntimeError("boom")
        return look(environment, health)

    house.control._transitions.look = broken
    house.target.dead["shop", "i-1"] = 1
    house.turn(times=7)
    assert house.names("shop") == ["i-2", "i-3"]
    assert Warned("blog: this is a bug in Wherry: RuntimeError: boom") in house.warnings


# --- measurements and scaling


def test_what_was_measured_is_kept(shop):
    for index in range(50):
        shop.window.add(AccessRecord(shop.world.now + 9, "shop", "web", "i-1", 200, float(index), "GET", "/", "::1"))
    shop.burn(25.0, 20)
    series = shop.control._series
    assert series.latest("shop", "cpu", "i-1") == pytest.approx(25.0)
    assert series.latest("shop", "cpu") == pytest.approx(25.0)
    assert series.latest("shop", "memory") == 64.0
    assert series.latest("shop", "instances") == 2.0
    assert max(one.most for one in series.read("shop", "requests")) == 5.0
    assert max(one.most for one in series.read("shop", "latency", "i-1")) == 47.0
    assert series.read("shop", "requests", "i-2") == []


def test_a_container_that_began_anew_has_taken_nothing(shop):
    shop.burn(50.0, 20)
    for change in shop.target.changes.values():
        change["cpu_seconds"] = 1.0
    shop.turn()
    assert shop.control._series.latest("shop", "cpu") == 0.0


SCALING = {"scale_measure": "cpu", "scale_upper": "80", "scale_lower": "20", "max": "4"}


def test_busy_instances_get_another_one_and_idle_ones_leave(house):
    house.create(size=1, **SCALING)
    house.turn()
    house.burn(95.0, 360)
    assert len(house.names()) == 2
    assert house.events("Scaling") == [
        "Scaling from 1 to 2: cpu was above 80 percent of one core for 300 seconds (95 on average)."
    ]
    house.burn(95.0, 250)
    assert len(house.names()) == 2  # the cooldown
    house.burn(95.0, 130)
    assert len(house.names()) == 3
    house.burn(1.0, 1500)
    assert len(house.names()) == 1
    house.burn(1.0, 1500)
    assert len(house.names()) == 1  # not below min
    sizes = [one.split(":")[0] for one in house.events("Scaling")]
    assert sizes == ["Scaling from 1 to 2", "Scaling from 2 to 3", "Scaling from 3 to 2", "Scaling from 2 to 1"]


def test_between_the_thresholds_nothing_is_scaled(house):
    house.create(size=2, **SCALING)
    house.turn()
    house.burn(50.0, 1200)
    assert house.events("Scaling") == []


def test_short_periods_are_as_long_as_there_are_measurements(house):
    house.create(size=1, **SCALING, scale_period="1", scale_breach="1")
    house.turn()
    house.burn(95.0, 40)
    assert len(house.names()) == 2


def test_requests_scale_too(house):
    house.create(size=1, scale_measure="requests", scale_upper="10", max="3", scale_breach="60")
    house.turn()
    for _ in range(12):
        for _ in range(200):
            record = AccessRecord(house.world.now + 5, "shop", "web", "i-1", 200, 1.0, "GET", "/", "::1")
            house.window.add(record)
        house.turn()
    assert len(house.names()) == 2


# --- the follower


def test_requests_are_followed_and_the_balancer_may_be_gone_meanwhile(house):
    """What the balancer answers comes in, each once, however often it goes away."""
    record = AccessRecord(house.world.now + 1, "shop", "web", "i-1", 200, 1.0, "GET", "/", "::1")
    asked = []
    enough = threading.Event()

    def access(environment, since, *, follow):
        asked.append((environment, since, follow))
        if len(asked) == 1:
            raise Unavailable("it does not run")
        if len(asked) > 3:
            enough.set()
        return iter([one for one in (record, record._replace(time=record.time + 1)) if one.time >= since])

    house.balancer.access = access
    window = Window()
    follower = Follower(house.parts, window, retry=0.001)
    follower.start()
    follower.start()
    assert enough.wait(20)
    follower.stop()
    assert asked[0] == ("", house.world.now, True)
    assert window.stats(0.0)["shop"][""].requests == 2
