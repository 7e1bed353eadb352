"""The projects that an environment is made of. Pure."""

import pytest

from wherry.compose.files import file_wishes
from wherry.compose.hashing import service_hash
from wherry.compose.labels import PROJECT
from wherry.deploy.local.projects import (
    ACCESSORIES,
    ENVIRONMENT,
    INSTANCE,
    SECRETS,
    VERSION,
    accessory_project,
    instance_project,
    project_name,
    release_project,
    whose,
)
from wherry.deploy.target import AccessoryWish, InstanceWish, Release, Secret

MODEL = {
    "services": {
        "web": {
            "image": "sha256:1",
            "build": {"context": "."},
            "container_name": "web",
            "ports": [{"target": 80, "published": "80"}],
            "networks": {"front": {"aliases": ["www"], "ipv4_address": "10.0.0.9"}, "back": None},
            "depends_on": {"api": {"condition": "service_started"}, "db": {"condition": "service_healthy"}},
            "environment": {"A": "1", "B": "2"},
        },
        "api": {"image": "sha256:2", "networks": {"back": None, "outside": None}, "restart": "on-failure:3"},
        "db": {
            "image": "sha256:3",
            "networks": {"back": None},
            "volumes": [{"type": "volume", "source": "data", "target": "/data"}],
            "secrets": [{"source": "password", "target": "/run/secrets/password"}],
        },
    },
    "networks": {
        "front": {"name": "p_front"},
        "back": {"name": "p_back", "ipam": {"config": [{"subnet": "10.0.0.0/24"}]}, "internal": True},
        "outside": {"name": "shared", "external": True},
    },
    "volumes": {"data": {"name": "p_data"}},
    "secrets": {"password": {}},
}
WISH = InstanceWish(
    "shop",
    "i-7",
    "v3",
    MODEL,
    ("web", "api"),
    {"B": "3"},
    (Secret("TOKEN", "t"), Secret("key", "k", True), Secret("password", "p", True)),
)


def config(project, service="web"):
    return project.services[service].config


def test_an_instance_has_its_stateless_services_and_nothing_that_two_could_not_have():
    project = instance_project(WISH, ["db"])
    assert project.name == project_name("shop", "i-7")
    assert list(project.services) == ["api", "web"]
    web = config(project)
    assert not {"build", "container_name", "ports"} & set(web)
    about = {"WHERRY_ENVIRONMENT": "shop", "WHERRY_INSTANCE": "i-7", "WHERRY_VERSION": "v3"}
    assert web["environment"] == {"A": "1", "B": "3", **about}
    assert web["secret_environment"] == {"TOKEN": "t"}
    assert list(web["depends_on"]) == ["api"]
    assert web["restart"] == "always"
    assert config(project, "api")["restart"] == "on-failure:3"
    assert web["labels"] == {ENVIRONMENT: "shop", INSTANCE: "i-7", VERSION: "v3"}
    assert whose({**web["labels"], PROJECT: project.name}) == ("shop", "i-7", "v3")


def test_an_instance_has_networks_of_its_own_and_is_nameless_on_those_it_shares():
    project = instance_project(WISH, ["db"])
    shared = f"{project_name('shop', ACCESSORIES)}_back"
    assert project.networks == {
        "front": {"name": f"{project.name}_front"},
        "back": {"name": f"{project.name}_back", "internal": True},
        "outside": {"name": "shared", "external": True},
        "accessories-back": {"name": shared, "external": True},
    }
    assert config(project)["networks"] == {
        "front": {"aliases": ["www"]},
        "back": {},
        "accessories-back": {"x-nameless": True, "priority": -1},
    }
    assert config(project, "api")["networks"]["outside"] == {"x-nameless": True}


def test_secrets_of_the_environment_go_to_all_and_those_of_the_model_to_who_asks():
    project = instance_project(WISH, ["db"])
    assert [one["source"] for one in config(project)["secrets"]] == ["key"]
    assert project.secrets == {"key": {"content": "k"}}
    accessories = accessory_project(AccessoryWish("shop", MODEL, ("db",), {}, (Secret("password", "p", True),)))
    assert [one["source"] for one in config(accessories, "db")["secrets"]] == ["password"]
    assert accessories.secrets == {"password": {"content": "p"}}


