"""`env create`: a version from the project here (or one made before), and an environment that runs it."""

from __future__ import annotations

from wherry.cli.deploying import (
    DRY_RUN,
    MAKING,
    OPERATION,
    PROJECT_FLAGS,
    VALUE_FLAGS,
    carry_out,
    draft_version,
    issue_where_wanted,
    make_version,
    pairs,
    parts,
    project_application,
    read_secrets,
)
from wherry.cli.flags import Command, Flag
from wherry.cli.output import check_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from wherry.deploy.parts import Parts
    from wherry.deploy.target import Secret

__all__ = ["run"]

_FLAGS = (
    *PROJECT_FLAGS,
    *VALUE_FLAGS,
    *(DRY_RUN, *OPERATION),
    Flag("app", "str", "Application (default: the project's name)"),
    Flag("config", "str", "Begin with the saved configuration of this title"),
    Flag("from", "str", "Run this version instead of making one"),
    Flag("host", "str", "Host name (default: NAME.localhost)"),
    Flag("max", "str", "Most instances"),
    Flag("min", "str", "Fewest instances"),
    Flag("policy", "str", "How versions replace each other"),
    Flag("set", "list", "Setting (NAME=VALUE)"),
)


def run(argv: list[str]) -> int:
    """Make it."""
    summary = "Make an environment that runs the project here"
    parsed = Command("wherry env create", "[OPTIONS] NAME", summary, _FLAGS, least=1, most=1).parse(argv[1:])
    from wherry.base.errors import InvalidInput
    from wherry.deploy.intents import check_given
    from wherry.deploy.model import check_name
    from wherry.deploy.settings import parse_assignments

    check_format(parsed["format"])
    name = check_name("environment", parsed.args[0])
    if parsed["from"] and parsed.given & MAKING:
        raise InvalidInput(f"--from takes what was made before; --{min(parsed.given & MAKING)} is for a new version")
    short = [f"{key}={parsed[key]}" for key in ("policy", "min", "max") if key in parsed.given]
    settings = parse_assignments([*parsed["set"], *short])
    variables, secrets = pairs(parsed["env"], "a variable"), read_secrets(parsed["secret"], parsed["secret-file"])
    check_given(variables, {one.name: one.file for one in secrets})
    application, given = check_name("application", parsed["app"] or project_application(parsed)), parts()
    given.records.check_free(name)
    given.records.check_host(parsed["host"].lower() or f"{name}.localhost")
    if parsed["config"]:
        settings, variables = _begin_with(given, application, parsed["config"], settings, variables, secrets)
    make = draft_version if parsed["dry-run"] else make_version
    version = parsed["from"] or make(given, application, parsed)
    code = carry_out(
        name,
        parsed,
        lambda facade: facade.create(
            name,
            application,
            version,
            host=parsed["host"],
            settings=settings,
            variables=variables,
            secrets=secrets,
            message=parsed["message"],
            dry_run=parsed["dry-run"],
        ),
        given=given,
    )
    return code if code or parsed["dry-run"] else issue_where_wanted(given, name, settings, parsed)


def _begin_with(
    given: Parts,
    application: str,
    title: str,
    settings: dict[str, str],
    variables: dict[str, str],
    secrets: Iterable[Secret],
) -> tuple[dict[str, str], dict[str, str]]:
    """Settings and variables over those of a saved configuration. Raises InvalidInput where a secret of it is missing.

    Raises NotFound where there is no such configuration.
    """
    from wherry.base.errors import InvalidInput
    from wherry.deploy.configurations import parse

    saved = parse(given.records.configuration(application, title), title)
    held = {one.name: one.file for one in secrets}
    for name, file in (saved.secrets or {}).items():
        if held.get(name) != file:
            flag = "--secret-file" if file else "--secret"
            raise InvalidInput(f"{title} needs the secret {name}", hint=f"give it: {flag} {name}=FILE")
    return {**(saved.settings or {}), **settings}, {**(saved.variables or {}), **variables}
