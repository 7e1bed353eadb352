"""Files to one canonical tree: read, interpolated, checked, extended, included and merged, with every place kept.

Each file is brought into its canonical form before it is merged, so short and long forms meet as one. What is read
comes from a `Source`; everything else is pure.
"""

from __future__ import annotations

import posixpath

from wherry.base.errors import NotFound
from wherry.compose.document import parse_documents
from wherry.compose.interpolation import interpolate, interpolate_tree, keep_variables
from wherry.compose.location import absolute, load_environment_files
from wherry.compose.paths import resolve_paths, resolve_service_paths
from wherry.compose.schema import COMPOSE_FILE, RESOURCES
from wherry.compose.schema_service import SERVICE
from wherry.compose.tree import RESET, Mark, Node, invalid, nearest, plain, settle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wherry.compose.source import Source

    Warn = Callable[[str], None]

__all__ = ["Loader"]

_NOWHERE = Mark("", 0, 0)


class Loader:
    """Loads the files of one project. `files` gathers every file that was read, in order."""

    def __init__(self, source: Source, warn: Warn, *, interpolates: bool = True, home: str = "") -> None:
        self._source = source
        self._warn = warn
        self._interpolates = interpolates
        self._home = home
        self._warned: set[str] = set()
        self._parsed: dict[str, list[Node]] = {}  # read for the name, and not yet loaded
        self.files: list[str] = []

    def name_in(self, files: Sequence[str], environment: dict[str, str]) -> str:
        """The last project name that the files themselves say; empty where none does."""
        found = ""
        for file in files:
            self._parsed[file] = self._documents(file)
            for document in self._parsed[file]:
                name = document.value.get("name") if isinstance(document.value, dict) else None
                if name is not None and isinstance(name.value, str):
                    found = interpolate(name.value, environment.get)
        return found

    def load(
        self, files: Sequence[str], directory: str, environment: dict[str, str], trail: tuple[str, ...] = ()
    ) -> Node:
        """The merged tree of `files`, its paths absolute. `trail` names the files that led here by `include`."""
        merged = Node({}, _NOWHERE, _NOWHERE)
        for file in files:
            for document in self._documents(file):
                tree = COMPOSE_FILE.read(self._interpolated(document, environment), ())
                tree = self._extended(tree, file, directory, environment)
                tree = self._included(tree, directory, environment, (*trail, file))
                if "version" in tree.value:
                    self._warn_once(f"{file}: the attribute `version` is obsolete, it will be ignored")
                merged = COMPOSE_FILE.merge(merged, tree)
        merged.value.pop("version", None)
        return resolve_paths(settle(merged), directory, self._home)

    def _documents(self, file: str) -> list[Node]:
        if file in self._parsed:
            return self._parsed.pop(file)  # what is made of a document changes it: it serves once
        text = self._source.standard_input() if file == "-" else self._source.read(file)
        if file not in self.files:
            self.files.append(file)
        return parse_documents(text, "stdin" if file == "-" else file)

    def _interpolated(self, document: Node, environment: dict[str, str]) -> Node:
        if not self._interpolates:
            return keep_variables(document)
        return interpolate_tree(document, environment.get, self._warn_once)

    def _warn_once(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            self._warn(message)

    # --- extends

    def _extended(self, tree: Node, file: str, directory: str, environment: dict[str, str]) -> Node:
        services = tree.value.get("services")
        if services is None or not isinstance(services.value, dict):
            return tree
        extending = _Extending(self, environment)
        done = {name: extending.service(name, services.value, file, directory) for name in services.value}
        return tree.at({**tree.value, "services": services._replace(value=done)})

    def services_of(self, file: str, environment: dict[str, str]) -> dict[str, Node]:
        """The services of a file that others extend, as written there."""
        merged = Node({}, _NOWHERE, _NOWHERE)
        for document in self._documents(file):
            merged = COMPOSE_FILE.merge(merged, COMPOSE_FILE.read(self._interpolated(document, environment), ()))
        services = merged.value.get("services")
        return services.value if services is not None and isinstance(services.value, dict) else {}

    def exists(self, path: str) -> bool:
        """Whether the file is there."""
        return self._source.is_file(path)

    def resolved(self, service: Node, directory: str) -> Node:
        """The service of another file, its paths from there."""
        return resolve_service_paths(service, directory, self._home)

    # --- include

    def _included(self, tree: Node, directory: str, environment: dict[str, str], trail: tuple[str, ...]) -> Node:
        includes = tree.value.get("include")
        values = {key: child for key, child in tree.value.items() if key != "include"}
        for item in includes.value if includes is not None and includes.value else ():
            values = _imported(values, self._include(item, directory, environment, trail))
        return tree.at(values)

    def _include(self, item: Node, directory: str, environment: dict[str, str], trail: tuple[str, ...]) -> Node:
        wanted = plain(item)
        paths = [absolute(path, directory, self._home) for path in wanted.get("path") or ()]
        if not paths:
            raise invalid(item.mark, ("include",), 'the key "path" is missing')
        for path in paths:
            if not self._source.is_file(path):
                raise NotFound(f"{item.mark}: include: open {path}: No such file or directory")
        if paths[0] in trail:
            raise invalid(item.mark, ("include",), "include cycle detected: " + " -> ".join([*trail, paths[0]]))
        own = wanted.get("project_directory")
        base = absolute(own, directory, self._home) if own else posixpath.dirname(paths[0])
        default = posixpath.join(base, ".env")
        names = [absolute(name, directory, self._home) for name in wanted.get("env_file") or ()]
        if not names and self._source.is_file(default):
            names = [default]
        added = load_environment_files(names, environment, self._source)
        return self.load(paths, base, {**added, **environment}, trail)


class _Extending:
    """Resolves `extends`, following it from file to file."""

    def __init__(self, loader: Loader, environment: dict[str, str]) -> None:
        self._loader = loader
        self._environment = environment
        self._files: dict[str, dict[str, Node]] = {}

    def service(
        self, name: str, services: dict[str, Node], file: str, directory: str, trail: tuple[tuple[str, str], ...] = ()
    ) -> Node:
        """The service with everything that it extends merged below it."""
        service = services[name]
        extends = service.value.get("extends") if isinstance(service.value, dict) else None
        own = {key: child for key, child in (service.value or {}).items() if key != "extends"}
        if extends is None or extends.tag == RESET:
            return service if extends is None else service._replace(value=own)
        place = ("services", name, "extends")
        if (file, name) in trail:
            steps = " -> ".join(f"{one} in {where}" for where, one in (*trail, (file, name)))
            raise invalid(extends.key, place, f"circular reference: {steps}")
        base = self._base(extends, place, services, file, directory, (*trail, (file, name)))
        return SERVICE.merge(base, service._replace(value=own))

    def _base(
        self,
        extends: Node,
        place: tuple[str, ...],
        services: dict[str, Node],
        file: str,
        directory: str,
        trail: tuple[tuple[str, str], ...],
    ) -> Node:
        wanted = plain(extends)
        name, other = wanted["service"], wanted.get("file")
        if not other:
            self._require(name, services, extends, place, file)
            return self.service(name, services, file, directory, trail)
        path = absolute(other, directory)
        if not self._loader.exists(path):
            raise NotFound(f"{extends.mark}: {'.'.join(place)}: open {path}: No such file or directory")
        if path not in self._files:
            self._files[path] = self._loader.services_of(path, self._environment)
        self._require(name, self._files[path], extends, place, path)
        found = self.service(name, self._files[path], path, posixpath.dirname(path), trail)
        return self._loader.resolved(found, posixpath.dirname(path))

    @staticmethod
    def _require(name: str, services: dict[str, Node], extends: Node, place: tuple[str, ...], file: str) -> None:
        if name not in services:
            near = nearest(name, services)
            words = f'cannot extend service "{name}": it is not in {file}'
            raise invalid(extends.mark, place, words, f"did you mean {near}?" if near else "")


def _imported(values: dict[str, Node], included: Node) -> dict[str, Node]:
    """The tree's keys with the included file's resources added. Raises InvalidInput where both define one."""
    result = dict(values)
    for section in ("services", "models", *RESOURCES):
        theirs = included.value.get(section)
        if theirs is None or not theirs.value:
            continue
        ours = result.get(section, theirs.at({}))
        merged = dict(ours.value or {})
        for name, child in theirs.value.items():
            if name in merged and plain(settle(merged[name])) != plain(child):
                words = f"{section}.{name} conflicts with the one that is included from {child.mark.file}"
                raise invalid(merged[name].key, (section, name), words, "included resources are never merged")
            merged[name] = child
        result[section] = ours._replace(value=merged)
    return result
