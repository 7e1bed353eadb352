"""The words of `env` that change an environment which there is."""

from __future__ import annotations

import sys

from wherry.cli.deploying import (
    DRY_RUN,
    ONE_FORMAT,
    OPERATION,
    VALUE_FLAGS,
    carry_out,
    issue_where_wanted,
    opened,
    pairs,
    parts,
    read_secrets,
    remark,
)
from wherry.cli.flags import Command, Flag
from wherry.cli.output import check_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Parsed
    from wherry.deploy.journal import Operation
    from wherry.deploy.parts import Parts

__all__ = ["run"]

_MESSAGE = Flag("message", "str", "Why, for the history", short="m")


def run(argv: list[str]) -> int:
    """One of them."""
    return _WORDS[argv[0]](argv)


def _parse(argv: list[str], usage: str, summary: str, *flags: Flag, least: int = 1, most: int | None = 1) -> Parsed:
    parsed = Command(f"wherry env {argv[0]}", usage, summary, flags, least=least, most=most).parse(argv[1:])
    check_format(parsed["format"])
    return parsed


def _set(argv: list[str]) -> int:
    flags = (DRY_RUN, _MESSAGE, *OPERATION, *VALUE_FLAGS)
    summary = "Change settings (NAME=VALUE), and with --env and --secret what the current version is given"
    parsed = _parse(argv, "[OPTIONS] ENVIRONMENT [SETTING=VALUE...]", summary, *flags, most=None)
    from wherry.base.errors import NotFound, UsageError
    from wherry.deploy.settings import parse_assignments

    name = parsed.args[0]
    try:
        settings = parse_assignments(parsed.args[1:])
    except NotFound as error:
        hint = f"{error.hint}; a variable of the services is given with --env NAME=VALUE"
        raise NotFound(error.message, hint=hint) from None
    variables = pairs(parsed["env"], "a variable")
    secrets = read_secrets(parsed["secret"], parsed["secret-file"])
    if not (settings or variables or secrets):
        raise UsageError("nothing to set", hint="See 'wherry env set --help'.")
    given = parts()
    code = carry_out(
        name,
        parsed,
        lambda facade: facade.configure(
            name,
            settings=settings,
            variables=variables,
            secrets=secrets,
            message=parsed["message"],
            dry_run=parsed["dry-run"],
        ),
        given=given,
    )
    return code if code or parsed["dry-run"] else issue_where_wanted(given, name, settings, parsed)


def _unset(argv: list[str]) -> int:
    flags = (*(DRY_RUN, _MESSAGE, *OPERATION), Flag("env", "list", "Remove this variable or secret", short="e"))
    summary = "Take settings back to their defaults, and with --env remove variables and secrets"
    parsed = _parse(argv, "[OPTIONS] ENVIRONMENT [SETTING...]", summary, *flags, most=None)
    from wherry.base.errors import UsageError
    from wherry.deploy.settings import setting_named

    name, removed = parsed.args[0], parsed["env"]
    settings = {setting_named(one).name: "" for one in parsed.args[1:]}
    if not (settings or removed):
        raise UsageError("nothing to unset", hint="See 'wherry env unset --help'.")
    return carry_out(
        name,
        parsed,
        lambda facade: facade.configure(
            name, settings=settings, removed=removed, message=parsed["message"], dry_run=parsed["dry-run"]
        ),
    )


def _scale(argv: list[str]) -> int:
    summary = "Have so many instances"
    parsed = _parse(argv, "[OPTIONS] ENVIRONMENT COUNT", summary, DRY_RUN, *OPERATION, least=2, most=2)
    from wherry.base.errors import InvalidInput

    name, count = parsed.args
    if not (count.isascii() and count.isdigit()):
        raise InvalidInput(f"{count} is no count of instances")
    return carry_out(
        name,
        parsed,
        lambda facade: facade.scale(name, int(count), dry_run=parsed["dry-run"]),
    )


def _restart(argv: list[str]) -> int:
    summary = "Restart all instances in place, a batch after the other"
    parsed = _parse(argv, "[OPTIONS] ENVIRONMENT", summary, DRY_RUN, *OPERATION)
    name, dry = parsed.args[0], parsed["dry-run"]
    return carry_out(name, parsed, lambda facade: facade.restart(name, dry_run=dry))


def _rebuild(argv: list[str]) -> int:
    yes = Flag("yes", "bool", "Do not ask", short="y")
    summary = "Make everything anew, accessories included; volumes stay, and nothing answers meanwhile"
    parsed = _parse(argv, "[OPTIONS] ENVIRONMENT", summary, DRY_RUN, *OPERATION, yes)
    name, dry = parsed.args[0], parsed["dry-run"]
    if not dry and not _agreed(parsed, f"Nothing of {name} will answer until it is rebuilt."):
        return 1
    return carry_out(name, parsed, lambda facade: facade.rebuild(name, dry_run=dry))


def _rollback(argv: list[str]) -> int:
    to = Flag("to", "int", "Number of the deployment to go back to (default: what ran before)")
    parsed = _parse(argv, "[OPTIONS] ENVIRONMENT", "Go back to what ran before", DRY_RUN, _MESSAGE, *OPERATION, to)
    name = parsed.args[0]
    return carry_out(
        name,
        parsed,
        lambda facade: facade.rollback(name, to=parsed["to"], message=parsed["message"], dry_run=parsed["dry-run"]),
    )


