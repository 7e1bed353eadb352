"""The target that is this machine, on an engine that runs nothing."""

import pytest

from wherry.base.paths import Layout
from wherry.base.progress import nobody
from wherry.compose.apply import ApplyOptions
from wherry.compose.converging import carry_out, observe
from wherry.compose.fake import FakeEngine
from wherry.compose.plan import UpOptions, plan_up
from wherry.deploy.local import LocalTarget
from wherry.deploy.local.projects import instance_project
from wherry.deploy.target import InstanceWish


@pytest.fixture
def engine():
    """One with an instance of one container."""
    made = FakeEngine(["web"])
    model = {"services": {"web": {"image": "web"}}, "networks": {"default": {}}}
    project = instance_project(InstanceWish("shop", "i-1", "v1", model, ("web",), {}), ())
    state = observe(made, project.name, project)
    carry_out(made, project, state, plan_up(project, state, UpOptions()), nobody, ApplyOptions())
    return made


@pytest.mark.parametrize(("grace", "seconds"), [(None, None), (0.0, 0), (0.5, 1), (2.0, 2), (2.1, 3)])
def test_an_instance_has_the_whole_seconds_to_stop_that_its_grace_needs(tmp_path, engine, grace, seconds):
    assert len(engine.containers()) == 1
    LocalTarget(Layout(str(tmp_path / "root"), str(tmp_path / "run")), engine).stop("shop", "i-1", grace, nobody)
    assert list(engine.timeouts.values()) == [seconds]
    assert engine.containers() == []
