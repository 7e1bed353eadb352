"""`app list|versions|delete`: applications and their versions."""

from __future__ import annotations

from wherry.base.clock import rfc3339, system_clock
from wherry.cli.deploying import FORMAT, OPERATION, QUIET, carry_out, parts
from wherry.cli.flags import Command, Flag, Misuse
from wherry.cli.group import dispatch
from wherry.cli.output import ago, check_format, print_list, render_one

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Parsed
    from wherry.deploy.applications import Applications
    from wherry.deploy.parts import Parts

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """One of the words."""
    own = {"list": _list, "ls": _list, "versions": _versions, "delete": _delete, "rm": _delete}
    return dispatch("app", argv, {}, own)


def _applications() -> Applications:
    from wherry.deploy.applications import Applications

    return Applications(parts())


def _list(argv: list[str]) -> int:
    parsed = Command("wherry app list", "[OPTIONS]", "List applications", (FORMAT, QUIET), most=0).parse(argv)
    rows = [{"Name": one.name, **_created(one.created)} for one in _applications().all()]
    columns = [("NAME", "Name"), ("CREATED", "CreatedSince")]
    print_list(rows, columns, "{{.Name}}" if parsed["quiet"] else parsed["format"])
    return 0


def _created(time: int) -> dict[str, str]:
    return {"Created": rfc3339(time), "CreatedSince": ago(time, system_clock())}


def _versions(argv: list[str]) -> int:
    summary = "List an application's versions, the newest first"
    parsed = Command("wherry app versions", "[OPTIONS] APPLICATION", summary, (FORMAT, QUIET), least=1, most=1).parse(
        argv
    )
    rows = [
        {"Label": one.label, **_created(one.created), "Source": one.source[:12], "Message": one.message}
        for one in _applications().versions(parsed.args[0])
    ]
    columns = [("LABEL", "Label"), ("CREATED", "CreatedSince"), ("SOURCE", "Source"), ("MESSAGE", "Message")]
    print_list(rows, columns, "{{.Label}}" if parsed["quiet"] else parsed["format"])
    return 0


def _delete(argv: list[str]) -> int:
    summary = "Forget an application, or one of its versions"
    flags = (
        Flag("force", "bool", "Terminate the application's environments first", short="f"),
        Flag("volumes", "bool", "With --force, remove their volumes too"),
        *OPERATION,
    )
    usage = "[OPTIONS] APPLICATION[:VERSION]"
    parsed = Command("wherry app delete", usage, summary, flags, least=1, most=1).parse(argv)
    check_format(parsed["format"])
    application, colon, label = parsed.args[0].partition(":")
    if not application:
        raise Misuse("which application? It is written APPLICATION:VERSION")
    if colon and not label:
        raise Misuse(f"which version? All of {application} goes where no colon follows it")
    if label:
        _applications().remove_version(application, label)
    elif code := _terminate(application, parsed) if parsed["force"] else 0:
        return code
    else:
        _applications().remove(application)
    gone = {"Application": application, "Version": label}
    print(render_one(gone, parsed["format"]) if parsed["format"] else parsed.args[0])
    return 0


def _terminate(application: str, parsed: Parsed) -> int:
    """Take all its environments away, one after another; the exit code."""
    given = parts()
    given.records.application(application)
    for one in given.records.environments(application):
        if code := _end(given, one.name, parsed):
            return code
    return 0


def _end(given: Parts, name: str, parsed: Parsed) -> int:
    return carry_out(name, parsed, lambda facade: facade.terminate(name, volumes=parsed["volumes"]), given=given)
