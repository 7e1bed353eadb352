"""`wherry serve`: the control loop and the console, who may use it, and what they did."""

from __future__ import annotations

import os
import sys

from wherry.cli.flags import Command, Flag
from wherry.cli.group import dispatch
from wherry.cli.output import print_list
from wherry.cli.passwords import PASSWORD, read_password

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.base.paths import Layout
    from wherry.base.progress import Event
    from wherry.serve.people import People
    from wherry.serve.server import Listening

__all__ = ["run"]

_FORMAT = Flag("format", "str", "table, json, or a Go template")
_ROLE = Flag("role", "str", "viewer, operator or admin")


def run(argv: list[str]) -> int:
    """Serve, or one of the words."""
    words = {"audit": _audit, "user": _user}
    if argv[1:] and argv[1] in words:
        return words[argv[1]](argv[1:])
    return _serve(argv[1:])


def _layout() -> Layout:
    from wherry.base.paths import Layout

    return Layout.from_environment(os.environ, os.geteuid())


def _people(layout: Layout) -> People:
    from wherry.base.clock import system_clock
    from wherry.serve.people import People
    from wherry.store.database import Database

    return People(Database(layout.database), system_clock)


# --- serving


def _serve(argv: list[str]) -> int:
    flags = (
        Flag("listen", "str", "Address and port of the console", default="127.0.0.1:8080"),
        Flag("period", "str", "Seconds between two turns of the control loop", default="5"),
        Flag("tls-cert", "str", "Certificate chain (PEM)"),
        Flag("tls-key", "str", "The certificate's key (PEM)"),
    )
    summary = "Keep environments as they are to be, and show them, until stopped.\n\nAlso: serve user, serve audit"
    parsed = Command("wherry serve", "[OPTIONS]", summary, flags, most=0).parse(argv)
    listening = _listening(parsed["listen"], parsed["tls-cert"], parsed["tls-key"])
    period = _period(parsed["period"])
    from wherry.deploy.control import Control
    from wherry.deploy.parts import open_parts
    from wherry.serve.server import Serving, serve
    from wherry.serve.showing import Showing

    layout = _layout()
    people, parts = _people(layout), open_parts(layout)
    views = Showing(parts)
    control = Control(parts, progress=_complain)

    def ready(address: str) -> None:
        print(f"The console is at {address}", flush=True)
        if not people.all():
            hint = "`wherry serve user add NAME --role admin` adds somebody"
            print(f"Nobody can log in yet: {hint}", flush=True)

    serving = Serving(views, people, control.turn, period, ready)
    serve(layout, listening, serving)
    control.close()  # what is still under way is in the journal
    return 0


def _complain(event: Event) -> None:
    """What went wrong with one environment, while the others are looked after."""
    from wherry.base.progress import Warned

    if isinstance(event, Warned):
        print(event.message, file=sys.stderr, flush=True)


def _listening(address: str, certificate: str, key: str) -> Listening:
    from wherry.base.errors import InvalidInput, UsageError
    from wherry.registry.configuration import split_address
    from wherry.serve.server import Listening

    if bool(certificate) != bool(key):
        raise UsageError("--tls-cert and --tls-key go together")
    for path in (certificate, key):
        if path and not os.access(path, os.R_OK):
            raise InvalidInput(f"cannot read {path}", hint="--tls-cert and --tls-key name PEM files")
    host, port = split_address(address)
    return Listening(host, port, certificate, key)


def _period(text: str) -> float:
    from wherry.base.errors import UsageError

    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 3600:
        raise UsageError(f"invalid --period: {text}", hint="give seconds between 0.1 and 3600")
    return seconds


# --- people


def _user(argv: list[str]) -> int:
    words = {"add": _add, "ls": _list, "passwd": _password, "rm": _remove, "role": _role}
    return dispatch("serve user", argv, {}, words)


def _add(argv: list[str]) -> int:
    flags = (PASSWORD, Flag("role", "str", _ROLE.help, default="viewer"))
    summary = "Let somebody use the console"
    parsed = Command("wherry serve user add", "[OPTIONS] NAME", summary, flags, least=1, most=1).parse(argv)
    people = _people(_layout())
    people.check(parsed.args[0], parsed["role"])
    people.add(parsed.args[0], read_password(parsed), parsed["role"])
    print(parsed.args[0])
    return 0


def _list(argv: list[str]) -> int:
    parsed = Command("wherry serve user ls", "[OPTIONS]", "List who may use the console", (_FORMAT,), most=0).parse(
        argv
    )
    from wherry.base.clock import rfc3339

    rows = [{"Name": one.name, "Role": one.role, "Created": rfc3339(one.created)} for one in _people(_layout()).all()]
    print_list(rows, [("NAME", "Name"), ("ROLE", "Role"), ("CREATED", "Created")], parsed["format"])
    return 0


def _password(argv: list[str]) -> int:
    summary = "Change a password, which ends the user's sessions"
    command = Command("wherry serve user passwd", "[OPTIONS] NAME", summary, (PASSWORD,), least=1, most=1)
    parsed = command.parse(argv)
    people = _people(_layout())
    people.get(parsed.args[0])
    people.change(parsed.args[0], password=read_password(parsed))
    return 0


def _role(argv: list[str]) -> int:
    summary = "Change a role (viewer, operator, admin), which ends the user's sessions"
    parsed = Command("wherry serve user role", "NAME ROLE", summary, (), least=2, most=2).parse(argv)
    _people(_layout()).change(parsed.args[0], role=parsed.args[1])
    return 0


def _remove(argv: list[str]) -> int:
    from wherry.cli.context import each

    parsed = Command("wherry serve user rm", "NAME [NAME...]", "Remove users", (), least=1).parse(argv)
    return each(parsed.args, _people(_layout()).remove)


# --- what they did


def _audit(argv: list[str]) -> int:
    flags = (_FORMAT, Flag("limit", "int", "How many entries, the newest first", short="n", default=200))
    parsed = Command("wherry serve audit", "[OPTIONS]", "Show who did what in the console", flags, most=0).parse(
        argv[1:]
    )
    from wherry.base.clock import rfc3339

    rows = [
        {
            "Time": rfc3339(one.time),
            "Who": one.person,
            "From": one.client,
            "Action": one.action,
            "Subject": one.subject,
            "Result": one.result,
        }
        for one in _people(_layout()).entries(max(0, parsed["limit"]))
    ]
    columns = [(name.upper(), name) for name in ("Time", "Who", "From", "Action", "Subject", "Result")]
    print_list(rows, columns, parsed["format"])
    return 0
