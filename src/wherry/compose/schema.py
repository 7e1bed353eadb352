"""The Compose file: what may stand at the top, and networks, volumes, secrets and configs.

The order of keys is the order in which `compose config` prints them. Source: compose-spec, schema/compose-spec.json.
"""

from __future__ import annotations

from wherry.compose.kinds import Fields, Flag, Kind, ListOf, MapOf, Pairs, Scalar, Text, Whole
from wherry.compose.schema_service import SERVICE
from wherry.compose.tree import Node, invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.compose.tree import Path

__all__ = ["COMPOSE_FILE", "INCLUDE", "RESOURCES"]

RESOURCES = ("networks", "volumes", "secrets", "configs")
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


class _External(Kind):
    """`true`, or the older mapping with a name."""

    expected = "true, false or a mapping with a name"

    def _read(self, node: Node, path: Path) -> Node:
        if isinstance(node.value, dict):
            return Fields({"name": Text()}).read(node, path)
        return Flag().read(node, path)


class _Resource(Fields):
    """A resource; the older `external: {name: ...}` becomes `external: true` and `name`."""

    def _read(self, node: Node, path: Path) -> Node:
        read = super()._read(node, path)
        external = read.value.get("external")
        if external is None or not isinstance(external.value, dict):
            return read
        values = dict(read.value)
        name = external.value.get("name")
        if name is not None and "name" in values and values["name"].value != name.value:
            raise invalid(name.key, (*path, "external", "name"), "the name is given twice", "keep `name` alone")
        if name is not None:
            values["name"] = name
        values["external"] = external.at(True)
        return read.at(values)


class _Named(MapOf):
    """A mapping whose keys are names of services or resources."""

    def _read(self, node: Node, path: Path) -> Node:
        if isinstance(node.value, dict):
            for key, child in node.value.items():
                if not key.startswith("x-") and not (key and _NAME_CHARACTERS.issuperset(key)):
                    words = f'"{key}" cannot be a name'
                    raise invalid(child.key, (*path, key), words, "use letters, digits, `.`, `_` and `-`")
        return super()._read(node, path)


def _include_path(node: Node, path: Path) -> Node:
    if not isinstance(node.value, str):
        raise invalid(node.mark, path, f"expected a path or a mapping, found {node.kind}")
    return node.at({"path": node})


INCLUDE = Fields(
    {
        "path": ListOf(Text(), single=True),
        "project_directory": Text(),
        "env_file": ListOf(Text(), single=True),
    },
    short=_include_path,
    words="a path or a mapping",
)

_IPAM = Fields(
    {
        "driver": Text(),
        "config": ListOf(
            Fields({"subnet": Text(), "ip_range": Text(), "gateway": Text(), "aux_addresses": MapOf(Text())}),
        ),
        "options": MapOf(Scalar()),
    }
)

_NETWORK = _Resource(
    {
        "name": Text(),
        "driver": Text(),
        "driver_opts": MapOf(Scalar()),
        "ipam": _IPAM,
        "external": _External(),
        "internal": Flag(),
        "attachable": Flag(),
        "labels": Pairs(),
        "enable_ipv4": Flag(),
        "enable_ipv6": Flag(),
    }
)

_VOLUME = _Resource(
    {
        "name": Text(),
        "driver": Text(),
        "driver_opts": MapOf(Scalar()),
        "external": _External(),
        "labels": Pairs(),
    }
)

_FILE = {
    "name": Text(),
    "file": Text(),
    "environment": Text(),
    "content": Text(),
    "external": _External(),
    "labels": Pairs(),
    "driver": Text(),
    "driver_opts": MapOf(Scalar()),
    "template_driver": Text(),
}

_MODEL = Fields(
    {"name": Text(), "model": Text(), "context_size": Whole(), "runtime_flags": ListOf(Text())}, required=("model",)
)

COMPOSE_FILE = Fields(
    {
        "name": Text(),
        "version": Scalar(),
        "include": ListOf(INCLUDE),
        "services": _Named(SERVICE),
        "networks": _Named(_NETWORK),
        "volumes": _Named(_VOLUME),
        "secrets": _Named(_Resource({key: kind for key, kind in _FILE.items() if key != "content"})),
        "configs": _Named(_Resource({key: kind for key, kind in _FILE.items() if not key.startswith("driver")})),
        "models": _Named(_MODEL),
    }
)
