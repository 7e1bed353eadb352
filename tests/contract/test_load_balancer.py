"""Every load balancer keeps the contract of `deploy/balancer.py`.

An implementation is a name and a function that gives one, not yet running, for an installation; `IMPLEMENTATIONS` lists
them. Where it really serves, the suite asks through its listener, too.
"""

import shutil

import pytest

from backends import Backend, free_port
from wherry.base.errors import WherryError
from wherry.base.paths import Layout
from wherry.deploy.balancer import Listener
from wherry.deploy.routing import Check, Pool, Rule, Section, Server


def haproxy(request):
    from wherry.deploy.haproxy import HAProxy

    wherry = request.getfixturevalue("wherry")
    wherry("base", "build", "--if-missing", "haproxy", timeout=800)
    layout = Layout(wherry.root, wherry.run)
    request.addfinalizer(lambda: shutil.rmtree(f"{layout.root}/balancer"))
    return HAProxy(layout, Listener("127.0.0.1", free_port()))


def fake(request):
    from wherry.deploy.fakes import FakeBalancer, FakeTarget, World

    del request
    world = World()
    return FakeBalancer(world, FakeTarget(world))


IMPLEMENTATIONS = {
    "fake": pytest.param(fake, id="fake"),
    "haproxy": pytest.param(haproxy, marks=[pytest.mark.root, pytest.mark.timeout(900)], id="haproxy"),
}


@pytest.fixture(scope="module", params=IMPLEMENTATIONS.values())
def started(request):
    made = request.param(request)
    made.ensure()
    yield made
    made.stop()


@pytest.fixture
def balancer(started):
    yield started
    for environment in started.sections():
        started.remove(environment)


@pytest.fixture
def backend():
    made = Backend("i-1")
    yield made
    made.stop()


def section(backend, environment="shop", host="shop.localhost", **more):
    servers = (Server("i-1", "127.0.0.1", backend.port),)
    return Section(environment, (Rule(host, "/", "web"),), (Pool("web", servers, Check("/health")),), **more)


def drained(section):
    (pool,) = section.pools
    return section._replace(pools=(pool._replace(servers=tuple(s._replace(draining=True) for s in pool.servers)),))


def test_it_runs_and_ensuring_again_changes_nothing(balancer, backend):
    assert balancer.running()
    balancer.apply(section(backend))
    assert balancer.ensure() == balancer.ensure()
    assert balancer.sections() == {"shop": section(backend)}


def test_sections_are_what_was_last_applied(balancer, backend):
    one, two = section(backend), section(backend, "other", "other.localhost", maintenance=True)
    balancer.apply(one, two)
    balancer.apply(one)
    assert balancer.sections() == {"shop": one, "other": two}
    balancer.apply(drained(one))
    assert balancer.sections() == {"shop": drained(one), "other": two}
    balancer.remove("shop")
    balancer.remove("shop")
    balancer.remove("never-heard-of")
    assert balancer.sections() == {"other": two}


def test_a_section_that_cannot_hold_changes_nothing(balancer, backend):
    balancer.apply(section(backend))
    for wrong in (
        section(backend, "thief"),
        section(backend, "other", "no host"),
        section(
            backend,
            "other",
            "x",
        )._replace(pools=()),
    ):
        with pytest.raises(WherryError):
            balancer.apply(section(backend, "good", "good.localhost"), wrong)
    assert balancer.sections() == {"shop": section(backend)}


def test_states_name_the_servers_of_an_environment(balancer, backend):
    assert balancer.states("shop") == []
    balancer.apply(section(backend))
    (state,) = balancer.states("shop")
    assert (state.pool, state.instance, state.weight, state.sessions) == ("web", "i-1", 100, 0)
    assert state.status in ("up", "unchecked")
    balancer.apply(drained(section(backend)))
    (state,) = balancer.states("shop")
    assert state.status == "draining"
    assert balancer.states("other") == []
    balancer.apply(section(backend, "other", "other.localhost"))
    assert {name: [one.instance for one in states] for name, states in balancer.all_states().items()} == {
        "shop": ["i-1"],
        "other": ["i-1"],
    }


def test_an_instance_without_requests_is_idle_at_once(balancer, backend):
    balancer.apply(drained(section(backend)))
    assert balancer.wait_idle("shop", "i-1", 0.0)
    assert balancer.wait_idle("shop", "never-heard-of", 0.0)


def test_there_are_no_records_of_what_nobody_asked_for(balancer, backend):
    balancer.apply(section(backend, "quiet", "quiet.localhost"))
    assert list(balancer.access("quiet")) == []
    assert not [one for one in balancer.access("") if one.environment == "quiet"]


def test_stopped_it_keeps_its_sections_and_comes_back_with_them(balancer, backend):
    balancer.apply(section(backend))
    balancer.stop()
    balancer.stop()
    assert not balancer.running()
    assert balancer.states("shop") == []
    assert balancer.all_states() == {"shop": []}
    assert list(balancer.access("shop")) == list(balancer.access("")) == []
    balancer.apply(section(backend, "later", "later.localhost"))
    assert sorted(balancer.sections()) == ["later", "shop"]
    balancer.ensure()
    assert balancer.running()
    assert [state.instance for state in balancer.states("later")] == ["i-1"]
