"""`network create|ls|inspect|rm|prune|connect|disconnect`."""

from __future__ import annotations

from wherry.base.errors import InvalidInput, NotFound, Unsupported
from wherry.cli.context import each, engine
from wherry.cli.filters import split_filter
from wherry.cli.flags import Command, Flag
from wherry.cli.group import confirm, dispatch
from wherry.cli.output import print_list, short_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from wherry.engine import Engine
    from wherry.engine.networks import Network

__all__ = ["run"]

_SWARM = "there is no swarm"
_IPV6 = "networks have IPv4 addresses only"


def run(argv: list[str]) -> int:
    """One of the words."""
    own = {
        "create": _create,
        "ls": _list,
        "list": _list,
        "inspect": _inspect,
        "rm": _remove,
        "remove": _remove,
        "prune": _prune,
        "connect": _connect,
        "disconnect": _disconnect,
    }
    return dispatch("network", argv, {}, own)


def _create(argv: list[str]) -> int:
    flags = (
        Flag("attachable", "bool", "Enable manual container attachment", unsupported=_SWARM),
        Flag("aux-address", "list", "Addresses that no container gets", unsupported="choose an --ip-range instead"),
        Flag("config-from", "str", "Network to copy from", unsupported=_SWARM),
        Flag("config-only", "bool", "Create a configuration only", unsupported=_SWARM),
        Flag("driver", "str", "Driver (bridge)", short="d", default="bridge"),
        Flag("gateway", "list", "Gateway of the subnet"),
        Flag("ingress", "bool", "Routing mesh", unsupported=_SWARM),
        Flag("internal", "bool", "Let nothing out, and nothing in"),
        Flag("ip-range", "list", "Part of the subnet that containers get addresses from"),
        Flag("ipam-driver", "str", "Driver for addresses", unsupported="there is one, and it is the default"),
        Flag("ipam-opt", "list", "Options of that driver", unsupported="the default driver has none"),
        Flag("ipv6", "bool", "Give IPv6 addresses", unsupported=_IPV6),
        Flag("label", "list", "Set a label"),
        Flag("opt", "list", "Driver options", short="o"),
        Flag("scope", "str", "Scope", unsupported=_SWARM),
        Flag("subnet", "list", "Subnet (10.5.0.0/16)"),
    )
    parsed = Command("wherry network create", "[OPTIONS] NETWORK", "Make a network", flags, least=1, most=1).parse(argv)
    from wherry.cli.parsing import parse_labels
    from wherry.engine.networks import NetworkRequest

    request = NetworkRequest(
        parsed.args[0],
        parsed["driver"],
        _single(parsed["subnet"], "subnet"),
        _single(parsed["gateway"], "gateway"),
        _single(parsed["ip-range"], "ip-range"),
        parsed["internal"],
        parse_labels(parsed["label"], ()),
        parse_labels(parsed["opt"], ()),
    )
    print(engine().network_verbs.create(request).id)
    return 0


def _single(values: list[str], name: str) -> str:
    if len(values) > 1:
        raise Unsupported(f"bridge driver doesn't support multiple {name}s", hint=f"give one --{name}")
    return values[0] if values else ""


def _list(argv: list[str]) -> int:
    flags = (
        Flag(
            "filter", "list", "Show only what fits (driver=, id=, label=, name=, scope=, type=, dangling=)", short="f"
        ),
        Flag("format", "str", "table, json, or a Go template"),
        Flag("no-trunc", "bool", "Show whole values"),
        Flag("quiet", "bool", "Show only identifiers", short="q"),
    )
    parsed = Command("wherry network ls", "[OPTIONS]", "List networks", flags, most=0).parse(argv)
    opened = engine()
    tests = [_filter(opened, text) for text in parsed["filter"]]
    rows = [row for row in _rows(opened) if all(test(row) for test in tests)]
    for row in rows:
        row["ID"] = short_id(row["ID"], whole=parsed["no-trunc"])
    if parsed["quiet"]:
        for row in rows:
            print(row["ID"])
        return 0
    shown = [{key: value for key, value in row.items() if not key.startswith("_")} for row in rows]
    columns = [("NETWORK ID", "ID"), ("NAME", "Name"), ("DRIVER", "Driver"), ("SCOPE", "Scope")]
    print_list(shown, columns, parsed["format"])
    return 0


def _rows(opened: Engine) -> list[dict[str, Any]]:
    from wherry.base.clock import rfc3339
    from wherry.engine.inspection import PREDEFINED

    rows: list[dict[str, Any]] = [
        {
            "CreatedAt": rfc3339(one.created),
            "Driver": "bridge",
            "ID": one.id,
            "IPv6": "false",
            "Internal": "true" if one.internal else "false",
            "Labels": ",".join(f"{key}={value}" for key, value in sorted(one.labels.items())),
            "Label": lambda name, labels=one.labels: labels.get(name, ""),
            "Name": one.name,
            "Scope": "local",
            "_network": one,
        }
        for one in opened.networks.all()
    ]
    empty: dict[str, Any] = {
        "CreatedAt": rfc3339(0),
        "IPv6": "false",
        "Internal": "false",
        "Labels": "",
        "Scope": "local",
    }
    empty["Label"] = lambda _name: ""
    for name, (driver, identifier) in PREDEFINED.items():
        rows.append({**empty, "Driver": driver, "ID": identifier, "Name": name, "_network": None})
    return sorted(rows, key=lambda row: str(row["Name"]))


