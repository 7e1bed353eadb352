"""Versions: what they are made of outlives the source tree, and their images stay."""

import json
import os
import re
import subprocess

import pytest

from wherry.base.errors import Conflict, InvalidInput, NotFound, OperationFailed, WherryError
from wherry.base.paths import Layout
from wherry.base.progress import Finished, Output, nobody
from wherry.compose.location import ProjectOptions
from wherry.deploy.cron import KEY, Job, decode_jobs
from wherry.deploy.hooks import phases, run_hooks
from wherry.deploy.versions import Versions
from wherry.engine import open_engine
from wherry.store.leases import VERSION


@pytest.fixture
def versions(wherry):
    return Versions(Layout(wherry.root, wherry.run))


def write(directory, **files):
    for name, text in files.items():
        (directory / name.replace("_", ".").replace("..", "_")).write_text(text)


def build(versions, directory, label, progress=nobody, **environment):
    said = []
    options = ProjectOptions(environment, str(directory))
    return versions.build(options, f"{VERSION}shop/{label}", progress, said.append), said


def test_a_version_holds_all_that_it_needs(versions, tmp_path, wherry):
    write(tmp_path, compose_yaml=COMPOSE, motto_txt="be kind", key="s3cret", Dockerfile="FROM tiny\nLABEL n=1\n")
    content, said = build(versions, tmp_path, "v1", TOKEN="t0k")
    web = content.model["services"]["web"]
    assert web["image"].startswith("sha256:")
    assert "build" not in web
    assert content.images == {"web": web["image"]}
    assert content.model["configs"] == {"motto": {"content": "be kind"}}
    assert content.secrets == {"key": "s3cret", "token": "t0k"}
    assert "s3cret" not in str(content.model)
    assert content.model["x-wherry"] == {"release": "true"}
    assert any("services.web.volumes" in line for line in said)
    again, _ = build(versions, tmp_path, "v2", TOKEN="t0k")
    assert again.model == content.model


COMPOSE = """
name: shopping
services:
  web: {build: ., ports: ["80"], configs: [motto], secrets: [key, token], volumes: [".:/src"]}
configs: {motto: {file: motto.txt}}
secrets: {key: {file: key}, token: {environment: TOKEN}}
x-wherry: {release: "true"}
"""


def test_images_stay_until_the_version_lets_go(versions, tmp_path, wherry):
    write(tmp_path, Dockerfile="FROM tiny\nLABEL n=2\nEXPOSE 8000\n")
    content, _ = build(versions, tmp_path, "v7")
    [image] = content.images.values()
    assert content.model["services"]["web"]["ports"] == [{"target": 8000}]
    wherry("rmi", tmp_path.name.replace("_", "-"))
    wherry("image", "prune", "-f")
    assert versions.missing([image]) == []
    engine = open_engine(Layout(wherry.root, wherry.run))
    with pytest.raises(Conflict, match="version shop/v7 needs it"):
        engine.images.remove(image)
    versions.release(f"{VERSION}shop/v7")
    wherry("image", "prune", "-f")
    assert versions.missing([image]) == [image]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("services: {web: {build: .}}\nx-wherry: {routs: []}", "did you mean routes"),
        ("services: {web: {build: ., secrets: [s]}}\nsecrets: {s: {file: nope}}", "secrets.s: open .*nope"),
    ],
)
def test_mistakes_are_told_before_anything_is_built(versions, tmp_path, text, words):
    write(tmp_path, compose_yaml=text, Dockerfile="FROM tiny\nRUN echo built\n")
    events = []
    with pytest.raises(WherryError) as found:
        build(versions, tmp_path, "v1", events.append)
    assert re.search(words, f"{found.value.message} {found.value.hint}")
    assert events == []


def test_a_draft_is_what_would_be_built_without_images(versions, tmp_path):
    write(tmp_path, compose_yaml=COMPOSE, motto_txt="be kind", key="s3cret", Dockerfile="FROM nowhere/nothing:1\n")
    draft = versions.draft(ProjectOptions({"TOKEN": "t0k"}, str(tmp_path)))
    assert draft.model["x-wherry"] == {"release": "true"}
    assert (draft.images, draft.secrets) == ({}, {})


def test_a_directory_without_files_is_refused(versions, tmp_path):
    with pytest.raises(NotFound, match="no configuration file provided"):
        build(versions, tmp_path, "v1")


def test_the_revision_says_what_was_deployed(versions, tmp_path):
    git = ("git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b")
    for command in (("init", "-q"), ("commit", "-q", "--allow-empty", "-m", "first")):
        subprocess.run([*git, *command], check=True)
    head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], check=True, capture_output=True, text=True).stdout
    write(tmp_path, Dockerfile="FROM tiny\n")
    environment = {"PATH": os.environ["PATH"]}
    assert build(versions, tmp_path, "v1", **environment)[0].revision == head.strip() + "-dirty"
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "second"], check=True)
    assert not build(versions, tmp_path, "v1", **environment)[0].revision.endswith("-dirty")


def hook(directory, name, text):
    path = directory / ".platform/hooks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_prebuild_hooks_make_what_is_built_and_the_others_are_kept(versions, tmp_path):
    hook(tmp_path, "prebuild/make", "echo making $WHERRY_VERSION for $WHO; echo 'FROM tiny' >$WHERRY_SOURCE/Dockerfile")
    hook(tmp_path, "predeploy/greet", "echo hello")
    write(tmp_path, compose_yaml="services: {web: {build: .}}\nx-wherry-hooks: {postdeploy: {a: b}}\n")
    events = []
    content, _ = build(versions, tmp_path, "v9", events.append, WHO="me", PATH=os.environ["PATH"])
    assert next(one.data for one in events if isinstance(one, Output)) == b"making v9 for me\n"
    (tmp_path / ".platform/hooks/predeploy/greet").unlink()
    said = bytearray()
    run_hooks(content.model, "predeploy", {}, said.extend, 10, str(tmp_path / "place"))
    assert said == b"hello\n"
    assert phases(content.model) == {"prebuild", "predeploy"}


def test_a_failing_prebuild_hook_ends_the_build(versions, tmp_path):
    hook(tmp_path, "prebuild/check", "echo not today; exit 7")
    write(tmp_path, Dockerfile="FROM tiny\n")
    events = []
    with pytest.raises(OperationFailed, match="prebuild hook check failed with exit code 7: not today"):
        build(versions, tmp_path, "v9", events.append)
    assert events[-1] == Finished("hooks.prebuild", error="the prebuild hook check failed with exit code 7: not today")


def test_jobs_by_the_clock_are_kept_and_mistakes_in_them_end_the_build(versions, tmp_path):
    write(tmp_path, Dockerfile="FROM tiny\n")
    (tmp_path / "cron.yaml").write_text("version: 1\ncron: [{name: tidy, schedule: '@daily', command: ./tidy}]\n")
    content, _ = build(versions, tmp_path, "v9")
    assert decode_jobs(json.loads(json.dumps(content.model))[KEY])[0] == Job(
        "tidy", "@daily", service="web", command=("/bin/sh", "-c", "./tidy")
    )
    (tmp_path / "cron.yaml").write_text("version: 1\ncron: [{name: tidy, schedule: '@often', command: ./tidy}]\n")
    with pytest.raises(InvalidInput, match=r"cron.yaml: cron\[0\].schedule: '@often' is no cron expression"):
        build(versions, tmp_path, "v9")
    (tmp_path / "cron.yaml").write_text("version: [\n")
    with pytest.raises(InvalidInput, match=r"cron.yaml is not YAML"):
        build(versions, tmp_path, "v9")
