"""What the console shows and does, over environments whose target and balancer are fakes."""

import threading

import pytest

from exposition import parse_exposition
from wherry.base.errors import Conflict, InvalidInput, NotFound
from wherry.base.paths import Layout
from wherry.compose.location import ProjectOptions
from wherry.deploy.applications import Applications
from wherry.deploy.balancer import AccessRecord
from wherry.deploy.control import Control
from wherry.deploy.environments import Environments
from wherry.deploy.fakes import World, fake_parts
from wherry.deploy.target import Secret
from wherry.deploy.traffic import Window
from wherry.serve.showing import Showing

MODEL = {
    "services": {"web": {"image": "web", "ports": [{"target": 80}]}},
    "networks": {"default": {}},
    "volumes": {},
    "x-wherry": {},
}


class House:
    """An environment shop of two instances, to which v1 and then v2 were deployed; v3 is there, too."""

    def __init__(self, root):
        self.world = World()
        self.parts = fake_parts(Layout(str(root / "root"), str(root / "run")), self.world)
        self.parts.versions.models["/project"] = MODEL
        self.environments = Environments(self.parts, "me")
        self.now = 0.0
        self.showing = Showing(self.parts, lambda: self.now)
        applications = Applications(self.parts)
        for _ in range(3):
            applications.add_version("shop", ProjectOptions({}, "/project"))
        settings = {"min": "2", "health.interval": "1"}
        secrets = [Secret("TOKEN", "hush-hush")]
        self.environments.create("shop", "shop", "v1", settings=settings, variables={"A": "b"}, secrets=secrets)
        self.environments.deploy("shop", "v2")

    def act(self, action, **values):
        said = self.showing.act(action, "shop", values, "ana")
        assert self.showing.wait(20)
        return said

    def version(self):
        return self.environments.get("shop").version


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def test_an_environment_is_shown_as_it_is(house):
    [summary] = house.showing.summaries()
    assert (summary.name, summary.version, summary.instances, summary.wanted) == ("shop", "v2", 2, 2)
    assert (summary.color, summary.health, summary.url) == ("green", "Ok", "http://shop.localhost")
    shown = house.showing.environment("shop", 3600.0)
    assert [one.version for one in shown.instances] == ["v2", "v2"]
    assert [(one.number, one.after, one.is_current, one.can_return) for one in shown.deployments] == [
        (2, "v2", True, False),
        (1, "v1", False, True),
    ]
    assert (shown.operation, shown.back, shown.can_abort, shown.others) == ("", "v1", False, [])
    assert [one.label for one in shown.versions] == ["v3", "v2", "v1"]
    events = house.showing.events("shop", 3)
    assert "Version v2 runs on 2 instances" in events[0].message  # the newest first
    for ask in (house.showing.logs, house.showing.events):
        assert ask("shop", 10) is not None
    with pytest.raises(NotFound):
        house.showing.environment("nowhere", 60.0)
    with pytest.raises(NotFound):
        house.showing.logs("nowhere", 10)


def test_what_secrets_hold_is_shown_nowhere(house):
    told = [(one.name, one.kind, one.value) for one in house.showing.variables("shop")]
    assert told == [("A", "variable", "b"), ("TOKEN", "secret", "")]
    everything = repr(
        (house.showing.environment("shop", 60.0), house.showing.settings("shop"), house.showing.metrics())
    )
    assert "hush" not in everything


def test_an_instance_that_is_not_well_is_told_with_its_cause(house):
    [first, _] = [one.name for one in house.parts.records.instances("shop")]
    house.parts.balancer.down[first] = 0.0
    shown = house.showing.environment("shop", 0.0)
    assert (shown.summary.color, shown.summary.health) == ("red", "Degraded")
    assert f"{first}: web: Connection refused." in shown.summary.causes
    assert [one.health for one in shown.instances] == ["Severe", "Ok"]


def test_requests_are_counted_and_drawn(house):
    [first, second] = [one.name for one in house.parts.records.instances("shop")]
    moment = house.world.now - 1
    for number in range(60):
        instance, status = (first, 200) if number % 2 else (second, 500)
        record = AccessRecord(moment, "shop", "web", instance, status, 10.0 + number, "GET", "/", "c")
        house.parts.balancer.records.append(record)
    window = Window()
    for record in house.parts.balancer.records:
        window.add(record)
    Control(house.parts, window=window).turn()
    shown = house.showing.environment("shop", 3600.0)
    assert (shown.summary.requests, shown.summary.failing, shown.summary.color) == (1.0, 50.0, "red")
    assert [one.failing for one in shown.instances] == [0.0, 100.0]
    last = {line.name: line.points[-1][1] for chart in shown.charts for line in chart.lines if line.points}
    assert (last["errors"], last["latency"], last["instances"]) == (50.0, 66.0, 2.0)
    assert last["requests"] > 0


