import pytest

from wherry.base.errors import Conflict, InvalidInput
from wherry.deploy.haproxy.applied import PLAIN_SLOTS, STICKY_SLOTS, Applied, merge, without
from wherry.deploy.routing import Certificate, Check, Pool, Rule, Section, Server


def section(environment, *pools, rules=None, **more):
    pools = pools or (Pool("web"),)
    rules = (Rule(f"{environment}.localhost", "/", pools[0].name),) if rules is None else rules
    return Section(environment, rules, pools, **more)


def test_a_pool_keeps_its_slot_and_another_never_gets_it():
    first = merge(Applied(), [section("a", Pool("web"), Pool("api"))])
    assert first.slots == {"a": {"web": "s1", "api": "s2"}}
    second = merge(first, [section("b")])
    third = merge(second, [section("a", Pool("api"), Pool("jobs"))])
    assert third.slots == {"a": {"api": "s2", "jobs": "s4"}, "b": {"web": "s3"}}
    assert list(third.sections) == ["a", "b"]


def test_a_freed_slot_rests_as_long_as_there_are_others():
    applied = without(merge(Applied(), [section("a")]), "a")
    assert applied.sections == applied.slots == {}
    given = []
    for number in range(PLAIN_SLOTS):
        applied = merge(applied, [section(f"e{number}")])
        given.append(applied.slots[f"e{number}"]["web"])
    assert given[-1] == "s1"
    assert sorted(given) == sorted(f"s{number}" for number in range(1, PLAIN_SLOTS + 1))
    with pytest.raises(Conflict, match="no room for one more pool: all 96"):
        merge(applied, [section("more")])
    assert merge(without(applied, "e7"), [section("more")]).slots["more"] == {"web": applied.slots["e7"]["web"]}


def test_sticky_pools_have_slots_of_their_own():
    applied = merge(Applied(), [section("a", Pool("web", sticky=True))])
    assert applied.slots == {"a": {"web": "t1"}}
    assert merge(applied, [section("a", Pool("web"))]).slots["a"]["web"].startswith("s")
    for number in range(STICKY_SLOTS - 1):
        applied = merge(applied, [section(f"e{number}", Pool("web", sticky=True))])
    with pytest.raises(Conflict, match="all 32 for sticky pools"):
        merge(applied, [section("more", Pool("web", sticky=True))])


def test_a_host_belongs_to_one_environment():
    applied = merge(Applied(), [section("a"), section("b")])
    rules = {name: (Rule(f"{name}.localhost", "/", "web"),) for name in "ab"}
    with pytest.raises(Conflict, match=r"a\.localhost is wanted by two environments: a and b"):
        merge(applied, [section("b", rules=rules["a"])])
    swapped = merge(applied, [section("a", rules=rules["b"]), section("b", rules=rules["a"])])
    assert swapped.sections["a"].rules[0].host == "b.localhost"


GOOD = Server("i-1", "10.0.0.2", 80)


@pytest.mark.parametrize(
    "wrong",
    [
        section("a b"),
        section("a:b"),
        section("a", rules=(Rule("UPPER.localhost", "/", "web"),)),
        section("a", rules=(Rule("a.localhost:80", "/", "web"),)),
        section("a", rules=(Rule("a.localhost", "x", "web"),)),
        section("a", rules=(Rule("a.localhost", "/x y", "web"),)),
        section("a", rules=(Rule("a.localhost", "/x\nshow", "web"),)),
        section("a", rules=(Rule("a.localhost", "/", "api"),)),
        section("a", rules=(Rule("a.localhost", "/", "web"), Rule("a.localhost", "/", "web"))),
        section("a", Pool("web"), Pool("web")),
        section("a", Pool("w eb")),
        section("a", Pool("web", check=Check("health"))),
        section("a", Pool("web", check=Check("/a\r\nb"))),
        section("a", Pool("web", check=Check(host="a b"))),
        section("a", Pool("web", check=Check(codes="500"))),
        section("a", Pool("web", check=Check(interval=0))),
        section("a", Pool("web", check=Check(healthy=0))),
        section("a", Pool("web", (GOOD, GOOD._replace(port=81)))),
        section("a", Pool("web", (GOOD._replace(instance="i 1"),))),
        section("a", Pool("web", (GOOD._replace(address="example.com"),))),
        section("a", Pool("web", (GOOD._replace(address="10.0.0.2;quit"),))),
        section("a", Pool("web", (GOOD._replace(port=0),))),
        section("a", Pool("web", (GOOD._replace(weight=257),))),
        section("a", certificates=(Certificate("own", "nothing"),)),
        section("a", challenges=(("../x", "a.b"),)),
        section("a", challenges=(("x", "a.b\ndel map"),)),
        section("a", challenges=(("x", "no-point"),)),
        section("a", challenges=(("x", "a.b"), ("x", "a.c"))),
    ],
)
def test_what_could_not_hold_is_refused_before_anything_changes(wrong):
    with pytest.raises(InvalidInput):
        merge(Applied(), [wrong])