def _swap(argv: list[str]) -> int:
    summary = "Let two environments exchange their hosts in one moment"
    parsed = _parse(argv, "[OPTIONS] ENVIRONMENT OTHER", summary, DRY_RUN, *OPERATION, least=2, most=2)
    one, other = parsed.args
    dry = parsed["dry-run"]
    return carry_out(one, parsed, lambda facade: facade.swap(one, other, dry_run=dry))


def _clone(argv: list[str]) -> int:
    flags = (
        *(DRY_RUN, *OPERATION),
        Flag("host", "str", "Host name (default: NEW.localhost)"),
        Flag("version", "str", "Version (default: the one that runs)"),
    )
    summary = "Make an environment with another one's settings, variables, secrets and version"
    parsed = _parse(argv, "[OPTIONS] ENVIRONMENT NEW", summary, *flags, least=2, most=2)
    name, new = parsed.args
    return carry_out(
        new,
        parsed,
        lambda facade: facade.clone(
            name, new, host=parsed["host"], version=parsed["version"], dry_run=parsed["dry-run"]
        ),
    )


def _terminate(argv: list[str]) -> int:
    flags = (
        *(DRY_RUN, *OPERATION),
        Flag("purge", "bool", "Forget its history, logs and backups too"),
        Flag("volumes", "bool", "Remove its volumes too"),
        Flag("yes", "bool", "Do not ask", short="y"),
    )
    parsed = _parse(argv, "[OPTIONS] ENVIRONMENT", "Take an environment away, but its history", *flags)
    name, dry = parsed.args[0], parsed["dry-run"]
    given = parts()
    gone = given.records.environment(name).terminated
    extra = [word for word in ("volumes", "purge") if parsed[word]]
    warning = f"This will take {name} away{' with its ' + ' and '.join(extra) if extra else ''}."
    if not dry and not _agreed(parsed, warning.replace("purge", "history, logs and backups")):
        return 1
    if not (gone and parsed["purge"]):
        code = carry_out(
            name,
            parsed,
            lambda facade: facade.terminate(name, volumes=parsed["volumes"], dry_run=dry),
            given=given,
        )
        if code or dry:
            return code
    if dry:
        remark(parsed, f"{name} would be forgotten")
    elif parsed["purge"]:
        from wherry.base.progress import nobody

        opened(given, nobody).purge(name)
        remark(parsed, f"{name} is forgotten")
    return 0


def _agreed(parsed: Parsed, warning: str) -> bool:
    """Whether the user wants it. Raises UsageError where nobody can be asked and --yes is missing."""
    from wherry.base.errors import UsageError
    from wherry.cli.group import confirm

    if parsed["yes"]:
        return True
    if not sys.stdin.isatty():
        raise UsageError(f"{warning} There is no terminal to ask on", hint="say so with --yes")
    return confirm(warning)


def _restore(argv: list[str]) -> int:
    parsed = _parse(argv, "[OPTIONS] ENVIRONMENT", "Bring a terminated environment back", *OPERATION)
    return carry_out(parsed.args[0], parsed, lambda facade: facade.restore(parsed.args[0]))


def _abort(argv: list[str]) -> int:
    parsed = _parse(argv, "[OPTIONS] ENVIRONMENT", "End what is under way, and take it back", ONE_FORMAT)
    from wherry.cli.progress import choose

    name, given = parsed.args[0], parts()
    operation = opened(given, choose("auto", sys.stderr)).abort(name)
    if parsed["format"]:
        _print_operation(name, operation, given, parsed["format"])
    elif operation is None:
        print(f"{name}: nothing is under way")
    elif operation.ended:
        print(f"{name}: the {operation.kind} is {operation.state}")
    else:
        print(f"{name}: whoever carries out the {operation.kind} takes it back now")
    return 0


def _print_operation(name: str, operation: Operation | None, given: Parts, format: str) -> None:
    """It, or where there is none its name and nothing more."""
    from wherry.cli.outcomes import outcome_figures
    from wherry.cli.output import render_one
    from wherry.deploy.environments import Outcome

    outcome = Outcome(name, (), operation)
    print(render_one(outcome_figures(outcome, given.records.history, given.records.journal), format))


def _recover(argv: list[str]) -> int:
    summary = "Start what stands still, and end or take back what was cut off"
    parsed = _parse(argv, "[OPTIONS] ENVIRONMENT", summary, ONE_FORMAT)
    from wherry.cli.progress import choose

    name = parsed.args[0]
    said = opened(parts(), choose("auto", sys.stderr)).revive(name)
    if parsed["format"]:
        from wherry.cli.output import render_one

        print(render_one({"Environment": name, "Done": said}, parsed["format"]))
        return 0
    print("\n".join(said) or f"{name}: nothing stands still, and nothing was cut off")
    return 0


_WORDS = {
    "abort": _abort,
    "clone": _clone,
    "rebuild": _rebuild,
    "recover": _recover,
    "restart": _restart,
    "restore": _restore,
    "rollback": _rollback,
    "scale": _scale,
    "set": _set,
    "swap": _swap,
    "terminate": _terminate,
    "unset": _unset,
}
