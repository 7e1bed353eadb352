"""Projects that nobody asks: workers without routes, and services beside the routed one."""

import pytest

from wherry.base.errors import OperationFailed
from wherry.base.paths import Layout
from wherry.compose.location import ProjectOptions
from wherry.deploy.applications import Applications
from wherry.deploy.environments import Environments
from wherry.deploy.fakes import World, fake_parts
from wherry.deploy.settings import POLICIES

WORKERS = {"services": {"mailer": {"image": "mailer"}, "resizer": {"image": "resizer"}}, "networks": {"default": {}}}
BESIDE = {
    "services": {"web": {"image": "web", "ports": [{"target": 80}]}, "mailer": {"image": "mailer"}},
    "networks": {"default": {}},
}


class House:
    def __init__(self, root, model):
        self.world = World()
        self.parts = fake_parts(Layout(str(root / "root"), str(root / "run")), self.world)
        self.parts.versions.models["/project"] = model
        self.environments = Environments(self.parts, "me")
        self.version()
        self.environments.create("shop", "shop", "v1", settings={"min": "2", "split.evaluation": "10"})

    def version(self):
        return Applications(self.parts).add_version("shop", ProjectOptions({}, "/project")).label

    def running(self):
        return {name: wish.version for name, wish in self.parts.target.instances["shop"].items()}


@pytest.fixture
def workers(tmp_path):
    return House(tmp_path, WORKERS)


def test_workers_run_without_rules_and_pools(workers):
    assert workers.running() == {"i-1": "v1", "i-2": "v1"}
    assert workers.parts.target.instances["shop"]["i-1"].services == ("mailer", "resizer")
    section = workers.parts.balancer.sections()["shop"]
    assert section.rules == section.pools == ()


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_replaces_workers(workers, policy):
    workers.environments.deploy("shop", workers.version(), policy=policy)
    assert set(workers.running().values()) == {"v2"}
    assert len(workers.running()) == 2


@pytest.mark.parametrize("policy", POLICIES)
def test_workers_that_do_not_start_are_taken_back(workers, policy):
    label = workers.version()
    workers.world.fails.add(label)
    with pytest.raises(OperationFailed, match="taken back"):
        workers.environments.deploy("shop", label, policy=policy)
    assert set(workers.running().values()) == {"v1"}


def test_workers_are_scaled_restarted_and_mended(workers):
    workers.environments.scale("shop", 3)
    assert len(workers.running()) == 3
    workers.environments.restart("shop")
    workers.environments.mend("shop", {"i-1": "it was killed"})
    assert sorted(workers.running()) == ["i-2", "i-3", "i-4"]
    workers.environments.terminate("shop")
    assert not workers.parts.target.instances.get("shop")


def test_a_service_beside_the_routed_one_runs_in_every_instance_and_is_in_no_pool(tmp_path):
    house = House(tmp_path, BESIDE)
    assert house.parts.target.instances["shop"]["i-1"].services == ("mailer", "web")
    section = house.parts.balancer.sections()["shop"]
    assert [pool.name for pool in section.pools] == ["web"]
    assert {rule.pool for rule in section.rules} == {"web"}
