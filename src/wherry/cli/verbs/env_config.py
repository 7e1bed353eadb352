"""`env config get|put|save|list|apply|delete`: what environments are given, as YAML, and configurations kept of it."""

from __future__ import annotations

from wherry.cli.deploying import (
    DRY_RUN,
    FORMAT,
    ONE_FORMAT,
    OPERATION,
    QUIET,
    carry_out,
    issue_where_wanted,
    parts,
    read_text,
)
from wherry.cli.flags import Command, Flag
from wherry.cli.group import dispatch
from wherry.cli.output import check_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Parsed
    from wherry.deploy.configurations import Configuration
    from wherry.deploy.parts import Parts

__all__ = ["run"]

_CHANGE = (DRY_RUN, *OPERATION, Flag("message", "str", "Why, for the history", short="m"))
_APP = Flag("app", "str", "Of this application, where no environment is named")


def run(argv: list[str]) -> int:
    """One of the words; `argv[0]` is `config`."""
    own = {
        "get": _get,
        "put": _put,
        "save": _save,
        "list": _list,
        "ls": _list,
        "apply": _apply,
        "delete": _delete,
        "rm": _delete,
    }
    return dispatch("env config", argv, {}, own)


def _get(argv: list[str]) -> int:
    flags = (
        Flag("all", "bool", "With every setting, what it means and its default"),
        Flag("saved", "str", "The saved configuration of this title"),
        ONE_FORMAT,
    )
    summary = "Print settings, variables and the names of secrets as YAML"
    parsed = Command("wherry env config get", "[OPTIONS] [ENVIRONMENT]", summary, flags, most=1).parse(argv)
    from wherry.base.errors import UsageError
    from wherry.deploy.configurations import Configuration, configuration_of, parse, render, render_all

    if not parsed.args and (parsed["saved"] or not parsed["all"]):
        raise UsageError("which environment?", hint="`wherry env list` lists them; --all alone tells what can be set")
    found = Configuration()
    if parsed.args:
        records = parts().records
        environment = records.environment(parsed.args[0])
        found = configuration_of(environment)
        if parsed["saved"]:
            found = parse(records.configuration(environment.application, parsed["saved"]), parsed["saved"])
    text = render_all(found) if parsed["all"] else render(found)
    if parsed["format"]:
        import yaml

        from wherry.cli.output import render_one

        print(render_one(yaml.safe_load(text), parsed["format"]))
    else:
        print(text, end="")
    return 0


def _put(argv: list[str]) -> int:
    summary = "Give an environment what a file says (- for standard input)"
    command = Command("wherry env config put", "[OPTIONS] ENVIRONMENT FILE", summary, _CHANGE, least=2, most=2)
    parsed = command.parse(argv)
    from wherry.deploy.configurations import parse

    path = parsed.args[1]
    return _change(parts(), parsed, parse(read_text(path), path if path != "-" else "the configuration"))


def _apply(argv: list[str]) -> int:
    summary = "Give an environment what a saved configuration says"
    command = Command("wherry env config apply", "[OPTIONS] ENVIRONMENT TITLE", summary, _CHANGE, least=2, most=2)
    parsed = command.parse(argv)
    from wherry.deploy.configurations import parse

    name, title = parsed.args
    given = parts()
    application = given.records.environment(name).application
    return _change(given, parsed, parse(given.records.configuration(application, title), title))


def _change(given: Parts, parsed: Parsed, wanted: Configuration) -> int:
    from wherry.deploy.configurations import changes

    name = parsed.args[0]
    found = changes(given.records.environment(name), wanted)
    code = carry_out(
        name,
        parsed,
        lambda facade: facade.configure(
            name,
            settings=found.settings,
            variables=found.variables,
            removed=found.removed,
            message=parsed["message"],
            dry_run=parsed["dry-run"],
        ),
        given=given,
    )
    return code if code or parsed["dry-run"] else issue_where_wanted(given, name, found.settings, parsed)


def _save(argv: list[str]) -> int:
    summary = "Keep what an environment is given, under a title of its application"
    flags = (Flag("force", "bool", "Also in place of a configuration of that title", short="f"), ONE_FORMAT)
    command = Command("wherry env config save", "[OPTIONS] ENVIRONMENT TITLE", summary, flags, least=2, most=2)
    parsed = command.parse(argv)
    from wherry.base.errors import Conflict
    from wherry.deploy.configurations import check_title, configuration_of, render

    check_format(parsed["format"])
    name, title = parsed.args
    records = parts().records
    environment = records.environment(name)
    application = environment.application
    if not parsed["force"] and title in dict(records.configurations(application)):
        raise Conflict(f"application {application} has a saved configuration {title}", hint="--force replaces it")
    records.save_configuration(application, check_title(title), render(configuration_of(environment)))
    _print_title(parsed, title, application)
    return 0


def _list(argv: list[str]) -> int:
    summary = "List saved configurations"
    usage = "[OPTIONS] [ENVIRONMENT]"
    parsed = Command("wherry env config list", usage, summary, (FORMAT, QUIET, _APP), most=1).parse(argv)
    from wherry.base.clock import rfc3339, system_clock
    from wherry.cli.output import ago, print_list

    records = parts().records
    wanted = _applications(parsed) or [one.name for one in records.applications()]
    rows = [
        {"Title": title, "Application": one, "Saved": rfc3339(saved), "SavedSince": ago(saved, system_clock())}
        for one in wanted
        for title, saved in records.configurations(one)
    ]
    columns = [("TITLE", "Title"), ("APPLICATION", "Application"), ("SAVED", "SavedSince")]
    print_list(rows, columns, "{{.Title}}" if parsed["quiet"] else parsed["format"])
    return 0


def _applications(parsed: Parsed) -> list[str]:
    """The one that is meant; none where nothing says which."""
    records = parts().records
    if parsed["app"]:
        return [records.application(parsed["app"]).name]
    return [records.environment(one).application for one in parsed.args[:1]]


def _delete(argv: list[str]) -> int:
    summary = "Forget a saved configuration"
    usage = "ENVIRONMENT TITLE | --app APPLICATION TITLE"
    flags = (_APP, ONE_FORMAT)
    parsed = Command("wherry env config delete", usage, summary, flags, least=1, most=2).parse(argv)
    from wherry.base.errors import UsageError

    if len(parsed.args) != (1 if parsed["app"] else 2):
        raise UsageError("which one?", hint=f"Usage: wherry env config delete {usage}")
    check_format(parsed["format"])
    title = parsed.args.pop()
    (application,) = _applications(parsed)
    parts().records.remove_configuration(application, title)
    _print_title(parsed, title, application)
    return 0


def _print_title(parsed: Parsed, title: str, application: str) -> None:
    if not parsed["format"]:
        print(title)
        return
    from wherry.cli.output import render_one

    print(render_one({"Title": title, "Application": application}, parsed["format"]))
