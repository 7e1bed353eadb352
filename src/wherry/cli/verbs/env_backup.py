"""`env backup create|list|restore|delete|export`: backups of an environment's accessories."""

from __future__ import annotations

import os
import sys

from wherry.cli.flags import Command, Flag
from wherry.cli.group import confirm, dispatch
from wherry.cli.output import check_format, told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.base.paths import Layout
    from wherry.deploy.local.backups import Backup, Backups

__all__ = ["run"]

_FORMAT = Flag("format", "str", "table, json, or a Go template")
_ONE_FORMAT = Flag("format", "str", "text, json, or a Go template", default="text")
_SERVICES = Flag("service", "list", "Only this accessory (may be given several times)")


def run(argv: list[str]) -> int:
    """One of the words; `argv[0]` is `backup`."""
    own = {
        "create": _create,
        "list": _list,
        "ls": _list,
        "restore": _restore,
        "delete": _delete,
        "rm": _delete,
        "export": _export,
    }
    return dispatch("env backup", argv, {}, own)


def _layout() -> Layout:
    from wherry.base.paths import Layout

    return Layout.from_environment(os.environ, os.geteuid())


def _backups(name: str) -> Backups:
    """Those of an environment, which has to be known."""
    from wherry.deploy.local.backups import Backups
    from wherry.deploy.records import open_records

    layout = _layout()
    open_records(layout).environment(name)
    return Backups(layout, name)


def _tell(name: str, words: str) -> None:
    """As an event of the environment."""
    from wherry.deploy.records import open_records

    open_records(_layout()).tell(name, "INFO", words)


def _create(argv: list[str]) -> int:
    flags = (
        _SERVICES,
        Flag("keep", "int", "Delete all but so many of the newest afterwards"),
        _ONE_FORMAT,
    )
    parsed = Command(
        "wherry env backup create", "[OPTIONS] ENV", "Back up the accessories of an environment", flags, least=1, most=1
    ).parse(argv)
    from wherry.base.errors import UsageError
    from wherry.cli.progress import choose

    check_format(parsed["format"])
    if "keep" in parsed.given and parsed["keep"] < 1:
        raise UsageError("--keep is a count of backups, 1 at least")
    name = parsed.args[0]
    backups = _backups(name)
    made = backups.create(choose("auto", sys.stderr), parsed["service"])
    _tell(name, f"Backup {made.name} of {', '.join(made.services)} made.")
    for gone in backups.keep(parsed["keep"]) if parsed["keep"] else ():
        print(f"{gone} deleted", file=sys.stderr)
    print(told(made.name, _row(made), parsed["format"]))
    return 0


def _row(one: Backup) -> dict[str, object]:
    from wherry.base.clock import rfc3339
    from wherry.cli.output import human_size

    return {
        "Name": one.name,
        "Created": rfc3339(one.created),
        "Services": ",".join(f"{service} ({kind})" for service, kind in sorted(one.services.items())),
        "Size": human_size(one.bytes),
        "Bytes": one.bytes,
    }


def _list(argv: list[str]) -> int:
    flags = (_FORMAT, Flag("quiet", "bool", "Show only names", short="q"))
    usage = "[OPTIONS] ENV"
    parsed = Command("wherry env backup list", usage, "List backups", flags, least=1, most=1).parse(argv)
    from wherry.cli.output import print_list

    found = _backups(parsed.args[0]).all()
    if parsed["quiet"]:
        for one in found:
            print(one.name)
        return 0
    columns = [("NAME", "Name"), ("CREATED", "Created"), ("SERVICES", "Services"), ("SIZE", "Size")]
    print_list(map(_row, found), columns, parsed["format"])
    return 0


def _restore(argv: list[str]) -> int:
    flags = (_SERVICES, Flag("force", "bool", "Do not ask", short="f"), _ONE_FORMAT)
    usage = "[OPTIONS] ENV BACKUP|latest"
    summary = "Bring accessories back to what a backup holds"
    parsed = Command("wherry env backup restore", usage, summary, flags, least=2, most=2).parse(argv)
    from wherry.cli.progress import choose

    check_format(parsed["format"])
    name = parsed.args[0]
    backups = _backups(name)
    chosen = _named(backups, name, parsed.args[1])
    what = ", ".join(parsed["service"] or sorted(chosen.services))
    if not parsed["force"] and not confirm(f"What {what} of {name} holds now is replaced by {chosen.name}."):
        return 1
    backups.restore(chosen.name, choose("auto", sys.stderr), parsed["service"])
    _tell(name, f"Backup {chosen.name} restored: {what}.")
    print(told(chosen.name, {**_row(chosen), "Restored": what}, parsed["format"]))
    return 0


def _named(backups: Backups, environment: str, name: str) -> Backup:
    """The backup of that name, or the latest."""
    if name != "latest":
        return backups.get(name)
    from wherry.base.errors import NotFound

    found = backups.all()
    if not found:
        raise NotFound(f"{environment} has no backup", hint=f"`wherry env backup create {environment}` makes one")
    return found[0]


def _delete(argv: list[str]) -> int:
    usage = "[OPTIONS] ENV BACKUP [BACKUP...]"
    parsed = Command("wherry env backup delete", usage, "Delete backups", (_ONE_FORMAT,), least=2).parse(argv)
    from wherry.cli.context import each

    check_format(parsed["format"])
    backups = _backups(parsed.args[0])

    def remove(name: str) -> str:
        backups.remove(name)
        return told(name, {"Name": name}, parsed["format"])

    return each(parsed.args[1:], remove)


def _export(argv: list[str]) -> int:
    flags = (Flag("output", "str", "File to write, instead of standard output", short="o"), _ONE_FORMAT)
    usage = "[OPTIONS] ENV BACKUP|latest"
    summary = "Write a backup as a tar archive"
    parsed = Command("wherry env backup export", usage, summary, flags, least=2, most=2).parse(argv)
    from wherry.base.errors import UsageError

    check_format(parsed["format"])
    if parsed["format"] != "text" and not parsed["output"]:
        raise UsageError("--format tells of the file that --output names", hint="without it the archive is printed")
    backups = _backups(parsed.args[0])
    chosen = _named(backups, *parsed.args)
    if parsed["output"]:
        with open(parsed["output"], "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            backups.export(chosen.name, file.write)
        if parsed["format"] != "text":
            print(told("", {**_row(chosen), "Output": parsed["output"]}, parsed["format"]))
        return 0
    if sys.stdout.isatty():
        raise UsageError("an archive is not for a terminal", hint="use --output, or redirect it")
    backups.export(chosen.name, sys.stdout.buffer.write)
    return 0
