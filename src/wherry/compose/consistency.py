"""Whether a project makes sense as a whole: everything named is there, nothing contradicts itself. Pure."""

from __future__ import annotations

from wherry.base.errors import InvalidInput
from wherry.compose.graph import find_cycle
from wherry.compose.tree import Node, nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from wherry.compose.model import Project, Service

__all__ = ["check_project"]


def check_project(project: Project, tree: Node) -> None:
    """Raises InvalidInput, with the place in `tree`, in Compose's words where it has some."""
    for service in project.services.values():
        _Check(project, service, tree).run()
    for section in ("secrets", "configs"):
        for name, one in getattr(project, section).items():
            _check_file(section, name, one, tree)
    cycle = find_cycle(project.edges())
    if cycle:
        place = ("services", cycle[0], "depends_on")
        raise _error(tree, place, f"dependency cycle detected: {' -> '.join(cycle)}")


class _Check:
    """One service."""

    def __init__(self, project: Project, service: Service, tree: Node) -> None:
        self._project = project
        self._service = service
        self._tree = tree

    def run(self) -> None:
        service = self._service
        if not service.get("image") and service.get("build") is None and not service.get("provider"):
            raise self._error((), f'service "{service.name}" has neither an image nor a build context specified')
        if service.get("network_mode") and service.get("networks"):
            words = f"service {service.name} declares mutually exclusive `network_mode` and `networks`"
            raise self._error(("network_mode",), words)
        self._check_build()
        self._check_references()
        self._check_dependencies()
        self._check_numbers()
        self._check_volumes()
        self._check_restart()

    def _check_restart(self) -> None:
        policy = str(self._service.get("restart", ""))
        name, colon, maximum = policy.partition(":")
        known = ("", "no", "always", "unless-stopped", "on-failure")
        if "$" not in policy and (name not in known or (colon and (name != "on-failure" or not maximum.isdigit()))):
            words = f'invalid restart policy "{policy}"'
            raise self._error(("restart",), words, "no, always, unless-stopped or on-failure[:maximum]")

    def _error(self, key: tuple[str, ...], what: str, hint: str = "") -> InvalidInput:
        return _error(self._tree, ("services", self._service.name, *key), what, hint)

    def _check_build(self) -> None:
        build = self._service.get("build", {})
        if build.get("dockerfile") and build.get("dockerfile_inline"):
            words = "`dockerfile` and `dockerfile_inline` exclude each other"
            raise self._error(("build", "dockerfile_inline"), words)
        for secret in build.get("secrets", ()):
            self._known("secrets", "build secret", secret["source"], ("build", "secrets"))

    def _check_references(self) -> None:
        service = self._service
        for name in service.get("networks", {}):
            self._known("networks", "network", name, ("networks",))
        for section, word in (("secrets", "secret"), ("configs", "config")):
            for one in service.get(section, ()):
                if isinstance(one, dict):
                    self._known(section, word, one["source"], (section,))
        for mount in service.get("volumes", ()):
            if isinstance(mount, dict) and mount["type"] == "volume" and mount.get("source"):
                self._known("volumes", "volume", mount["source"], ("volumes",))

    def _known(self, section: str, word: str, name: str, key: tuple[str, ...]) -> None:
        known = getattr(self._project, section)
        if name not in known:
            raise self._undefined(word, name, key, known, f"define it below the top-level key {section}")

    def _undefined(self, word: str, name: str, key: tuple[str, ...], known: Iterable[str], hint: str) -> InvalidInput:
        near = nearest(name, known)
        words = f'service "{self._service.name}" refers to undefined {word} {name}'
        return self._error(key, words, f"did you mean {near}?" if near else hint)

    def _check_dependencies(self) -> None:
        project, service = self._project, self._service
        for dependency in service.dependencies:
            name = dependency.service
            if name in project.services or (not dependency.required and name in project.disabled):
                continue
            if name in project.disabled:
                profiles = ", ".join(project.disabled[name].get("profiles", ()))
                words = f'service "{name}" is required by "{service.name}" but is disabled'
                raise self._error(("depends_on", name), words, f"activate one of its profiles: {profiles}")
            if not dependency.required:
                continue
            near = nearest(name, project.services)
            words = f'service "{service.name}" depends on undefined service "{name}"'
            raise self._error(("depends_on", name), words, f"did you mean {near}?" if near else "")

    def _check_numbers(self) -> None:
        service, limits = self._service, self._service.get("deploy", {}).get("resources", {}).get("limits", {})
        replicas = service.get("deploy", {}).get("replicas")
        pairs = (
            ("scale", "deploy.replicas", replicas),
            ("cpus", "deploy.resources.limits.cpus", limits.get("cpus")),
            ("mem_limit", "deploy.resources.limits.memory", limits.get("memory")),
            ("pids_limit", "deploy.resources.limits.pids", limits.get("pids")),
        )
        for key, other, value in pairs:
            if service.get(key) is not None and value is not None and service.get(key) != value:
                raise self._error((key,), f"can't set distinct values on '{key}' and '{other}'")
        if service.get("container_name") and service.scale > 1:
            words = f"can't set container_name and {service.name} as container name must be unique"
            raise self._error(("container_name",), words, "drop container_name to have several containers")

    def _check_volumes(self) -> None:
        for mount in self._service.get("volumes", ()):
            if isinstance(mount, dict) and mount["type"] == "bind" and not mount.get("source"):
                raise self._error(("volumes",), "a bind mount needs a source", "write source: and a path")


def _check_file(section: str, name: str, one: dict[str, Any], tree: Node) -> None:
    """Secrets and configs come from exactly one place."""
    sources = [key for key in ("file", "environment", "content", "external") if one.get(key)]
    word = section.removesuffix("s")
    if len(sources) > 1 and sources != ["external"]:
        raise _error(tree, (section, name), f'{word} "{name}": {" and ".join(sources)} exclude each other')
    if not sources and not one.get("driver"):
        choices = "`file` or `environment`" if word == "secret" else "`file`, `environment` or `content`"
        raise _error(tree, (section, name), f'{word} "{name}" must declare one of {choices}')


def _error(tree: Node, path: tuple[str, ...], what: str, hint: str = "") -> InvalidInput:
    """The error at the deepest place of `path` that was written."""
    from wherry.compose.tree import invalid

    node, mark = tree, tree.mark
    for key in path:
        if not isinstance(node.value, dict) or key not in node.value:
            break
        node = node.value[key]
        mark = node.key
    return invalid(mark, path, what, hint)
