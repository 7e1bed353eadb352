"""Paths of a Compose file made absolute: they begin at the project's directory, or at that of an included file."""

from __future__ import annotations

from wherry.compose.location import absolute
from wherry.compose.tree import RAW, Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Resolve = Callable[[str], str]

__all__ = ["is_remote", "resolve_paths", "resolve_service_paths"]

_REMOTE = ("https://", "http://", "git://", "ssh://", "github.com/", "git@")


def is_remote(context: str) -> bool:
    """Whether a build context is an address rather than a directory."""
    return context.startswith(_REMOTE)


def resolve_paths(root: Node, directory: str, home: str) -> Node:
    """The canonical file with its relative paths resolved from `directory`."""

    def resolve(path: str) -> str:
        return absolute(path, directory, home)

    changes: dict[str, Callable[[Node], Node]] = {
        "services": lambda node: _each(node, lambda one: resolve_service_paths(one, directory, home)),
        "secrets": lambda node: _each(node, lambda one: _at(one, "file", resolve)),
        "configs": lambda node: _each(node, lambda one: _at(one, "file", resolve)),
        "volumes": lambda node: _each(node, lambda one: _bind_device(one, resolve)),
    }
    return _changed(root, changes)


def resolve_service_paths(service: Node, directory: str, home: str) -> Node:
    """One service with its relative paths resolved from `directory`."""

    def resolve(path: str) -> str:
        return absolute(path, directory, home)

    def context(path: str) -> str:
        return path if is_remote(path) else resolve(path)

    def named_context(path: str) -> str:
        is_path = "://" not in path and not is_remote(path) and not path.startswith(("service:", "target:"))
        return resolve(path) if is_path else path

    changes: dict[str, Callable[[Node], Node]] = {
        "build": lambda node: _changed(
            _at(_with_context(node), "context", context),
            {"additional_contexts": lambda names: _each(names, lambda one: _leaf(one, named_context))},
        ),
        "env_file": lambda node: _items(node, lambda one: _at(one, "path", resolve)),
        "label_file": lambda node: _items(node, lambda one: _leaf(one, resolve)),
        "volumes": lambda node: _items(node, lambda one: _bind_source(one, resolve)),
        "develop": lambda node: _changed(node, {"watch": lambda w: _items(w, lambda one: _at(one, "path", resolve))}),
    }
    return _changed(service, changes)


def _with_context(build: Node) -> Node:
    """A build that names no context has the directory that its paths begin at."""
    if not isinstance(build.value, dict) or "context" in build.value:
        return build
    return build._replace(value={"context": build.at("."), **build.value})


def _changed(node: Node, changes: dict[str, Callable[[Node], Node]]) -> Node:
    if not isinstance(node.value, dict):
        return node
    value = {key: changes[key](child) if key in changes else child for key, child in node.value.items()}
    return node._replace(value=value)


def _each(node: Node, change: Callable[[Node], Node]) -> Node:
    if not isinstance(node.value, dict):
        return node
    return node._replace(value={key: change(child) for key, child in node.value.items()})


def _items(node: Node, change: Callable[[Node], Node]) -> Node:
    return node._replace(value=[change(child) for child in node.value]) if isinstance(node.value, list) else node


def _leaf(node: Node, resolve: Resolve) -> Node:
    return node._replace(value=resolve(node.value)) if isinstance(node.value, str) and node.tag != RAW else node


def _at(node: Node, key: str, resolve: Resolve) -> Node:
    return _changed(node, {key: lambda child: _leaf(child, resolve)})


def _bind_source(node: Node, resolve: Resolve) -> Node:
    kind = node.value.get("type") if isinstance(node.value, dict) else None
    return _at(node, "source", resolve) if kind is not None and kind.value == "bind" else node


def _bind_device(node: Node, resolve: Resolve) -> Node:
    """A volume of the local driver that is really a directory (`o: bind`)."""
    options = node.value.get("driver_opts") if isinstance(node.value, dict) else None
    mode = options.value.get("o") if options is not None and isinstance(options.value, dict) else None
    if mode is None or "bind" not in str(mode.value).split(","):
        return node
    return _changed(node, {"driver_opts": lambda one: _at(one, "device", resolve)})
