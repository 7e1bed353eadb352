"""`app list|versions|delete`: applications and their versions."""

from __future__ import annotations

from wherry.base.clock import rfc3339
from wherry.cli.deploying import FORMAT, parts
from wherry.cli.flags import Command
from wherry.cli.group import dispatch
from wherry.cli.output import print_list

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.deploy.applications import Applications

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """One of the words."""
    own = {"list": _list, "ls": _list, "versions": _versions, "delete": _delete, "rm": _delete}
    return dispatch("app", argv, {}, own)


def _applications() -> Applications:
    from wherry.deploy.applications import Applications

    return Applications(parts())


def _list(argv: list[str]) -> int:
    parsed = Command("wherry app list", "[OPTIONS]", "List applications", (FORMAT,), most=0).parse(argv)
    rows = [{"Name": one.name, "Created": rfc3339(one.created)} for one in _applications().all()]
    print_list(rows, [("NAME", "Name"), ("CREATED", "Created")], parsed["format"])
    return 0


def _versions(argv: list[str]) -> int:
    summary = "List an application's versions, the newest first"
    parsed = Command("wherry app versions", "[OPTIONS] APPLICATION", summary, (FORMAT,), least=1, most=1).parse(argv)
    rows = [
        {"Label": one.label, "Created": rfc3339(one.created), "Source": one.source[:12], "Message": one.message}
        for one in _applications().versions(parsed.args[0])
    ]
    columns = [("LABEL", "Label"), ("CREATED", "Created"), ("SOURCE", "Source"), ("MESSAGE", "Message")]
    print_list(rows, columns, parsed["format"])
    return 0


def _delete(argv: list[str]) -> int:
    summary = "Forget an application, or one of its versions"
    parsed = Command("wherry app delete", "APPLICATION[:VERSION]", summary, (), least=1, most=1).parse(argv)
    application, _, label = parsed.args[0].partition(":")
    if label:
        _applications().remove_version(application, label)
    else:
        _applications().remove(application)
    print(parsed.args[0])
    return 0
