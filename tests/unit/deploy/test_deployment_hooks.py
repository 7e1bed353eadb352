"""Hooks as deployments run them: real ones, of a project in a directory, on an installation of fakes."""

import pytest
from tests.unit.deploy.test_environments import House, model

from wherry.base.errors import OperationFailed
from wherry.base.progress import Finished, Output, Started
from wherry.compose.location import ProjectOptions
from wherry.deploy.environments import Environments
from wherry.deploy.hooks import KEY, read_hooks
from wherry.deploy.target import Secret


class Project:
    """A project with hooks, and the installation that its versions are deployed to. What hooks note is in `noted`."""

    def __init__(self, root):
        self.house = House(root)
        self.directory = root / "project"
        self.notes = root / "notes"
        self.progress = []
        self.environments = Environments(self.house.parts, "me", self.progress.append)

    def hook(self, name, text):
        path = self.directory / ".platform" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\nset -e\nnote() {{ echo "$@" >>{self.notes}; }}\n{text}\n')
        path.chmod(0o755)

    def version(self, **extra):
        hooks = read_hooks(str(self.directory), print)
        self.house.parts.versions.models["/project"] = {**model(**extra), KEY: hooks}
        return self.house.applications.add_version("shop", ProjectOptions({}, "/project")).label

    @property
    def noted(self):
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        self.notes.unlink(missing_ok=True)
        return lines

    @property
    def events(self):
        return [one.message for one in self.house.records.history.events("shop")]


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path)
    made.house.create()
    return made


def test_a_predeploy_hook_that_fails_ends_the_deployment_with_nothing_changed(project):
    project.hook("hooks/predeploy/01_check", "echo no disk; exit 4")
    project.hook("hooks/postdeploy/01_after", "note after")
    label = project.version(release="migrate")
    began, calls = project.house.changes, len(project.house.world.calls)
    with pytest.raises(OperationFailed, match="the predeploy hook 01_check failed with exit code 4: no disk"):
        project.environments.deploy("shop", label)
    assert project.house.served() == {"v1": 2}
    assert set(project.house.parts.target.instances["shop"]) == {"i-1", "i-2"}
    assert not any(one.startswith(("start", "stop", "release")) for one in project.house.world.calls[calls:])
    assert project.house.least(began) == 2
    assert project.house.results()[-1] == (2, "deploy", "failed")
    assert project.noted == []


@pytest.mark.parametrize("policy", ["all-at-once", "rolling-additional", "immutable"])
def test_a_postdeploy_hook_that_fails_is_taken_back(project, policy):
    project.hook("hooks/postdeploy/smoke", "note $WHERRY_VERSION; exit 1")
    label = project.version()
    with pytest.raises(OperationFailed, match="was taken back: the postdeploy hook smoke failed with exit code 1"):
        project.environments.deploy("shop", label, policy=policy)
    assert project.noted == ["v2"]
    assert project.house.served() == {"v1": 2}
    assert project.environments.get("shop").version == "v1"
    assert project.house.results()[-1] == (2, "deploy", "failed")


def test_hooks_run_around_the_release_step_and_the_instances(project):
    project.hook("hooks/predeploy/a", "note before")
    project.hook("hooks/postdeploy/a", "note after")
    outcome = project.environments.deploy("shop", project.version(release="migrate"))
    steps = [one.title for one in project.progress if isinstance(one, Started)]
    assert steps.index("Run the predeploy hooks of version v2") < steps.index("Run the release step of version v2")
    assert steps[-2:] == [
        "Run the postdeploy hooks of version v2",
        "Make 2 instances of version v2 what the environment is",
    ]
    assert project.noted == ["before", "after"]
    assert any("predeploy hooks" in line for line in outcome.plan)


def test_hooks_see_variables_and_secrets_and_where_they_are(project):
    secrets = [Secret("TOKEN", "hush"), Secret("key.pem", "file", file=True)]
    project.environments.configure("shop", variables={"COLOUR": "red", "WHERRY_VERSION": "mine"}, secrets=secrets)
    for phase in ("predeploy", "postdeploy"):
        project.hook(f"hooks/{phase}/a", 'note "$COLOUR $TOKEN $WHERRY_ENVIRONMENT $WHERRY_VERSION $WHERRY_DEPLOYMENT"')
        project.hook(f"hooks/{phase}/b", "note $(env | grep -c pem || true)")
    project.environments.deploy("shop", project.version())
    assert project.noted == ["red hush shop v2 3", "0"] * 2


