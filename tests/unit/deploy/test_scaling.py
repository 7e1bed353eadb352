import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wherry.deploy.scaling import Decision, Rule, Sample, decide, reach_back, rule_of
from wherry.deploy.settings import Settings, parse_assignments

NOW = 1_000_000.0
RULE = Rule("cpu", 80.0, 20.0, 60.0, 300.0, 1, 360.0, 1, 4)


def steady(value, seconds=300, step=10, until=NOW):
    return [Sample(until - age, value) for age in range(0, seconds, step)]


def sizes(rule, size, samples, **more):
    found = decide(rule, size, samples, NOW, **more)
    return found.size if found else size


def test_settings_make_a_rule():
    given_ = parse_assignments(["scale.measure=cpu", "scale.upper=80", "scale.lower=20", "max=6", "scale.period=1m"])
    assert rule_of(Settings(given_)) == RULE._replace(most=6)
    assert rule_of(Settings({"scale.upper": "80"})) is None
    assert rule_of(Settings({"scale.measure": "cpu"})) is None
    assert rule_of(Settings({"scale.measure": "cpu", "scale.lower": "1"})).upper is None


def test_above_the_upper_threshold_there_is_one_more():
    assert decide(RULE, 2, steady(91.25), NOW) == Decision(
        3, "cpu was above 80 percent of one core for 300 seconds (91.25 on average)"
    )


def test_below_the_lower_threshold_there_is_one_less():
    assert decide(RULE, 2, steady(5.0), NOW) == Decision(
        1, "cpu was below 20 percent of one core for 300 seconds (5 on average)"
    )


@pytest.mark.parametrize("value", [20.0, 50.0, 80.0])
def test_between_the_thresholds_nothing_happens(value):
    assert decide(RULE, 2, steady(value), NOW) is None


def test_the_whole_time_has_to_be_beyond():
    short = [*steady(95.0, 240), *steady(50.0, 60, until=NOW - 240)]
    assert decide(RULE, 2, short, NOW) is None
    assert sizes(RULE._replace(breach=240.0), 2, short) == 3


def test_a_short_dip_within_a_period_does_not_count():
    samples = steady(95.0)
    samples[3] = samples[3]._replace(value=10.0)
    assert sizes(RULE, 2, samples) == 3


def test_without_measurements_of_every_period_there_is_no_decision():
    assert decide(RULE, 2, [], NOW) is None
    assert decide(RULE, 2, steady(95.0, 240), NOW) is None
    assert decide(RULE, 2, [one for one in steady(95.0) if not 60 <= NOW - one.time < 120], NOW) is None
    assert decide(RULE, 2, steady(95.0), NOW + 60) is None


def test_cooldown():
    assert decide(RULE, 2, steady(95.0), NOW, NOW - 359.0) is None
    assert sizes(RULE, 2, steady(95.0), changed=NOW - 360.0) == 3


def test_what_was_measured_before_a_change_says_nothing_after_it():
    hasty = RULE._replace(cooldown=0.0)
    assert decide(hasty, 3, steady(95.0), NOW, NOW - 30.0) is None


def test_increments_and_bounds():
    assert sizes(RULE._replace(increment=5), 2, steady(95.0)) == 4
    assert sizes(RULE._replace(increment=5), 4, steady(1.0)) == 3
    assert sizes(RULE._replace(decrement=5), 4, steady(1.0)) == 1
    assert decide(RULE, 4, steady(95.0), NOW) is None
    assert decide(RULE, 1, steady(1.0), NOW) is None


def test_nothing_leaves_that_would_have_to_come_back():
    """Two with 19 each would be one with 38: fine below 80, not below 30."""
    assert sizes(RULE, 2, steady(19.0)) == 1
    assert sizes(RULE._replace(upper=30.0), 2, steady(19.0)) == 2
    assert sizes(RULE._replace(upper=30.0, decrement=3), 4, steady(19.0)) == 3
    assert sizes(RULE._replace(measure="memory", upper=30.0), 2, steady(19.0)) == 1


def test_one_threshold_is_enough():
    assert sizes(RULE._replace(lower=None), 2, steady(1.0)) == 2
    assert sizes(RULE._replace(upper=None), 2, steady(99.0)) == 2
    assert sizes(RULE._replace(upper=None), 2, steady(1.0)) == 1


def test_how_far_back_it_looks():
    assert reach_back(RULE) == 300
    assert reach_back(RULE._replace(breach=10.0)) == 60
    assert reach_back(RULE._replace(breach=301.0)) == 360


rules = st.builds(
    lambda upper, gap, period, breach, steps, cooldown, least, more, measure: Rule(
        measure, upper, upper - gap, period, breach, steps[0], cooldown, least, least + more, steps[1]
    ),
    st.floats(1, 1000),
    st.floats(0.5, 1000),
    st.floats(1, 120),
    st.floats(1, 600),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.floats(0, 600),
    st.integers(1, 5),
    st.integers(0, 10),
    st.sampled_from(["cpu", "memory", "requests", "latency"]),
)
measured = st.lists(st.builds(Sample, st.floats(NOW - 2000, NOW), st.floats(0, 2000)), max_size=80)


@given(rules, st.integers(1, 20), measured, st.floats(0, 3000))
def test_never_out_of_bounds_nor_within_the_cooldown(rule, size, samples, ago):
    found = decide(rule, size, samples, NOW, NOW - ago)
    if found is None:
        return
    assert ago >= rule.cooldown
    assert found.size != size
    assert -rule.decrement <= found.size - size <= rule.increment
    if found.size > size:
        assert found.size <= rule.most
    else:
        assert found.size >= rule.least


@given(rules, st.integers(1, 20), st.floats(0, 2000), st.floats(0, 2000))
def test_nothing_flaps_without_new_measurements(rule, size, value, later):
    """After a change, what was measured before it never makes another one, however much time goes by."""
    samples = steady(value, int(reach_back(rule)) + 1, 1)
    found = decide(rule, size, samples, NOW)
    if found is not None:
        assert decide(rule, found.size, samples, NOW + later, NOW) is None


@given(rules, st.integers(1, 15), st.floats(0, 5000))
@example(Rule("cpu", 455.29040645041596, 454.29040645041596, 9.0, 1.0, 2, 0.0, 1, 3), 1, 455.29040645041596)
def test_a_steady_load_comes_to_rest(rule, size, load):
    """Work that is shared among the instances ends in a size that stays, within the bounds."""
    rule = rule._replace(measure="cpu", cooldown=0.0)
    size = min(max(size, rule.least), rule.most)
    seen = []
    for _ in range(40):
        found = decide(rule, size, steady(load / size, int(reach_back(rule)) + 1, 1), NOW)
        if found is None:
            break
        size = found.size
        seen.append(size)
    else:
        raise AssertionError(f"it goes on for ever: {seen}")