def test_accessories_get_only_the_variables_and_secrets_that_their_definition_names():
    db = {
        **MODEL["services"]["db"],
        "environment": {"POSTGRES_PASSWORD": None, "LICENSE_FILE": "/run/secrets/license", "A": "1"},
        "command": ["sh", "-c", "serve $${SIZE:-1} $FAST"],
    }
    model = {**MODEL, "services": {**MODEL["services"], "db": db}}
    named = {"SIZE": "2", "FAST": "yes", "A": "3"}
    secrets = (Secret("POSTGRES_PASSWORD", "p"), Secret("license", "l", True))
    wish = AccessoryWish("shop", model, ("db",), named, secrets)
    project = accessory_project(wish)
    kept = config(project, "db")
    assert kept["environment"] == {**named, "LICENSE_FILE": "/run/secrets/license"}
    assert kept["secret_environment"] == {"POSTGRES_PASSWORD": "p"}
    assert [one["source"] for one in kept["secrets"]] == ["password", "license"]
    other = {"GREETING": "hi", "SIZ": "1", "SIZES": "1", "POSTGRES": "x"}
    others = (Secret("TOKEN", "t"), Secret("license.pem", "k", True), Secret("licens", "k", True))
    changed = wish._replace(variables={**named, **other}, secrets=(*secrets, *others))
    assert accessory_project(changed) == project


@pytest.mark.parametrize("name", ["POSTGRES_PASSWORD", "license"])
def test_another_value_of_a_secret_makes_an_accessory_another_one_without_telling_the_value(name):
    db = {**MODEL["services"]["db"], "environment": {"POSTGRES_PASSWORD": None, "LICENSE_FILE": "/run/secrets/license"}}
    model = {**MODEL, "services": {**MODEL["services"], "db": db}}
    secrets = (Secret("POSTGRES_PASSWORD", "hush"), Secret("license", "hush", True), Secret("OTHER", "x"))
    marks = {one.name: "0" * 64 for one in secrets}
    wish = AccessoryWish("shop", model, ("db",), {}, secrets, marks)

    def fingerprint(**changed):
        return service_hash(accessory_project(wish._replace(marks={**marks, **changed})).services["db"])

    before = accessory_project(wish).services["db"]
    assert before.config["labels"][SECRETS] == f"POSTGRES_PASSWORD={'0' * 16} license={'0' * 16}"
    assert fingerprint() == service_hash(before) == fingerprint(OTHER="1" * 64)
    assert fingerprint(**{name: "1" * 64}) != service_hash(before)


def test_a_secret_variable_takes_the_place_of_a_plain_one_and_is_in_no_fingerprint():
    web = {**MODEL["services"]["web"], "environment": {"TOKEN": "a default", "GREETING": "hi"}}
    wish = WISH._replace(model={**MODEL, "services": {**MODEL["services"], "web": web}})
    found, other = (instance_project(wish._replace(secrets=(Secret("TOKEN", value),)), ["db"]) for value in ("t", "u"))
    assert "TOKEN" not in config(found)["environment"]
    assert file_wishes(found, found.services["web"])[-1].content == "TOKEN=t\0"
    assert service_hash(found.services["web"]) == service_hash(other.services["web"])


def test_accessories_keep_their_volumes_and_networks_under_the_environments_name():
    project = accessory_project(AccessoryWish("shop", MODEL, ("db",), {}))
    assert list(project.services) == ["db"]
    assert project.volumes == {"data": {"name": f"{project.name}_data"}}
    assert [one["name"] for one in project.networks.values()] == [f"{project.name}_back"]


def test_a_release_is_one_container_that_runs_a_command_once():
    project = release_project(Release(WISH, "api", ("migrate", "--all")), ["db"])
    assert list(project.services) == ["api"]
    api = config(project, "api")
    assert (api["command"], api["restart"], api["depends_on"]) == (["migrate", "--all"], "no", {})
    assert api["healthcheck"] == {"disable": True}


def test_names_of_environments_and_instances_never_meet():
    assert project_name("a", "i-1") != project_name("a_i-1", "")
    assert whose({"com.docker.compose.project": "x"}) is None