def test_what_hooks_write_is_shown_and_ends_in_the_event_where_one_fails(project):
    project.hook("hooks/predeploy/a", "echo fine")
    project.hook("hooks/postdeploy/a", "echo bad >&2; exit 2")
    with pytest.raises(OperationFailed):
        project.environments.deploy("shop", project.version())
    output = [(one.task, one.data) for one in project.progress if isinstance(one, Output)]
    assert [data for _, data in output] == [b"fine\n", b"bad\n"]
    words = "the postdeploy hook a failed with exit code 2: bad"
    assert Finished(output[1][0], error=words) in project.progress
    assert [words in one for one in project.events[-2:]] == [True, True]


def test_a_hook_has_the_timeout_of_the_environment(project):
    project.environments.configure("shop", settings={"timeout": "1"})
    project.hook("hooks/predeploy/a", "exec sleep 600")
    with pytest.raises(OperationFailed, match="hook a had not ended after 1 s and was stopped"):
        project.environments.deploy("shop", project.version())


def test_an_abort_lets_a_hook_end_and_then_takes_the_deployment_back(project):
    gate = project.directory / "gate"
    project.hook("hooks/predeploy/a", f"echo running; until [ -e {gate} ]; do sleep 0.01; done; note ended")

    def hear(event):
        if isinstance(event, Output):
            Environments(project.house.parts, "you").abort("shop")
            gate.touch()

    with pytest.raises(OperationFailed, match="was aborted and was taken back: you aborted it"):
        Environments(project.house.parts, "me", hear).deploy("shop", project.version())
    assert project.noted == ["ended"]
    assert project.house.served() == {"v1": 2}


# --- configuration changes


def hooks_of_both_kinds(project):
    for kind in ("hooks", "confighooks"):
        for phase in ("predeploy", "postdeploy"):
            project.hook(f"{kind}/{phase}/a", f"note {kind} {phase} $COLOUR")


def test_a_change_of_variables_runs_confighooks_and_a_version_hooks(project):
    hooks_of_both_kinds(project)
    project.environments.deploy("shop", project.version())
    assert project.noted == ["hooks predeploy", "hooks postdeploy"]
    outcome = project.environments.configure("shop", variables={"COLOUR": "red"})
    assert project.noted == ["confighooks predeploy red", "confighooks postdeploy red"]
    assert "3. Run the configuration-predeploy hooks of version v2." in outcome.plan
    project.environments.rollback("shop")
    assert project.noted == ["hooks predeploy", "hooks postdeploy"]


def test_a_change_of_variables_whose_confighook_fails_is_taken_back(project):
    project.hook("confighooks/postdeploy/a", '[ "$COLOUR" != red ]')
    project.environments.deploy("shop", project.version())
    with pytest.raises(OperationFailed, match="the configuration-postdeploy hook a failed with exit code 1"):
        project.environments.configure("shop", variables={"COLOUR": "red"})
    assert project.environments.get("shop").variables == {}
    assert project.house.served() == {"v2": 2}
    project.environments.configure("shop", variables={"COLOUR": "blue"})


def test_a_change_of_settings_runs_no_hook(project):
    hooks_of_both_kinds(project)
    project.environments.deploy("shop", project.version())
    assert project.noted
    project.environments.configure("shop", settings={"health.interval": "2"})
    assert project.noted == []


def test_variables_that_let_a_first_version_start_deploy_it_as_a_version(tmp_path):
    project = Project(tmp_path)
    hooks_of_both_kinds(project)
    project.hook("hooks/predeploy/b", '[ -n "$COLOUR" ]')
    label = project.version(release="migrate")
    with pytest.raises(OperationFailed, match="predeploy hook b failed"):
        project.house.create(version=label)
    assert project.noted == ["hooks predeploy"]
    project.environments.configure("shop", variables={"COLOUR": "red"})
    assert project.noted == ["hooks predeploy red", "hooks postdeploy red"]
    assert project.house.parts.target.released == [label], "it had never been released"
