"""Operations on environments, on fakes: what comes of them, and of their being cut off at every point."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wherry.base.errors import Conflict, InvalidInput, NotFound, OperationFailed, WherryError
from wherry.base.locks import FileLock
from wherry.base.paths import Layout
from wherry.compose.location import ProjectOptions
from wherry.deploy.applications import Applications
from wherry.deploy.environments import Environments
from wherry.deploy.fakes import Killed, World, fake_parts
from wherry.deploy.settings import POLICIES
from wherry.deploy.target import Secret

SETTINGS = {"min": "2", "split.evaluation": "10", "health.interval": "1"}


def model(**extra):
    return {
        "services": {
            "web": {"image": "web", "ports": [{"target": 80}]},
            "db": {"image": "db", "volumes": [{"type": "volume", "source": "data", "target": "/data"}]},
        },
        "networks": {"default": {}},
        "volumes": {"data": {}},
        "x-wherry": extra,
    }


class House:
    """An installation of fakes with the versions v1, v2 and so on of the application shop."""

    def __init__(self, root):
        self.world = World()
        self.parts = fake_parts(Layout(str(root / "root"), str(root / "run")), self.world)
        self.applications = Applications(self.parts)
        self.environments = Environments(self.parts, "me")
        self.records = self.parts.records

    def version(self, **extra):
        self.parts.versions.models["/project"] = model(**extra)
        return self.applications.add_version("shop", ProjectOptions({}, "/project")).label

    def create(self, name="shop", version="", **more):
        return self.environments.create(name, "shop", version or self.version(), settings={**SETTINGS, **more})

    def served(self, name="shop"):
        """Which versions serve, on how many instances each, as rows, balancer and target say alike."""
        rows = [one for one in self.records.instances(name) if one.serves]
        section = self.parts.balancer.sections().get(name)
        servers = section.pools[0].servers if section and section.pools else ()
        assert {one.name for one in rows} == {one.instance for one in servers if not one.draining}
        assert {one.name for one in self.records.instances(name)} == set(self.parts.target.instances.get(name, {}))
        found = {}
        for one in rows:
            found[one.version] = found.get(one.version, 0) + 1
        return found

    def results(self, name="shop"):
        return [(one.number, one.kind, one.result) for one in reversed(self.records.history.deployments(name))]

    def is_at_rest(self, name="shop"):
        return self.records.journal.pending(name) is None and self.environments.get(name).status == "Ready"

    def least(self, since, name="shop"):
        """The least number of instances that could take a request at any change since."""
        return min(self.parts.balancer.capacity[name][since:])

    @property
    def changes(self):
        return len(self.parts.balancer.capacity.get("shop", ()))


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


@pytest.fixture
def shop(house):
    house.create()
    return house


def test_an_environment_is_created(house):
    outcome = house.create()
    assert house.served() == {"v1": 2}
    assert house.results() == [(1, "deploy", "succeeded")]
    environment = house.environments.get("shop")
    assert (environment.host, environment.status, environment.version, environment.size) == (
        *("shop.localhost", "Ready"),
        *("v1", 2),
    )
    assert outcome.said == "Launch (deployment 1) of version v1 succeeded in 2s. Version v1 runs on 2 instances."
    assert house.environments.url(environment) == "http://shop.localhost"
    assert house.parts.target.accessories["shop"].services == ("db",)


def test_a_first_version_that_fails_leaves_an_environment_without_one(house):
    house.world.sick.add("v1")
    with pytest.raises(
        OperationFailed, match=r"Launch \(deployment 1\) of version v1 failed and was taken back: i-\d is not healthy"
    ):
        house.create()
    assert house.served() == {}
    assert house.results() == [(1, "deploy", "failed")]
    assert house.is_at_rest()
    assert house.environments.get("shop").version == ""
    house.environments.deploy("shop", house.version())
    assert house.served() == {"v2": 2}


def test_an_equal_version_is_found_again(tmp_path):
    house = House(tmp_path)

    def take(label="", **extra):
        house.parts.versions.models["/project"] = model(**extra)
        options = ProjectOptions({}, "/project")
        return house.applications.add_version("shop", options, label=label, reuse=True).label

    assert [take(), take(), take(release="x"), take()] == ["v1", "v1", "v2", "v1"]
    assert house.parts.versions.kept == {"version:shop/v1", "version:shop/v2"}
    assert [take("named"), take()] == ["named", "named"]
    house.parts.versions.secrets = {"token": "1"}
    assert [take(), take()] == ["v3", "v3"]
    house.parts.versions.secrets = {"token": "2"}
    assert take() == "v4"


def test_what_runs_is_deployed_anew_only_where_that_is_asked_for(tmp_path):
    house = House(tmp_path)
    house.create()
    outcome = house.environments.deploy("shop", "v1", anew=False)
    assert outcome.said == "Version v1 runs on shop already: nothing had to be done."
    assert outcome.operation is None
    assert house.environments.deploy("shop", "v1", anew=False, replace_accessories=True).operation is not None
    assert house.environments.deploy("shop", "v1").operation is not None
    house.world.sick.add(house.version(release="x"))
    house.environments.configure("shop", settings={"rollback": "off"})
    with pytest.raises(OperationFailed):
        house.environments.deploy("shop", "v2", anew=False)
    assert house.environments.deploy("shop", "v1", anew=False).operation is not None, "both versions were there"


def test_a_host_that_another_environment_has_is_refused_before_anything_is_done(tmp_path):
    house = House(tmp_path)
    routed = house.version(routes=[{"service": "web"}, {"service": "web", "host": "www.example.org"}])
    for name, version in (("a", house.version()), ("shop", routed), ("z", house.version())):
        house.create(name, version)
    with pytest.raises(Conflict, match=r"environment shop has the host www\.example\.org"):
        house.create("other", routed)
    with pytest.raises(Conflict, match=r"environment shop has the host www\.example\.org"):
        house.environments.create("other", "shop", "v2", host="www.example.org")
    assert [one.name for one in house.environments.all()] == ["a", "shop", "z"]


def test_an_environment_whose_launch_was_cut_off_is_terminated_without_waiting_for_it(tmp_path):
    house = House(tmp_path)
    house.world.sick.add(house.version())
    house.world.kill_at, house.world.kill_after = 4, True
    with pytest.raises(Killed):
        house.create(version="v1")
    assert house.parts.target.instances["shop"]
    house.world.kill_at = -1
    before = house.parts.clock()
    house.environments.terminate("shop")
    assert house.environments.get("shop").terminated
    assert house.parts.clock() - before < 60e9
    assert house.results() == [(1, "deploy", "aborted")]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_version_replaces_another(shop, policy):
    began = shop.changes
    outcome = shop.environments.deploy("shop", shop.version(), policy=policy)
    assert shop.served() == {"v2": 2}
    assert shop.results()[-1] == (2, "deploy", "succeeded")
    assert outcome.deployment.policy == policy
    assert outcome.deployment.before_version == "v1"
    assert shop.least(began) == {"all-at-once": 0, "rolling": 1}.get(policy, 2)
    assert shop.is_at_rest()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("how", ["fails", "sick"])
def test_a_version_that_fails_is_taken_back(shop, policy, how):
    label = shop.version()
    getattr(shop.world, how).add(label)
    began = shop.changes
    with pytest.raises(OperationFailed, match="failed and was taken back") as caught:
        shop.environments.deploy("shop", label, policy=policy)
    assert "Version v1 runs on 2 instances." in caught.value.message
    assert shop.served() == {"v1": 2}
    assert shop.results()[-1] == (2, "deploy", "failed")
    assert shop.environments.get("shop").version == "v1"
    assert shop.least(began) == {"all-at-once": 0, "rolling": 1}.get(policy, 2)


def test_without_rollback_a_failure_is_left_as_it_is(shop):
    shop.environments.configure("shop", settings={"rollback": "off"})
    label = shop.version()
    shop.world.sick.add(label)
    with pytest.raises(OperationFailed, match="failed: i-"):
        shop.environments.deploy("shop", label, policy="rolling")
    assert shop.served() == {"v1": 1}
    assert shop.results()[-1] == (2, "deploy", "broken")
    assert shop.is_at_rest()
    shop.environments.deploy("shop", "v1")
    assert shop.served() == {"v1": 2}


@pytest.mark.parametrize("policy", ["immutable", "traffic-splitting"])
def test_a_new_set_that_fails_goes_also_without_rollback(shop, policy):
    shop.environments.configure("shop", settings={"rollback": "off"})
    label = shop.version()
    shop.world.sick.add(label)
    with pytest.raises(OperationFailed, match="failed and was taken back"):
        shop.environments.deploy("shop", label, policy=policy)
    assert shop.served() == {"v1": 2}
    assert shop.results()[-1] == (2, "deploy", "failed")


def test_a_bug_is_taken_back_too_and_its_traceback_is_kept(shop):
    def probe(*_):
        raise RuntimeError("boom")

    environments = Environments(shop.parts._replace(probe=probe), "me")
    with pytest.raises(OperationFailed, match=r"RuntimeError: boom \(the details are in (\S+)\)") as caught:
        environments.deploy("shop", shop.version())
    path = re.search(r"details are in (\S+)\)", caught.value.message)[1]
    with open(path) as file:
        assert "in probe" in file.read()
    assert shop.served() == {"v1": 2}


def test_a_release_step_that_fails_changes_nothing(shop):
    label = shop.version(release="migrate")
    shop.world.release_codes[label] = 3
    began = shop.changes
    with pytest.raises(OperationFailed, match="the release step ended with exit code 3: releasing"):
        shop.environments.deploy("shop", label)
    assert shop.served() == {"v1": 2}
    assert shop.least(began) == 2
    assert set(shop.parts.target.instances["shop"]) == {"i-1", "i-2"}
    shop.world.release_codes.clear()
    shop.environments.deploy("shop", label)
    assert shop.parts.target.released == [label, label]


@pytest.mark.parametrize("word", ["recover", "deploy", "terminate"])
def test_a_release_step_that_was_cut_off_is_ended_before_anything_else(shop, word):
    label = shop.version(release="migrate")
    shop.world.kill_at = len(shop.world.calls) + 3
    with pytest.raises(Killed):
        shop.environments.deploy("shop", label)
    shop.world.kill_at = -1
    assert shop.world.calls[-1] == f"release {label}"
    before = len(shop.world.calls)
    getattr(shop.environments, word)("shop", *(["v1"] if word == "deploy" else []))
    assert shop.world.calls[before] == "stop release"
    assert shop.results()[1] == (2, "deploy", "aborted" if word == "terminate" else "failed")
    assert shop.parts.target.released == []
    assert any("release step of version v2 was cut off" in one.message for one in shop.records.history.events("shop"))


def test_rollback_goes_to_what_ran_before(shop):
    shop.environments.configure("shop", variables={"COLOUR": "red"})
    shop.environments.deploy("shop", shop.version())
    shop.environments.rollback("shop")
    environment = shop.environments.get("shop")
    assert (environment.version, environment.variables) == ("v1", {"COLOUR": "red"})
    shop.environments.rollback("shop", to=1)
    assert shop.environments.get("shop").variables == {}
    with pytest.raises(NotFound):
        shop.environments.rollback("shop", to=77)
    assert [kind for _, kind, _ in shop.results()] == ["deploy", "configuration", "deploy", "rollback", "rollback"]


def test_there_is_nothing_before_the_first_deployment(shop):
    with pytest.raises(Conflict, match="nothing before"):
        shop.environments.rollback("shop")


def test_variables_and_secrets_deploy_the_current_version(shop):
    shop.version()  # a newer one that nobody asked for
    shop.environments.configure("shop", variables={"A": "1"}, secrets=[Secret("TOKEN", "hush")])
    assert shop.served() == {"v1": 2}
    wish = next(iter(shop.parts.target.instances["shop"].values()))
    assert (wish.variables, wish.secrets) == ({"A": "1"}, (Secret("TOKEN", "hush"),))
    assert "hush" not in repr(shop.records.history.events("shop"))
    assert shop.environments.configure("shop", variables={"A": "1"}).operation is None
    shop.environments.configure("shop", removed=["A", "TOKEN"])
    assert shop.environments.get("shop").variables == {}
    with pytest.raises(NotFound, match="no variable or secret A"):
        shop.environments.configure("shop", removed=["A"])
    with pytest.raises(InvalidInput, match="a variable and a secret at once"):
        shop.environments.configure("shop", variables={"A": "1"}, secrets=[Secret("A", "2")])
    with pytest.raises(InvalidInput, match=r"^KEY: a variable cannot hold a NUL character"):
        shop.environments.configure("shop", secrets=[Secret("KEY", "a\0b")])
    shop.environments.configure("shop", secrets=[Secret("KEY", "a\0b", True)])


def test_where_a_part_is_refused_nothing_is_changed(shop):
    before = shop.environments.get("shop")
    with pytest.raises(NotFound, match="no variable or secret NOPE"):
        shop.environments.configure("shop", settings={"drain": "7"}, removed=["NOPE"])
    assert shop.environments.get("shop") == before


def test_the_size_follows_min_also_where_variables_change(shop):
    shop.environments.configure("shop", settings={"min": "3"}, variables={"A": "1"})
    assert shop.served() == {"v1": 3}
    shop.environments.configure("shop", settings={"min": "1", "max": "2"}, variables={"A": "1"})
    assert shop.served() == {"v1": 2}


def test_settings_of_the_balancer_hold_at_once(shop):
    outcome = shop.environments.configure("shop", settings={"health.path": "/healthz", "sticky": "on"})
    assert outcome.operation is None
    changed = "health.path=/healthz, sticky=on"
    assert outcome.said == f"Settings of shop changed: {changed}."
    assert shop.records.history.events("shop")[-1].message == f"Settings changed by me: {changed}."
    [pool] = shop.parts.balancer.sections()["shop"].pools
    assert (pool.check.path, pool.sticky) == ("/healthz", True)
    with pytest.raises(NotFound, match="there is no setting"):
        shop.environments.configure("shop", settings={"heath.path": "/"})


def test_the_size_follows_min_and_max(shop):
    shop.environments.configure("shop", settings={"min": "3"})
    assert shop.served() == {"v1": 3}
    shop.environments.scale("shop", 4)
    assert shop.served() == {"v1": 4}
    shop.environments.configure("shop", settings={"min": "1", "max": "1"})
    assert shop.served() == {"v1": 1}
    with pytest.raises(InvalidInput, match="not between min=1 and max=1"):
        shop.environments.scale("shop", 2)


def test_an_instance_that_is_dead_is_replaced(shop):
    shop.parts.target.dead["shop", "i-1"] = 137
    outcome = shop.environments.mend("shop", {"i-1": "exited with code 137"})
    assert outcome.operation.kind == "mend"
    assert sorted(shop.parts.target.instances["shop"]) == ["i-2", "i-3"]
    assert shop.served() == {"v1": 2}
    assert shop.environments.mend("shop", {}).operation is None


def test_where_nothing_comes_up_what_serves_is_left_alone(shop):
    shop.parts.target.dead["shop", "i-1"] = 137
    shop.world.fails.add("v1")
    with pytest.raises(OperationFailed):
        shop.environments.mend("shop", {"i-1": "exited with code 137"})
    assert "i-2" in shop.parts.target.instances["shop"]
    assert shop.environments.get("shop").size == 2
    assert shop.is_at_rest()


def test_one_that_the_balancer_has_called_down_for_a_moment_is_kept(shop):
    shop.parts.balancer.down["i-1"] = 10.0
    shop.environments.scale("shop", 3)
    assert [one.name for one in shop.records.instances("shop")] == ["i-1", "i-2", "i-3"]
    shop.parts.balancer.down["i-1"] = 61.0
    shop.environments.scale("shop", 4)
    assert [one.name for one in shop.records.instances("shop")] == ["i-2", "i-3", "i-4", "i-5"]


def test_restart_is_in_place(shop):
    shop.environments.restart("shop")
    assert [one for one in shop.world.calls if one.startswith("restart")] == ["restart i-1", "restart i-2"]
    assert shop.served() == {"v1": 2}


def test_rebuild_makes_everything_anew(shop):
    shop.environments.rebuild("shop")
    assert shop.served() == {"v1": 2}
    assert sorted(shop.parts.target.instances["shop"]) == ["i-3", "i-4"]


def test_a_swap_exchanges_hosts(shop):
    shop.create("blue", version=shop.version())
    shop.environments.swap("shop", "blue")
    assert [one.host for one in shop.environments.all()] == ["shop.localhost", "blue.localhost"]
    hosts = {name: one.rules[0].host for name, one in shop.parts.balancer.sections().items()}
    assert hosts == {"shop": "blue.localhost", "blue": "shop.localhost"}


def test_termination_restoration_and_oblivion(shop):
    shop.environments.configure("shop", variables={"A": "1"})
    shop.environments.terminate("shop")
    assert shop.parts.target.instances == {}
    assert shop.environments.all() == []
    assert shop.parts.balancer.sections() == {}
    with pytest.raises(NotFound, match="terminated"):
        shop.environments.deploy("shop", "v1")
    with pytest.raises(Conflict, match="its history is kept"):
        shop.create(version="v1")
    shop.environments.restore("shop")
    assert shop.served() == {"v1": 2}
    assert shop.environments.get("shop").variables == {"A": "1"}
    with pytest.raises(Conflict, match="not terminated"):
        shop.environments.restore("shop")
    shop.environments.terminate("shop")
    shop.environments.purge("shop")
    shop.create(version="v1")


def test_a_clone_has_the_same_settings_and_secrets(shop):
    shop.environments.configure("shop", variables={"A": "1"}, secrets=[Secret("B", "2", True)])
    shop.environments.clone("shop", "twin")
    assert shop.served("twin") == {"v1": 2}
    assert shop.records.secrets("twin", 1) == (Secret("B", "2", True),)


def test_a_plan_can_be_seen_beforehand(shop):
    before = list(shop.world.calls)
    outcome = shop.environments.deploy("shop", shop.version(), policy="immutable", dry_run=True)
    assert outcome.plan[0] == "1. Have the load balancer run."
    assert any("Start instance i-3 with version v2" in line for line in outcome.plan)
    assert outcome.plan[-1].endswith("Make 2 instances of version v2 what the environment is.")
    assert outcome.operation is None
    assert shop.world.calls == before


def test_whoever_does_not_wait_is_refused(shop):
    with FileLock(f"{shop.parts.layout.locks}/environment-shop"):
        with pytest.raises(Conflict, match="another operation on shop is under way"):
            Environments(shop.parts, "you", wait=False).restart("shop")
        assert shop.environments.recover("shop") is None


def test_an_abort_takes_back_whatever_was_done(shop):
    label = shop.version()

    def pause(seconds):
        shop.world.pause(seconds)
        Environments(shop.parts, "you").abort("shop")

    with pytest.raises(OperationFailed, match="was aborted and was taken back: you aborted it"):
        Environments(shop.parts._replace(pause=pause), "me").deploy("shop", label)
    assert shop.served() == {"v1": 2}
    assert shop.results()[-1] == (2, "deploy", "aborted")
    assert shop.environments.abort("shop") is None


def test_what_hangs_while_it_starts_is_aborted_too(shop):
    label = shop.version()
    shop.world.hangs.add(label)
    pause = shop.world.pause

    def abort(seconds):
        pause(seconds)
        Environments(shop.parts, "you").abort("shop")

    shop.world.pause = abort
    with pytest.raises(OperationFailed, match="was aborted and was taken back: you aborted it"):
        shop.environments.deploy("shop", label)
    assert shop.served() == {"v1": 2}


@pytest.mark.parametrize(
    ("hangs", "said"),
    [("v2", "i-3 did not start within 60 seconds"), ("accessories", "the accessories did not start within 60 seconds")],
)
def test_nothing_is_waited_for_for_ever(shop, hangs, said):
    label = shop.version()
    shop.environments.configure("shop", settings={"timeout": "60"})
    shop.world.hangs.add(hangs)
    with pytest.raises(OperationFailed, match=said):
        shop.environments.deploy("shop", label)
    shop.world.hangs.clear()
    assert shop.served() == {"v1": 2}
    assert shop.is_at_rest()


def test_what_is_restarted_again_and_again_is_given_up(shop):
    label = shop.version()
    shop.world.hangs.add(label)
    pause = shop.world.pause

    def restart(seconds):
        pause(seconds)
        for number in (3, 4):
            restarts = shop.parts.target.restarts
            restarts["shop", f"i-{number}"] = restarts.get(("shop", f"i-{number}"), 0) + 1

    shop.world.pause = restart
    began = shop.world.now
    with pytest.raises(OperationFailed, match=r"i-\d cannot start: web exited 3 times"):
        shop.environments.deploy("shop", label)
    assert shop.world.now - began < 60


def test_a_termination_cannot_be_aborted(shop):
    shop.world.kill_at = len(shop.world.calls) + 2
    with pytest.raises(Killed):
        shop.environments.terminate("shop")
    with pytest.raises(Conflict, match="carried out to its end"):
        shop.environments.abort("shop")
    shop.environments.recover("shop")
    assert shop.environments.all() == []


def test_versions_and_applications_go_when_nothing_needs_them(shop):
    label = shop.version()
    assert [one.label for one in shop.applications.versions("shop")] == ["v2", "v1"]
    with pytest.raises(Conflict, match="in use by shop"):
        shop.applications.remove_version("shop", "v1")
    shop.applications.remove_version("shop", label)
    assert shop.parts.versions.kept == {"version:shop/v1"}
    with pytest.raises(Conflict, match="has environments"):
        shop.applications.remove("shop")
    shop.environments.terminate("shop")
    shop.applications.remove("shop")
    assert shop.parts.versions.kept == set()


def test_a_version_whose_images_are_gone_is_not_deployed(shop):
    label = shop.version()
    shop.parts.versions.gone.add("sha256:web")
    with pytest.raises(NotFound, match="the image of web of version v2 is not here any more"):
        shop.environments.deploy("shop", label)


def test_two_environments_cannot_have_one_host(shop):
    with pytest.raises(Conflict, match=r"has the host shop\.localhost"):
        shop.environments.create("other", "shop", "v1", host="shop.localhost")
    routes = [{"service": "web", "host": "www.example.org"}]
    shop.environments.deploy("shop", shop.version(routes=routes))
    with pytest.raises(Conflict, match=r"has the host www\.example\.org"):
        shop.environments.create("other", "shop", "v2")


OPERATIONS = {
    **{
        policy: lambda house, policy=policy: house.environments.deploy("shop", "v2", policy=policy)
        for policy in POLICIES
    },
    "configure": lambda house: house.environments.configure("shop", variables={"A": "1"}),
    "scale": lambda house: house.environments.scale("shop", 4),
    "scale in": lambda house: house.environments.configure("shop", settings={"min": "1", "max": "1"}),
    "restart": lambda house: house.environments.restart("shop"),
    "swap": lambda house: house.environments.swap("shop", "blue"),
    "mend": lambda house: house.environments.mend("shop", {"i-1": "it is dead"}),
}


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(OPERATIONS)),
    st.integers(0, 40),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_what_was_cut_off_is_ended_or_taken_back(tmp_path_factory, name, at, after, sick, abort):
    """Wherever it is cut off, and again while it is taken up, whole versions serve in the end, and always some did."""
    house = House(tmp_path_factory.mktemp("house"))
    house.create()
    house.create("blue", version="v1")
    label = house.version()
    if sick:
        house.world.sick.add(label)
    began = house.changes
    for _ in range(2):
        house.world.kill_at = len(house.world.calls) + at
        house.world.kill_after = after
        try:
            if house.records.journal.pending("shop"):
                house.environments.recover("shop")
            else:
                OPERATIONS[name](house)
        except (Killed, WherryError):
            pass
    house.world.kill_at = -1
    if abort and house.records.journal.pending("shop"):
        house.environments.abort("shop")
    house.environments.recover("shop")
    assert house.is_at_rest()
    served = house.served()
    assert len(served) == 1, served
    environment = house.environments.get("shop")
    assert served == {environment.version: environment.size}
    assert not (sick and "v2" in served)
    assert sorted(one.host for one in house.environments.all()) == ["blue.localhost", "shop.localhost"]
    for one in house.environments.all():
        assert house.parts.balancer.sections()[one.name].rules[0].host == one.host
    if name != "all-at-once":
        assert house.least(began) >= 1
    assert all(one.result for one in house.records.history.deployments("shop"))
