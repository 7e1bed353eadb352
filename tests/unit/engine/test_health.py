"""Health as Docker decides it, result by result; time is a number here."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.engine.configuration import configure
from wherry.engine.health import (
    HEALTHY,
    STARTING,
    UNHEALTHY,
    Health,
    HealthCheck,
    HealthResult,
    check_of,
    judge,
    next_check,
    show_output,
    timed_out,
)
from wherry.engine.request import ContainerRequest, HealthRequest
from wherry.oci.config import ContainerDefaults, Healthcheck

SECOND = 1_000_000_000
START = 1_000 * SECOND


def result(code, seconds_after_start=100.0):
    began = START + round(seconds_after_start * SECOND)
    return HealthResult(began, began + SECOND // 10, code, "")


def after(codes, check, *, every=1.0, health=None):
    state = health or Health()
    for number, code in enumerate(codes):
        state = judge(state, check, result(code, (number + 1) * every), START)
    return state


CHECK = HealthCheck(("true",), retries=3)


@pytest.mark.parametrize(
    ("codes", "health"),
    [
        ([], Health(STARTING, 0)),
        ([0], Health(HEALTHY, 0)),
        ([1], Health(STARTING, 1)),
        ([1, 1], Health(STARTING, 2)),
        ([1, 1, 1], Health(UNHEALTHY, 3)),
        ([1, 1, 1, 1], Health(UNHEALTHY, 4)),
        ([1, 1, 0], Health(HEALTHY, 0)),
        ([0, 1, 1], Health(HEALTHY, 2)),
        ([0, 1, 1, 1], Health(UNHEALTHY, 3)),
        ([0, 1, 1, 0, 1], Health(HEALTHY, 1)),
        ([1, 1, 1, 0], Health(HEALTHY, 0)),
        ([2, -1, 127], Health(UNHEALTHY, 3)),
    ],
)
def test_successes_and_failures_in_a_row(codes, health):
    assert after(codes, CHECK) == health


def test_failures_in_the_start_period_do_not_count_and_a_success_ends_it():
    check = CHECK._replace(start_period=10 * SECOND)
    assert after([1] * 9, check) == Health(STARTING, 0)
    assert after([1] * 12, check) == Health(UNHEALTHY, 3)  # at 10, 11 and 12 seconds
    assert after([0, 1, 1, 1], check) == Health(UNHEALTHY, 3)
    assert judge(Health(), check, result(1, 9.999), START) == Health(STARTING, 0)
    assert judge(Health(), check, result(1, 10.0), START) == Health(STARTING, 1)


def test_checks_are_closer_together_until_the_container_has_started():
    check = CHECK._replace(interval=30 * SECOND, start_interval=2 * SECOND, start_period=60 * SECOND)
    assert next_check(Health(), check, START, START) == 2 * SECOND
    assert next_check(Health(HEALTHY), check, START, START + SECOND) == 30 * SECOND
    assert next_check(Health(), check, START, START + 60 * SECOND) == 30 * SECOND
    assert next_check(Health(), CHECK, START, START) == CHECK.interval


codes = st.lists(st.sampled_from([0, 0, 1, 2, -1]), max_size=30)


@given(codes, st.integers(1, 5), st.integers(0, 20))
def test_health_is_what_the_history_says(history, retries, start_period):
    """Told in another way: look back from the end to the last success."""
    check = HealthCheck(("x",), retries=retries, start_period=start_period * SECOND)
    health = after(history, check)
    first_success = history.index(0) if 0 in history else len(history)
    counted = [code != 0 and (n > first_success or n + 1 >= start_period) for n, code in enumerate(history)]
    streak = 0
    for fails, code in zip(counted, history, strict=True):
        streak = streak + fails if code else 0
    assert health.streak == streak
    if history and history[-1] == 0:
        assert health == Health(HEALTHY, 0)
    elif streak >= retries:
        assert health.status == UNHEALTHY
    elif 0 not in history:
        assert health.status == STARTING
    assert health.status in (STARTING, HEALTHY, UNHEALTHY)


@given(codes, codes)
def test_a_success_forgets_what_was_before(before, since):
    assert after(since, CHECK, health=after([*before, 0], CHECK)) == after(since, CHECK, health=Health(HEALTHY))


def test_defaults_and_forms_of_the_command():
    assert check_of(HealthRequest(("CMD", "a", "b"))) == HealthCheck(
        ("a", "b"), 30 * SECOND, 30 * SECOND, 0, 5 * SECOND, 3
    )
    assert check_of(HealthRequest(("CMD-SHELL", "a b"))).command == ("/bin/sh", "-c", "a b")
    assert check_of(HealthRequest(("CMD-SHELL", "a"), retries=7), ("bash", "-ec")).command == ("bash", "-ec", "a")
    for nothing in (("NONE",), (), ("CMD",), ("OTHER", "a")):
        assert check_of(HealthRequest(nothing)) is None
    assert check_of(None) is None


def configured(health, image):
    return configure("0" * 64, ContainerRequest("i", ("x",), health=health), ContainerDefaults(healthcheck=image))


def test_the_request_wins_over_the_image_value_by_value():
    image = Healthcheck(("CMD", "of-image"), interval=5 * SECOND, retries=9)
    config = configured(HealthRequest(timeout=SECOND, retries=2), image)
    assert config.healthcheck == HealthRequest(("CMD", "of-image"), 5 * SECOND, SECOND, retries=2)
    assert config.check == HealthCheck(("of-image",), 5 * SECOND, SECOND, 0, 5 * SECOND, 2)
    assert configured(HealthRequest(("CMD", "own")), image).check.command == ("own",)
    assert configured(HealthRequest(), None).healthcheck is None
    assert configured(HealthRequest(interval=SECOND), None).check is None


def test_a_check_can_be_switched_off_by_either():
    off = configured(HealthRequest(disabled=True), Healthcheck(("CMD", "x")))
    assert (off.healthcheck.test, off.check) == (("NONE",), None)
    assert configured(HealthRequest(), Healthcheck(("NONE",))).check is None
    assert configured(HealthRequest(("CMD", "x")), Healthcheck(("NONE",))).check.command == ("x",)


@pytest.mark.parametrize(
    ("nanoseconds", "shown"),
    [
        (30 * SECOND, "30s"),
        (1_500_000_000, "1.5s"),
        (300_000_000, "300ms"),
        (1_500_000, "1.5ms"),
        (90 * SECOND, "1m30s"),
        (3600 * SECOND, "1h0m0s"),
        (2_050_000_000, "2.05s"),
    ],
)
def test_a_timeout_is_told_as_docker_does(nanoseconds, shown):
    check = CHECK._replace(timeout=nanoseconds)
    assert timed_out(check, "") == f"Health check exceeded timeout ({shown})"
    assert timed_out(check, "so far") == f"Health check exceeded timeout ({shown}): so far"


def test_output_that_was_cut_says_so():
    assert show_output(b"ab\xff", cut=False) == "ab�"
    assert show_output(b"ab", cut=True) == "ab..."
