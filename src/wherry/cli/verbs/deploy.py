"""`deploy`: a new version of the project here, or one that was made before, into an environment."""

from __future__ import annotations

from wherry.cli.deploying import (
    DRY_RUN,
    MAKING,
    OPERATION,
    PROJECT_FLAGS,
    carry_out,
    draft_version,
    make_version,
    only_environment,
    opened,
    parts,
    project_application,
)
from wherry.cli.flags import Command, Flag
from wherry.cli.output import check_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Parsed
    from wherry.deploy.environments import Outcome
    from wherry.deploy.parts import Parts

__all__ = ["run"]

_FLAGS = (
    *PROJECT_FLAGS,
    DRY_RUN,
    Flag("app", "str", "Application, where no environment is named (default: the project's name)"),
    Flag("batch", "str", "How many instances a rolling deployment replaces at once, this time (2, or 30%)"),
    *OPERATION,
    Flag("force", "bool", "Deploy anew what runs already"),
    Flag("policy", "str", "How the version replaces the other, this time"),
    Flag("replace-accessories", "bool", "Replace accessories whose definition has changed"),
    Flag("version", "str", "Deploy this version instead of making one"),
)


def run(argv: list[str]) -> int:
    """Make the version, deploy it."""
    parsed = Command("wherry deploy", "[OPTIONS] [ENVIRONMENT]", _SUMMARY, _FLAGS, most=1).parse(argv[1:])
    from wherry.base.errors import InvalidInput

    check_format(parsed["format"])
    if parsed["version"] and parsed.given & MAKING:
        raise InvalidInput(f"--version deploys what was made before; --{min(parsed.given & MAKING)} is for a new one")
    from wherry.deploy.settings import check_settings

    check_settings({name: parsed[name] for name in ("policy", "batch") if name in parsed.given})
    return _deploy(parts(), parsed)


_SUMMARY = "Make a version from the project here, and let it replace what an environment runs"


def _deploy(given: Parts, parsed: Parsed) -> int:
    from wherry.base.errors import Conflict, NotFound
    from wherry.base.progress import nobody

    environments = opened(given, nobody)
    name = (
        parsed.args[0] if parsed.args else only_environment(environments, parsed["app"] or project_application(parsed))
    )
    try:
        environment = environments.get(name)
    except NotFound as error:
        raise NotFound(error.message, hint=error.hint or f"`wherry env create {name}` makes it") from None
    if environment.terminated:
        raise Conflict(f"environment {name} is terminated", hint=f"`wherry env restore {name}` brings it back")
    make = draft_version if parsed["dry-run"] else make_version
    version = parsed["version"] or make(given, environment.application, parsed)
    return carry_out(
        name,
        parsed,
        lambda facade: _hinted(
            facade.deploy(
                name,
                version,
                policy=parsed["policy"],
                batch=parsed["batch"],
                message=parsed["message"],
                replace_accessories=parsed["replace-accessories"],
                anew=parsed["force"] or bool(parsed["version"]),
                dry_run=parsed["dry-run"],
            )
        ),
        given=given,
    )


def _hinted(outcome: Outcome) -> Outcome:
    """Where nothing had to be done, with what does it all the same."""
    if not outcome.said or outcome.operation is not None:
        return outcome
    return outcome._replace(said=f"{outcome.said} `wherry deploy --force {outcome.environment}` deploys it anew.")
