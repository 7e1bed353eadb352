"""The Compose projects that make an environment, derived from a version's model. Pure.

The accessories are one project, each instance is another. An instance has networks of its own, in which its services
find each other by name; services that share a network with an accessory in the model are on that accessory's network
too, without a name there, so that no instance ever finds another's services. Nothing publishes a port. An instance's
services are told where they are by WHERRY_ENVIRONMENT, WHERRY_INSTANCE and WHERRY_VERSION.
"""

from __future__ import annotations

import re

from wherry.base.values import NamedTuple
from wherry.compose.labels import PROJECT
from wherry.compose.model import Project, Service
from wherry.compose.project import without_unused
from wherry.deploy.target import ACCESSORIES, RELEASE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from wherry.deploy.target import AccessoryWish, InstanceWish, Release, Secret

__all__ = [
    "ENVIRONMENT",
    "INSTANCE",
    "JOB",
    "SECRETS",
    "VERSION",
    "Whose",
    "accessory_project",
    "instance_project",
    "is_run",
    "project_name",
    "release_project",
    "whose",
]

ENVIRONMENT = "io.wherry.environment"
INSTANCE = "io.wherry.instance"
VERSION = "io.wherry.version"
SECRETS = "io.wherry.secrets"  # of accessories: their secrets' names with marks of their values
JOB = "job-"  # begins the names of other commands that run once
_MARK = 16  # hexadecimal digits
_SHARED = "accessories-"  # begins the keys of networks that are the accessories'
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_DROPPED = ("build", "container_name", "ports", "profiles", "pull_policy", "develop")


class Whose(NamedTuple):
    """What a container is of; `name` is an instance's, or ACCESSORIES, or RELEASE."""

    environment: str
    name: str
    version: str


def whose(labels: dict[str, str]) -> Whose | None:
    """What the labels of a container say; None for one that is of no environment."""
    if ENVIRONMENT not in labels or PROJECT not in labels:
        return None
    return Whose(labels[ENVIRONMENT], labels.get(INSTANCE, ""), labels.get(VERSION, ""))


def is_run(name: str) -> bool:
    """Whether what is called so is a command that runs once, and no instance."""
    return name == RELEASE or name.startswith(JOB)


def project_name(environment: str, name: str) -> str:
    """The Compose project of an instance (or of ACCESSORIES, RELEASE); no two environments' names meet in it."""
    return f"wherry_{environment}_{name}"


def accessory_project(wish: AccessoryWish) -> Project:
    """The stateful services, on the networks of the model that they are on.

    Of the environment's variables and secrets each gets those that it names: any other may change, and it is the same.
    """
    name = project_name(wish.environment, ACCESSORIES)
    project = _project(name, wish.model, wish.services, wish.variables, wish.secrets, only_named=True)
    networks = {key: {**_own(one), "name": _name(one, name, key)} for key, one in project.networks.items()}
    labels = {ENVIRONMENT: wish.environment, INSTANCE: ACCESSORIES}
    services = {key: _marked(one, wish.marks) for key, one in project.services.items()}
    project = project._replace(networks=networks, services=services, volumes=_volumes(project, name))
    return without_unused(_labelled(project, labels))


def instance_project(wish: InstanceWish, accessories: Iterable[str]) -> Project:
    """One copy of the stateless services. `accessories` are the model's other services, which run already."""
    name = project_name(wish.environment, wish.name)
    project = _project(name, wish.model, wish.services, {**_about(wish), **wish.variables}, wish.secrets)
    shared = _networks_of(wish.model, accessories)
    project = project._replace(
        networks=_instance_networks(project, wish.environment, shared),
        services={key: _joined(one, shared, project.networks) for key, one in project.services.items()},
        volumes=_volumes(project, name),
    )
    labels = {ENVIRONMENT: wish.environment, INSTANCE: wish.name, VERSION: wish.version}
    return without_unused(_labelled(project, labels))


def release_project(release: Release, accessories: Iterable[str]) -> Project:
    """One container that runs a command to its end, beside the accessories."""
    wish = release.instance._replace(name=release.name, services=(release.service,))
    project = instance_project(wish, accessories)
    service = project.services[release.service]
    config = {key: one for key, one in service.config.items() if key not in ("healthcheck", "scale", "deploy")}
    config.update(command=list(release.command), restart="no", healthcheck={"disable": True})
    return project._replace(services={service.name: service._replace(config=config)})


# --- pieces


def _project(
    name: str,
    model: dict[str, Any],
    services: Iterable[str],
    variables: dict[str, str],
    secrets: Iterable[Secret],
    *,
    only_named: bool = False,
) -> Project:
    """The named services of the model, as a project that needs no file; see `_named` for `only_named`."""
    chosen = set(services)
    given = list(secrets)
    project = Project(
        name=name,
        directory="/",
        files=(),
        services={},
        networks=dict(model.get("networks", {})),
        volumes=dict(model.get("volumes", {})),
        secrets={**model.get("secrets", {}), **{one.name: {"content": one.value} for one in given if one.file}},
        configs=dict(model.get("configs", {})),
        environment={},
    )
    for key in sorted(chosen & set(model["services"])):
        config = model["services"][key]
        own, hidden = variables, _for_all(given, model)
        if only_named:
            own, hidden = _named(config, variables, hidden)
        project.services[key] = Service(key, _service(config, chosen, own, hidden))
    return project


