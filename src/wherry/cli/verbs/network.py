"""`network ls|inspect`."""

from __future__ import annotations

from wherry.base.errors import Unsupported
from wherry.cli.context import engine
from wherry.cli.flags import Command, Flag
from wherry.cli.group import dispatch
from wherry.cli.output import print_list, short_id

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """One of the words."""
    later = dict.fromkeys(("create", "rm", "connect", "disconnect", "prune"), _later)
    return dispatch("network", argv, {}, {"ls": _list, "list": _list, "inspect": _inspect, **later})


def _later(_: list[str]) -> int:
    raise Unsupported("user-defined networks are not supported yet", hint="containers share the network bridge")


def _list(argv: list[str]) -> int:
    flags = (
        Flag("format", "str", "table, json, or a Go template"),
        Flag("no-trunc", "bool", "Show whole values"),
        Flag("quiet", "bool", "Show only identifiers", short="q"),
    )
    parsed = Command("wherry network ls", "[OPTIONS]", "List networks", flags, most=0).parse(argv)
    networks = [(one.id, one.name, "bridge") for one in engine().networks.all()]
    rows = [
        {"ID": short_id(identifier, whole=parsed["no-trunc"]), "Name": name, "Driver": driver, "Scope": "local"}
        for identifier, name, driver in [*networks, ("0" * 63 + "1", "host", "host"), ("0" * 63 + "2", "none", "null")]
    ]
    if parsed["quiet"]:
        print("\n".join(row["ID"] for row in rows))
        return 0
    columns = [("NETWORK ID", "ID"), ("NAME", "Name"), ("DRIVER", "Driver"), ("SCOPE", "Scope")]
    print_list(rows, columns, parsed["format"])
    return 0


def _inspect(argv: list[str]) -> int:
    from wherry.cli.verbs.inspect import inspect_things

    flags = (Flag("format", "str", "json, or a Go template", short="f"),)
    parsed = Command("wherry network inspect", "NETWORK...", "Show everything about networks", flags, least=1).parse(
        argv
    )
    return inspect_things(parsed.args, parsed["format"], ["network"])
