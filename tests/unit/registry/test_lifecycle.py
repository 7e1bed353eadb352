"""Which images a lifecycle policy expires."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.base.errors import InvalidInput
from wherry.registry.ecr.lifecycle import Candidate, expired, parse_lifecycle

DAY = 86_400 * 1_000_000_000
NOW = 1000 * DAY


def rule(priority=1, status="any", count=1, *, days=False, **selection):
    kind = {"countType": "sinceImagePushed", "countUnit": "days"} if days else {"countType": "imageCountMoreThan"}
    selection = {"tagStatus": status, "countNumber": count, **kind, **selection}
    return {"rulePriority": priority, "selection": selection, "action": {"type": "expire"}}


def rules(*values):
    return parse_lifecycle(json.dumps({"rules": list(values)}))


def image(name, age, *tags):
    return Candidate(name, tags, NOW - age * DAY)


def names(found):
    return [each.image.digest for each in found]


def test_the_newest_stay_by_count():
    images = [image(f"i{age}", age) for age in range(5)]
    assert names(expired(rules(rule(count=2)), images, NOW)) == ["i2", "i3", "i4"]


def test_by_age():
    images = [image("old", 31, "a"), image("edge", 30, "b"), image("new", 1, "c")]
    assert names(expired(rules(rule(count=30, days=True)), images, NOW)) == ["old"]


def test_untagged_only():
    images = [image("tagged", 9, "a"), image("bare", 9)]
    assert names(expired(rules(rule(status="untagged", count=7, days=True)), images, NOW)) == ["bare"]


def test_prefixes_have_to_fit_all_of_them():
    both, one = image("both", 3, "alpha1", "beta1"), image("one", 4, "alpha2")
    found = expired(rules(rule(status="tagged", count=1, days=True, tagPrefixList=["alpha", "beta"])), [both, one], NOW)
    assert names(found) == ["both"]


def test_patterns():
    images = [image("a", 3, "prod-1-web"), image("b", 3, "prod-1-db"), image("c", 3, "x.prod-1-web")]
    found = expired(rules(rule(status="tagged", days=True, tagPatternList=["prod-*-web"])), images, NOW)
    assert names(found) == ["a"]


def test_a_rule_of_higher_priority_keeps_what_fits_it():
    images = [image("release", 90, "v1"), image("snapshot", 90, "s1")]
    policy = rules(
        rule(1, "tagged", 10, tagPrefixList=["v"]),
        rule(2, "any", 30, days=True),
    )
    found = expired(policy, images, NOW)
    assert [(each.image.digest, each.priority) for each in found] == [("snapshot", 2)]


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"rules": []},
        {"rules": [rule(), rule()]},
        {"rules": [rule(1), rule(2, "untagged")]},
        {"rules": [rule(status="tagged")]},
        {"rules": [rule(status="untagged", tagPrefixList=["x"])]},
        {"rules": [rule(status="tagged", tagPrefixList=["x"], tagPatternList=["y"])]},
        {"rules": [rule(count=0)]},
        {"rules": [rule(0)]},
        {"rules": [rule(countUnit="days")]},
        {"rules": [{**rule(), "action": {"type": "keep"}}]},
        {"rules": [rule(number) for number in range(1, 60)]},
    ],
)
def test_wrong_policies_are_refused(value):
    with pytest.raises(InvalidInput):
        parse_lifecycle(json.dumps(value))


@given(st.lists(st.tuples(st.integers(0, 400), st.booleans()), max_size=30), st.integers(1, 10))
def test_a_count_rule_leaves_that_many(ages, count):
    images = [image(str(number), age, *(["t"] if tagged else [])) for number, (age, tagged) in enumerate(ages)]
    gone = set(names(expired(rules(rule(count=count)), images, NOW)))
    assert len(images) - len(gone) == min(count, len(images))
    left = [each for each in images if each.digest not in gone]
    assert all(kept.pushed >= each.pushed for kept in left for each in images if each.digest in gone)
