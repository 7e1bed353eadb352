"""What a Compose file leaves unsaid, said: names, defaults and dependencies that follow from other keys. Pure.

Source: compose-spec; the defaults that compose-go fills in when it loads.
"""

from __future__ import annotations

from wherry.compose.kinds import Fields, Kind, ListOf, MapOf, Pairs
from wherry.compose.schema import COMPOSE_FILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Tree = dict[str, Any]

__all__ = ["compact", "normalize"]

_NAMED = ("networks", "volumes", "secrets", "configs")
_KEPT_FALSE = ("init", "attach", "enable_ipv4", "enable_ipv6", "required", "create_host_path")
_KEPT_EMPTY = ("command", "entrypoint", "volume", "bind", "tmpfs", "image", "test", "services", *_NAMED)
_MODES = ("network_mode", "ipc", "pid", "uts", "cgroup")


def normalize(tree: Tree, project: str, environment: dict[str, str]) -> Tree:
    """The canonical tree with defaults filled in, in the order of its schema; `tree` is changed."""
    services = tree.setdefault("services", {}) or {}
    tree["services"] = {name: _service(service or {}, environment) for name, service in services.items()}
    networks = tree["networks"] = tree.get("networks") or {}
    if any("default" in (service.get("networks") or ()) for service in tree["services"].values()):
        networks.setdefault("default", {})
    for section in _NAMED:
        resources = tree.get(section) or {}
        tree[section] = {name: _named(name, one or {}, project) for name, one in resources.items()}
    return dict(_fields(COMPOSE_FILE, tree))


def _named(key: str, resource: Tree, project: str) -> Tree:
    if not resource.get("external"):
        resource.pop("external", None)
    resource.setdefault("name", key if resource.get("external") else f"{project}_{key}")
    return resource


def _service(service: Tree, environment: dict[str, str]) -> Tree:
    if not service.get("networks") and not service.get("network_mode") and not service.get("provider"):
        service["networks"] = {"default": None}
    if service.get("build") is not None:
        _build(service["build"], environment)
    if service.get("environment"):
        service["environment"] = _filled(service["environment"], environment)
    for port in service.get("ports") or ():
        if isinstance(port, dict):
            port.setdefault("mode", "ingress")
            port.setdefault("protocol", "tcp")
    for mount in service.get("volumes") or ():
        if isinstance(mount, dict) and mount.get("type") == "bind":
            mount.setdefault("bind", {}).setdefault("create_host_path", True)
    for key, directory in (("secrets", "/run/secrets"), ("configs", "")):
        for file in service.get(key) or ():
            _file_target(file, directory)
    _dependencies(service)
    return service


def _build(build: Tree, environment: dict[str, str]) -> None:
    if not build.get("dockerfile") and not build.get("dockerfile_inline"):
        build["dockerfile"] = "Dockerfile"
    if build.get("args"):
        build["args"] = _filled(build["args"], environment)
    for secret in build.get("secrets") or ():
        _file_target(secret, "/run/secrets")


def _filled(values: Tree, environment: dict[str, str]) -> Tree:
    """Names without a value take the host's; those that it does not have stay without."""
    return {name: environment.get(name) if value is None else value for name, value in values.items()}


def _file_target(file: Any, directory: str) -> None:
    if isinstance(file, dict):
        target = file.get("target") or file["source"]
        file["target"] = target if target.startswith("/") else f"{directory}/{target}"


def _dependencies(service: Tree) -> None:
    """What `links`, shared namespaces and `volumes_from` imply, where `depends_on` does not say it itself."""
    implied: dict[str, bool] = {}
    for source in service.get("volumes_from") or ():
        if not source.startswith("container:"):
            implied[source.partition(":")[0]] = False
    for link in service.get("links") or ():
        implied[link.partition(":")[0]] = True
    for key in _MODES:
        mode = str(service.get(key) or "")
        if mode.startswith("service:"):
            implied[mode.removeprefix("service:")] = True
    wanted = service.get("depends_on") or {}
    for name, restart in implied.items():
        entry = {"condition": "service_started", "required": True, **({"restart": True} if restart else {})}
        wanted.setdefault(name, entry)
    for entry in wanted.values():
        entry.setdefault("required", True)
    if wanted:
        service["depends_on"] = wanted


def compact(kind: Kind, value: Any) -> Any:
    """The value in the order of its schema, without what says nothing, so that equal wishes are equal values."""
    if isinstance(kind, Fields) and isinstance(value, dict):
        return dict(_fields(kind, value))
    if isinstance(kind, MapOf) and isinstance(value, dict):
        return {key: compact(kind.kind, value[key]) for key in sorted(value)}
    if isinstance(kind, Pairs) and isinstance(value, dict):
        return {key: value[key] for key in sorted(value)}
    if isinstance(kind, ListOf) and isinstance(value, list):
        return [compact(kind.kind, item) for item in value]
    return value


def _fields(kind: Fields, value: Tree) -> Iterator[tuple[str, Any]]:
    for key, child_kind in kind.fields.items():
        child = compact(child_kind, value.get(key))
        says_nothing = child is None or child == "" or (child is False and key not in _KEPT_FALSE)
        if not says_nothing and (child not in ({}, []) or key in _KEPT_EMPTY):
            yield key, child
    for key in sorted(key for key in value if key not in kind.fields):
        yield key, value[key]