def _filter(opened: Engine, text: str) -> Callable[[dict[str, Any]], bool]:
    key, value = split_filter(text)
    tests: dict[str, Callable[[dict[str, Any]], bool]] = {
        "driver": lambda row: bool(row["Driver"] == value),
        "id": lambda row: row["ID"].startswith(value),
        "label": lambda row: row["_network"] is not None and has_label(row["_network"].labels, value),
        "name": lambda row: value in row["Name"],
        "scope": lambda row: bool(row["Scope"] == value),
        "type": lambda row: _is_custom(row) is (value == "custom"),
        "dangling": lambda row: (
            _is_custom(row) and (not opened.network_verbs.members(row["_network"])) is (value in ("true", "1"))
        ),
    }
    if key not in tests:
        raise InvalidInput(f"Invalid filter '{key}'", hint=f"there are: {', '.join(tests)}")
    if key == "type" and value not in ("custom", "builtin"):
        raise InvalidInput(f"Invalid filter: 'type'='{value}'", hint="there are: custom, builtin")
    return tests[key]


def _is_custom(row: dict[str, Any]) -> bool:
    return row["_network"] is not None and row["_network"].request is not None


def has_label(labels: dict[str, str], text: str) -> bool:
    """Whether `KEY` or `KEY=VALUE` is among the labels."""
    name, equals, wanted = text.partition("=")
    return name in labels and (not equals or labels[name] == wanted)


def _inspect(argv: list[str]) -> int:
    from wherry.cli.verbs.inspect import inspect_things

    flags = (
        Flag("format", "str", "json, or a Go template", short="f"),
        Flag("verbose", "bool", "Verbose output for diagnostics", short="v", unsupported=_SWARM),
    )
    usage = "[OPTIONS] NETWORK [NETWORK...]"
    parsed = Command("wherry network inspect", usage, "Show everything about networks", flags, least=1).parse(argv)
    return inspect_things(parsed.args, parsed["format"], ["network"])


def _remove(argv: list[str]) -> int:
    flags = (Flag("force", "bool", "Say nothing of missing ones", short="f"),)
    parsed = Command("wherry network rm", "NETWORK [NETWORK...]", "Remove networks", flags, least=1).parse(argv)
    opened = engine()

    def remove(name: str) -> str | None:
        from wherry.engine.inspection import PREDEFINED

        if name in PREDEFINED:
            raise InvalidInput(f"{name} is a pre-defined network and cannot be removed")
        try:
            network = opened.networks.find(name)
        except NotFound:
            if parsed["force"]:
                return ""
            raise NotFound(f"No such network: {name}") from None
        opened.network_verbs.remove(network)
        return None

    return each(parsed.args, remove)


def _prune(argv: list[str]) -> int:
    flags = (
        Flag("filter", "list", "Remove only what fits (until=, label=, label!=)"),
        Flag("force", "bool", "Do not ask", short="f"),
    )
    parsed = Command("wherry network prune", "[OPTIONS]", "Remove all unused networks", flags, most=0).parse(argv)
    keep = _keeper(parsed["filter"])
    warning = "This will remove all custom networks not used by at least one container."
    if not parsed["force"] and not confirm(warning):
        return 0
    removed = engine().network_verbs.prune(keep)
    if removed:
        print("Deleted Networks:", *removed, sep="\n")
        print()
    return 0


def _keeper(filters: Sequence[str]) -> Callable[[Network], bool]:
    """Whether a network is to be kept because a filter does not fit."""
    from wherry.cli.verbs.logs import parse_moment

    keeps: list[Callable[[Network], bool]] = []
    for text in filters:
        negated = text.startswith("label!=")
        key, _, value = text.partition("!=" if negated else "=")
        if key == "label":
            keeps.append(lambda one, value=value, negated=negated: has_label(one.labels, value) is negated)  # type: ignore[misc]
        elif key == "until":
            moment = parse_moment(value)
            keeps.append(lambda one, moment=moment: one.created > moment)  # type: ignore[misc]
        else:
            raise InvalidInput(f"Invalid filter '{key}'", hint="there are: label, label!, until")
    return lambda one: any(keep(one) for keep in keeps)


def _connect(argv: list[str]) -> int:
    flags = (
        Flag("alias", "list", "Further name on the network"),
        Flag("driver-opt", "list", "Driver options", unsupported="the bridge driver has none for a container"),
        Flag("ip", "str", "IPv4 address"),
        Flag("ip6", "str", "IPv6 address", unsupported=_IPV6),
        Flag("link", "list", "Know another container by a further name (container[:alias])"),
        Flag("link-local-ip", "list", "Link-local address", unsupported="addresses are of the network's subnet"),
    )
    usage = "[OPTIONS] NETWORK CONTAINER"
    command = Command("wherry network connect", usage, "Connect a container to a network", flags, least=2, most=2)
    parsed = command.parse(argv)
    from wherry.engine.request import EndpointRequest

    network, container = parsed.args
    endpoint = EndpointRequest(network, tuple(parsed["alias"]), tuple(parsed["link"]), parsed["ip"])
    engine().network_verbs.connect(network, container, endpoint)
    return 0


def _disconnect(argv: list[str]) -> int:
    flags = (Flag("force", "bool", "Also where only the kernel knows of it", short="f"),)
    usage = "[OPTIONS] NETWORK CONTAINER"
    command = Command("wherry network disconnect", usage, "Take a container off a network", flags, least=2, most=2)
    parsed = command.parse(argv)
    network, container = parsed.args
    engine().network_verbs.disconnect(network, container, force=parsed["force"])
    return 0