def _named(
    config: dict[str, Any], variables: dict[str, str], secrets: list[Secret]
) -> tuple[dict[str, str], list[Secret]]:
    """Those that a service names: under `environment`, as `$NAME` in any of its texts, as `/run/secrets/NAME`."""
    texts = list(_texts(config))
    mentioned = {name for text in texts for name in _VARIABLE.findall(text)} | set(config.get("environment", {}))

    def is_named(secret: Secret) -> bool:
        path = re.compile(rf"/run/secrets/{re.escape(secret.name)}(?![\w.-])")
        return any(map(path.search, texts)) if secret.file else secret.name in mentioned

    return {name: value for name, value in variables.items() if name in mentioned}, list(filter(is_named, secrets))


def _texts(value: Any) -> Iterator[str]:
    """All texts in a tree of plain values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


def _about(wish: InstanceWish) -> dict[str, str]:
    return {"WHERRY_ENVIRONMENT": wish.environment, "WHERRY_INSTANCE": wish.name, "WHERRY_VERSION": wish.version}


def _service(
    config: dict[str, Any], chosen: set[str], variables: dict[str, str], secrets: list[Secret]
) -> dict[str, Any]:
    kept = {key: value for key, value in config.items() if key not in _DROPPED}
    hidden = {one.name: one.value for one in secrets if not one.file}
    clear = {**config.get("environment", {}), **variables}
    kept["environment"] = {name: value for name, value in sorted(clear.items()) if name not in hidden}
    kept["secret_environment"] = dict(sorted(hidden.items()))
    kept["depends_on"] = {key: one for key, one in config.get("depends_on", {}).items() if key in chosen}
    if not config.get("restart") and not config.get("deploy", {}).get("restart_policy"):
        kept["restart"] = "always"
    files = [{"source": one.name, "target": f"/run/secrets/{one.name}"} for one in secrets if one.file]
    kept["secrets"] = [*config.get("secrets", ()), *files]
    return kept


def _for_all(secrets: list[Secret], model: dict[str, Any]) -> list[Secret]:
    """The secrets that every service gets: those of the model go to services that ask for them."""
    return [one for one in secrets if not one.file or one.name not in model.get("secrets", {})]


def _marked(service: Service, marks: dict[str, str]) -> Service:
    """With a label that makes the service another one where a secret of it has another value."""
    config = service.config
    names = {*config["secret_environment"], *(one["source"] for one in config["secrets"])} & set(marks)
    if not names:
        return service
    text = " ".join(f"{name}={marks[name][:_MARK]}" for name in sorted(names))
    return service._replace(config={**config, "labels": {**config.get("labels", {}), SECRETS: text}})


def _labelled(project: Project, labels: dict[str, str]) -> Project:
    services = {
        key: one._replace(config={**one.config, "labels": {**one.config.get("labels", {}), **labels}})
        for key, one in project.services.items()
    }
    return project._replace(services=services)


def _networks_of(model: dict[str, Any], services: Iterable[str]) -> set[str]:
    """The networks of the model, external ones left aside, that any of the services is on."""
    keys = {key for name in services for key in model["services"].get(name, {}).get("networks", {})}
    return {key for key in keys if not model.get("networks", {}).get(key, {}).get("external")}


def _own(network: dict[str, Any]) -> dict[str, Any]:
    """A network that exists once for each instance can have no addresses of its own choice."""
    return {key: value for key, value in network.items() if key != "ipam" or network.get("external")}


def _name(network: dict[str, Any], project: str, key: str) -> str:
    return str(network["name"]) if network.get("external") else f"{project}_{key}"


def _instance_networks(project: Project, environment: str, shared: set[str]) -> dict[str, dict[str, Any]]:
    networks = {key: {**_own(one), "name": _name(one, project.name, key)} for key, one in project.networks.items()}
    for key in shared:
        there = f"{project_name(environment, ACCESSORIES)}_{key}"
        networks[_SHARED + key] = {"name": there, "external": True}
    return networks


def _joined(service: Service, shared: set[str], networks: dict[str, dict[str, Any]]) -> Service:
    """The service on its networks, without addresses of its own, and on the accessories' networks without a name."""
    if "networks" not in service.config:
        return service
    wishes: dict[str, dict[str, Any]] = {}
    for key, wish in service.config["networks"].items():
        kept = {name: one for name, one in (wish or {}).items() if name not in ("ipv4_address", "ipv6_address")}
        wishes[key] = {**kept, "x-nameless": True} if networks.get(key, {}).get("external") else kept
        if key in shared:
            wishes[_SHARED + key] = {"x-nameless": True, "priority": -1}
    return service._replace(config={**service.config, "networks": wishes})


def _volumes(project: Project, name: str) -> dict[str, dict[str, Any]]:
    """Named volumes belong to the project that mounts them, whatever name the model gave."""
    return {
        key: one if one.get("external") else {**one, "name": f"{name}_{key}"} for key, one in project.volumes.items()
    }
