"""`registry user|token|policy`."""

from __future__ import annotations

from wherry.cli.context import each
from wherry.cli.flags import Command, Flag
from wherry.cli.group import dispatch
from wherry.cli.output import print_list
from wherry.cli.passwords import PASSWORD, read_password
from wherry.cli.verbs.registry import DATA_FLAGS, opened

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Parsed
    from wherry.registry.service import Service

__all__ = ["run"]

_FORMAT = Flag("format", "str", "table, json, or a Go template")
_GRANT = Flag("grant", "list", "What it may do: PATTERN=pull,push,delete,admin")


def run(argv: list[str]) -> int:
    """One of the words' words."""
    words = {
        "user": {"add": _add_user, "import": _import, "ls": _list_users, "passwd": _password, "rm": _remove_users},
        "token": {"create": _create_token, "ls": _list_tokens, "rm": _remove_tokens},
        "policy": {"grant": _grant, "ls": _list_grants, "revoke": _revoke},
    }
    return dispatch(f"registry {argv[0]}", argv, {}, words[argv[0]])


def _add_user(argv: list[str]) -> int:
    flags = (*DATA_FLAGS, _GRANT, PASSWORD)
    parsed = Command("wherry registry user add", "[OPTIONS] NAME", "Add a user", flags, least=1, most=1).parse(argv)
    grants = _parse_grants(parsed)
    service = opened(parsed)
    service.accounts.add_user(parsed.args[0], read_password(parsed), service.clock())
    _give(service, parsed.args[0], grants)
    print(parsed.args[0])
    return 0


def _password(argv: list[str]) -> int:
    flags = (*DATA_FLAGS, PASSWORD)
    command = Command("wherry registry user passwd", "[OPTIONS] NAME", "Change a password", flags, least=1, most=1)
    parsed = command.parse(argv)
    opened(parsed).accounts.set_password(parsed.args[0], read_password(parsed))
    return 0


def _import(argv: list[str]) -> int:
    summary = "Take the users of an htpasswd file (bcrypt)"
    parsed = Command("wherry registry user import", "[OPTIONS] FILE", summary, DATA_FLAGS, least=1, most=1).parse(argv)
    from wherry.base.errors import InvalidInput

    entries = []
    with open(parsed.args[0], encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            name, colon, value = text.partition(":")
            if not colon:
                raise InvalidInput(f"{parsed.args[0]}, line {number}: not NAME:HASH")
            entries.append((name, value))
    service = opened(parsed)
    print(f"{service.accounts.import_users(entries, service.clock())} users")
    return 0


def _list_users(argv: list[str]) -> int:
    parsed = Command("wherry registry user ls", "[OPTIONS]", "List users", (*DATA_FLAGS, _FORMAT), most=0).parse(argv)
    from wherry.base.clock import rfc3339

    service = opened(parsed)
    rows = [{"Name": name, "Created": rfc3339(created)} for name, created in service.accounts.users()]
    print_list(rows, [("NAME", "Name"), ("CREATED", "Created")], parsed["format"])
    return 0


def _remove_users(argv: list[str]) -> int:
    usage = "[OPTIONS] NAME [NAME...]"
    parsed = Command("wherry registry user rm", usage, "Remove users and their grants", DATA_FLAGS, least=1).parse(argv)
    service = opened(parsed)
    return each(parsed.args, service.accounts.remove_user)


def _create_token(argv: list[str]) -> int:
    flags = (*DATA_FLAGS, _GRANT, Flag("expires", "str", "Until when it holds, from now (90d, 12h); 0 for always"))
    usage = "[OPTIONS] NAME"
    parsed = Command("wherry registry token create", usage, "Make a robot's token", flags, least=1, most=1).parse(argv)
    from wherry.registry.configuration import parse_span

    grants = _parse_grants(parsed)
    service = opened(parsed)
    now = service.clock()
    span = parse_span(parsed["expires"] or 0) * 1_000_000_000
    print(service.accounts.create_robot(parsed.args[0], now + span if span else 0, now))
    _give(service, parsed.args[0], grants)
    return 0


def _list_tokens(argv: list[str]) -> int:
    parsed = Command("wherry registry token ls", "[OPTIONS]", "List tokens", (*DATA_FLAGS, _FORMAT), most=0).parse(argv)
    from wherry.base.clock import rfc3339

    rows = [
        {
            "Name": robot.name,
            "Created": rfc3339(robot.created),
            "Expires": rfc3339(robot.expires) if robot.expires else "never",
        }
        for robot in opened(parsed).accounts.robots()
    ]
    print_list(rows, [("NAME", "Name"), ("CREATED", "Created"), ("EXPIRES", "Expires")], parsed["format"])
    return 0


def _remove_tokens(argv: list[str]) -> int:
    usage = "[OPTIONS] NAME [NAME...]"
    parsed = Command("wherry registry token rm", usage, "Revoke tokens", DATA_FLAGS, least=1).parse(argv)
    service = opened(parsed)
    return each(parsed.args, service.accounts.remove_robot)


def _grant(argv: list[str]) -> int:
    usage = "[OPTIONS] USER|TOKEN|anonymous|'*' PATTERN ACTIONS"
    summary = "Let somebody do something with the repositories that a pattern fits"
    parsed = Command("wherry registry policy grant", usage, summary, DATA_FLAGS, least=3, most=3).parse(argv)
    from wherry.registry.accounts import parse_actions

    subject, pattern, actions = parsed.args
    opened(parsed).accounts.grant(subject, pattern, parse_actions(actions))
    return 0


def _revoke(argv: list[str]) -> int:
    usage = "[OPTIONS] USER|TOKEN|anonymous|'*' PATTERN"
    parsed = Command("wherry registry policy revoke", usage, "Take a grant back", DATA_FLAGS, least=2, most=2).parse(
        argv
    )
    opened(parsed).accounts.revoke(*parsed.args)
    return 0


def _list_grants(argv: list[str]) -> int:
    flags = (*DATA_FLAGS, _FORMAT)
    parsed = Command("wherry registry policy ls", "[OPTIONS]", "List who may do what", flags, most=0).parse(argv)
    rows = [
        {"Subject": grant.subject, "Pattern": grant.pattern, "Actions": ",".join(grant.actions)}
        for grant in opened(parsed).accounts.grants()
    ]
    print_list(rows, [("SUBJECT", "Subject"), ("PATTERN", "Pattern"), ("ACTIONS", "Actions")], parsed["format"])
    return 0


def _parse_grants(parsed: Parsed) -> list[tuple[str, tuple[str, ...]]]:
    from wherry.base.errors import InvalidInput
    from wherry.registry.accounts import check_pattern, parse_actions

    found = []
    for text in parsed["grant"]:
        pattern, equals, actions = text.partition("=")
        if not equals:
            raise InvalidInput(f"invalid --grant: {text!r}", hint="write PATTERN=pull,push")
        found.append((check_pattern(pattern), parse_actions(actions)))
    return found


def _give(service: Service, name: str, grants: list[tuple[str, tuple[str, ...]]]) -> None:
    for pattern, actions in grants:
        service.accounts.grant(name, pattern, actions)
