"""What the table of instances says, for all that may be found of them."""

import pytest

from wherry.cli.instancetable import Rates, count_up, health_of, state_of, table
from wherry.deploy.journal import StepRecord
from wherry.deploy.model import Environment, Instance
from wherry.deploy.routing import ServerState
from wherry.deploy.status import InstanceStatus, Status
from wherry.deploy.steps import Check, Restart, Start, Stop
from wherry.deploy.target import ObservedInstance, ObservedService


def server(instance="i-1", status="up", requests=0, errors=0, failures=0, reason="", pool="web"):
    return ServerState(pool, instance, status, reason, 0, requests, (0, 0, 0, 0, errors), failures, 0.0, 0.0, 100, 0.0)


def instance(name="i-1", weight=0, draining=False, container="running", code=0, servers=()):
    service = ObservedService("web", "c", container, "", code, 0, 0.0)
    observed = ObservedInstance("shop", name, "v2", (service,)) if container else None
    return InstanceStatus(Instance("shop", name, 2, "v2", 0, weight, draining), observed, tuple(servers))


def status(*instances, steps=()):
    records = tuple(StepRecord(number, number, step, state) for number, (step, state) in enumerate(steps))
    return Status(Environment("shop", "shop", "shop.localhost", 0), "", None, records, True, instances, None)


@pytest.mark.parametrize(
    ("one", "steps", "words"),
    [
        (instance(container=""), [(Start("i-1", 2, "v2"), "running")], "starting"),
        (instance(container="created"), [(Start("i-1", 2, "v2"), "running")], "starting"),
        (instance(), [(Start("i-1", 2, "v2"), "running")], "starting"),
        (instance(), [(Check("i-1"), "running")], "waiting for its health check"),
        (instance(), [(Check("i-2"), "running")], "starting"),
        (instance(), [(Check("i-1"), "done")], "ready"),
        (instance(weight=100), [(Check("i-1"), "done")], "serving"),
        (instance(weight=100, container="exited", code=1), [], "stopped"),
        (instance(weight=100, draining=True), [(Stop("i-1"), "waiting")], "draining"),
        (instance(), [(Stop("i-1"), "waiting")], "drained"),
        (instance(), [(Check("i-1"), "failed"), (Stop("i-1"), "running")], "stopping"),
        (instance(container="exited", code=1), [(Check("i-1"), "failed")], "stopped"),
        (instance(container="exited"), [(Restart("i-1"), "running")], "restarting"),
    ],
)
def test_what_an_instance_does_is_said_in_words(one, steps, words):
    assert state_of(status(one, steps=steps), one) == words


@pytest.mark.parametrize(
    ("servers", "words"),
    [
        ((), "-"),
        ((server(status="up"), server(status="unchecked", pool="api")), "unchecked"),
        ((server(status="up"), server(status="down", reason="Connection refused")), "down: Connection refused"),
        ((server(status="draining"), server(status="up")), "draining"),
    ],
)
def test_the_worst_server_is_what_the_balancer_says(servers, words):
    assert health_of(servers) == words


def test_counters_of_all_pools_count():
    found = count_up([server(requests=5, errors=1), server(requests=7, failures=2, pool="api"), server("i-2")])
    assert found == {"i-1": (12, 3), "i-2": (0, 0)}


def test_rates_are_differences_and_what_was_before_does_not_count():
    rates = Rates()
    rates.note(0.0, {"i-1": (1000, 50)})
    assert rates.of("i-1") == (None, 0)
    rates.note(1.0, {"i-1": (1030, 51)})
    assert rates.of("i-1") == (30.0, 1)


def test_a_rate_is_of_the_last_two_seconds():
    rates = Rates()
    for second, requests in enumerate((0, 100, 200, 200, 200)):
        rates.note(float(second), {"i-1": (requests, 0)})
    assert rates.of("i-1").per_second == 0.0


def test_counters_that_begin_anew_and_instances_that_come_later_count_whole():
    rates = Rates()
    rates.note(0.0, {"i-1": (1000, 9)})
    rates.note(1.0, {"i-1": (10, 1), "i-2": (4, 2)})
    assert rates.of("i-1") == (10.0, 1)
    assert rates.of("i-2") == (None, 2)


def test_failures_of_instances_that_are_gone_stay_in_the_sum():
    rates = Rates()
    rates.note(0.0, {"i-1": (0, 0), "i-2": (0, 0)})
    rates.note(1.0, {"i-1": (10, 4), "i-2": (20, 0)})
    assert rates.all() == (30.0, 4)
    rates.note(2.0, {"i-2": (40, 1)})
    assert rates.all() == (20.0, 5)


def test_a_table_has_a_sum_and_gives_the_words_their_room():
    rates = Rates()
    ones = [instance("i-1", 100, servers=[server()]), instance("i-2")]
    lines = [text for text, _ in table(status(*ones), rates, 120, 10)]
    assert [line.split()[0] for line in lines] == ["INSTANCE", "i-1", "i-2", "all"]
    assert lines[1].split() == ["i-1", "v2", "serving", "100", "-", "0", "up"]
    assert len({line.find("v2") for line in lines[1:3]}) == 1


@pytest.mark.parametrize(
    ("columns", "headings"),
    [
        (80, "INSTANCE VERSION STATE WEIGHT REQ/S FAILED BALANCER"),
        (56, "INSTANCE VERSION STATE REQ/S FAILED BALANCER"),
        (45, "INSTANCE VERSION STATE REQ/S FAILED"),
        (34, "INSTANCE VERSION STATE REQ/S"),
        (26, "INSTANCE VERSION STATE"),
        (5, "INSTANCE STATE"),
    ],
)
def test_a_narrow_table_has_fewer_columns(columns, headings):
    lines = table(status(instance(weight=100, servers=[server()])), Rates(), columns, 10)
    assert " ".join(lines[0][0].split()) == headings


def test_a_long_reason_is_cut_rather_than_other_columns_left_out():
    long = server(status="down", reason="/health answered 503, which is not among 200-399")
    lines = table(status(instance(weight=100, servers=[long])), Rates(), 64, 10)
    assert "WEIGHT" in lines[0][0]
    assert "down: /health" in lines[1][0]


def test_where_not_all_fit_those_that_only_serve_are_left_out():
    ones = [instance(f"i-{number}", 100, number == 5) for number in range(1, 7)]
    lines = [text for text, _ in table(status(*ones), Rates(), 80, 2)]
    assert [line.split()[0] for line in lines] == ["INSTANCE", "i-1", "i-5", "…", "all"]
    assert "and 4 more" in lines[3]
