import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.deploy.balancer import AccessRecord
from wherry.deploy.traffic import RequestStats, Window, summarize


def record(time=100.0, instance="i-1", status=200, milliseconds=5.0, environment="shop"):
    return AccessRecord(time, environment, "web", instance, status, milliseconds, "GET", "/", "127.0.0.1")


def test_nothing_comes_to_nothing():
    assert summarize([]) == {"": RequestStats()}
    assert RequestStats().share(5) == 0.0


def test_percentiles_are_those_of_requests_that_there_were():
    durations = list(range(1, 101))
    random.Random(1).shuffle(durations)
    found = summarize(record(milliseconds=one) for one in durations)[""]
    assert found[2:] == (10, 50, 75, 85, 90, 95, 99)
    assert summarize([record(milliseconds=7.0)])[""][2:] == (7.0,) * 7


@given(st.lists(st.integers(0, 60_000), min_size=1, max_size=200))
def test_a_percentile_is_the_least_that_enough_do_not_exceed(durations):
    found = summarize(record(milliseconds=one) for one in durations)[""]
    for percent, value in zip((10, 50, 75, 85, 90, 95, 99), found[2:], strict=True):
        assert value in durations
        assert sum(one <= value for one in durations) * 100 >= percent * len(durations)
        assert sum(one < value for one in durations) * 100 < percent * len(durations)


def test_instances_and_what_reached_none():
    found = summarize(
        [record(status=200), record(status=404), record(instance="i-2", status=500), record(instance="", status=503)]
    )
    assert {name: (one.requests, one.status) for name, one in found.items()} == {
        "": (4, (0, 1, 0, 1, 2)),
        "i-1": (2, (0, 1, 0, 1, 0)),
        "i-2": (1, (0, 0, 0, 0, 1)),
    }
    assert found[""].share(5) == 50.0


def test_a_client_that_left_is_a_request_without_an_answer():
    assert summarize([record(status=0), record()])[""][:2] == (2, (0, 1, 0, 0, 0))


def test_upgraded_connections_have_no_latency():
    found = summarize([record(status=101, milliseconds=3_600_000.0), record(milliseconds=3.0)])[""]
    assert (found.requests, found.status[0], found.p99) == (2, 1, 3.0)


class TestWindow:
    def test_it_says_what_a_summary_says(self):
        records = [
            record(100 + index / 7, f"i-{index % 3}", (200, 404, 500)[index % 3], float(index)) for index in range(200)
        ]
        window = Window()
        for one in records:
            window.add(one)
        assert window.stats(0.0) == {"shop": summarize(records)}

    def test_what_is_old_leaves(self):
        window = Window(seconds=10)
        for time in (100.0, 105.0, 112.0):
            window.add(record(time))
        assert window.stats(0.0)["shop"][""].requests == 2
        assert window.stats(112.0)["shop"][""].requests == 1
        assert window.stats(113.0) == {}

    def test_a_record_that_comes_late_counts_and_one_that_comes_much_later_does_not(self):
        window = Window(seconds=10)
        for time in (100.0, 102.5, 101.0, 95.0):
            window.add(record(time))
        assert window.stats(0.0)["shop"][""].requests == 3

    def test_environments_are_apart(self):
        window = Window()
        window.add(record())
        window.add(record(environment="other", instance="", status=503))
        assert window.stats(0.0)["other"] == summarize([record(instance="", status=503)])
        assert window.stats(0.0)["shop"] == summarize([record()])

    def test_a_flood_is_counted_and_takes_no_more_room(self):
        window = Window(most=10)
        for _ in range(1000):
            window.add(record(status=500))
        found = window.stats(0.0)["shop"]["i-1"]
        assert (found.requests, found.status, found.p99) == (1000, (0, 0, 0, 0, 1000), 5.0)
        ((_, environments),) = window._slices
        assert len(environments["shop"]["i-1"].milliseconds) == 10

    @pytest.mark.parametrize("seconds", [1, 60])
    def test_it_never_keeps_more_than_its_seconds(self, seconds):
        window = Window(seconds)
        for time in range(500):
            window.add(record(float(time)))
        assert window.stats(0.0)["shop"][""].requests == seconds