def test_many_who_look_at_once_look_once(house):
    looked = []
    observe = house.parts.target.observe
    house.parts.target.observe = lambda name: looked.append(name) or observe(name)
    for _ in range(50):
        house.showing.environment("shop", 3600.0)
        house.showing.summaries()
    assert len(looked) == 1
    house.now += 2.0
    house.showing.environment("shop", 3600.0)
    assert len(looked) == 2


def test_operations_are_carried_out(house):
    assert house.act("deploy", version="v3") == "The deployment of version v3 has begun."
    assert (house.version(), house.parts.records.history.deployments("shop")[0].who) == ("v3", "ana")
    house.act("rollback")
    assert house.version() == "v2"
    house.act("rollback", to="1")
    assert house.version() == "v1"
    house.act("scale", count="3")
    assert house.showing.environment("shop", 0.0).summary.instances == 3
    assert house.act("set", setting="drain", value="7") == "The change of drain to 7 is done."
    assert {one.name: one.value for one in house.showing.settings("shop")}["drain"] == "7"
    house.act("variable", name="A", kind="variable", value="c")
    house.act("variable", name="TOKEN", kind="remove")
    assert [(one.name, one.value) for one in house.showing.variables("shop")] == [("A", "c")]
    house.act("restart")
    assert house.environments.get("shop").status == "Ready"


@pytest.mark.parametrize(
    ("action", "values", "error"),
    [
        ("scale", {"count": "99"}, InvalidInput),
        ("scale", {"count": "-1"}, InvalidInput),
        ("deploy", {"version": "v9"}, NotFound),
        ("deploy", {}, InvalidInput),
        ("set", {"setting": "drain", "value": "soon"}, InvalidInput),
        ("set", {"setting": "nothing", "value": "1"}, NotFound),
        ("variable", {"name": "A", "kind": "odd"}, InvalidInput),
        ("swap", {"other": "shop"}, InvalidInput),
        ("abort", {}, Conflict),
    ],
)
def test_what_cannot_begin_is_refused_at_once(house, action, values, error):
    with pytest.raises(error):
        house.act(action, **values)
    assert house.version() == "v2"


def test_a_deployment_that_fails_later_is_an_event(house):
    house.world.fails.add("v3")
    assert "has begun" in house.act("deploy", version="v3")
    [event] = [one for one in house.showing.events("shop", 5) if one.severity == "ERROR"]
    assert "exited with code 1" in event.message
    assert house.version() == "v2"


def test_two_operations_at_once_are_refused_and_the_first_can_be_aborted(house):
    going, pause = threading.Event(), house.world.pause
    house.world.sick.add("v3")

    def slow(seconds):
        going.wait(0.005)
        pause(seconds)

    parts = house.parts._replace(pause=slow)
    showing = Showing(parts, lambda: house.now)
    house.environments.configure("shop", settings={"timeout": "86400"})
    showing.act("deploy", "shop", {"version": "v3"}, "ana")
    shown = showing.environment("shop", 0.0)
    assert "Deployment 3 of version v3, in place of v2" in shown.operation
    assert "cut off" not in shown.operation
    assert shown.can_abort
    with pytest.raises(Conflict, match="another operation on shop is under way"):
        showing.act("restart", "shop", {}, "ben")
    showing.act("abort", "shop", {}, "ben")
    assert showing.wait(20)
    assert house.version() == "v2"
    assert house.parts.records.history.deployments("shop")[0].result == "aborted"


def test_figures_are_as_prometheus_wants_them(house):
    found = parse_exposition(house.showing.metrics())
    of = {name: samples for name, (_, _, samples) in found.items()}
    _, labels, value = of["wherry_environment_health"][0]
    assert (labels, value) == ({"environment": "shop", "status": "Ok", "color": "green"}, 0.0)
    assert of["wherry_environment_instances_wanted"][0][2] == 2.0
    assert of["wherry_environment_instances_running"][0][2] == 2.0
    results = {labels["result"]: value for _, labels, value in of["wherry_deployments_total"]}
    assert results == {"succeeded": 2.0, "failed": 0.0, "aborted": 0.0, "broken": 0.0}
    assert len(of["wherry_instance_requests_total"]) == 10
    assert len(of["wherry_instance_restarts_total"]) == 2
    assert {"wherry_instance_memory_bytes", "wherry_instance_cpu_seconds_total"} < set(of)
    assert {"wherry_deployment_last_duration_seconds", "wherry_environment_info"} < set(of)
