"""`deploy`: a new version of the project here, or one that was made before, into an environment."""

from __future__ import annotations

from wherry.cli.deploying import (
    DRY_RUN,
    MAKING,
    NO_WAIT,
    PROJECT_FLAGS,
    carry_out,
    make_version,
    only_environment,
    opened,
    parts,
)
from wherry.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Parsed
    from wherry.deploy.parts import Parts

__all__ = ["run"]

_FLAGS = (
    *PROJECT_FLAGS,
    DRY_RUN,
    Flag("app", "str", "Application, where no environment is named (default: the project's name)"),
    Flag("batch", "str", "How many instances a rolling deployment replaces at once, this time (2, or 30%)"),
    NO_WAIT,
    Flag("policy", "str", "How the version replaces the other, this time"),
    Flag("replace-accessories", "bool", "Replace accessories whose definition has changed"),
    Flag("version", "str", "Deploy this version instead of making one"),
)


def run(argv: list[str]) -> int:
    """Make the version, deploy it."""
    parsed = Command("wherry deploy", "[OPTIONS] [ENVIRONMENT]", _SUMMARY, _FLAGS, most=1).parse(argv[1:])
    from wherry.base.errors import InvalidInput

    if parsed["version"] and parsed.given & MAKING:
        raise InvalidInput(f"--version deploys what was made before; --{min(parsed.given & MAKING)} is for a new one")
    if parsed["dry-run"] and not parsed["version"]:
        raise InvalidInput("--dry-run makes no version", hint="name one: `wherry app versions` lists them")
    return _deploy(parts(), parsed)


_SUMMARY = "Make a version from the project here, and let it replace what an environment runs"


def _deploy(given: Parts, parsed: Parsed) -> int:
    from wherry.base.errors import Conflict, NotFound
    from wherry.base.progress import nobody

    environments = opened(given, nobody)
    name = parsed.args[0] if parsed.args else only_environment(environments, parsed["app"] or _project_name(parsed))
    try:
        environment = environments.get(name)
    except NotFound as error:
        raise NotFound(error.message, hint=error.hint or f"`wherry env create {name}` makes it") from None
    if environment.terminated:
        raise Conflict(f"environment {name} is terminated", hint=f"`wherry env restore {name}` brings it back")
    version = parsed["version"] or make_version(given, environment.application, parsed)
    return carry_out(
        name,
        lambda facade: facade.deploy(
            name,
            version,
            policy=parsed["policy"],
            batch=parsed["batch"],
            message=parsed["message"],
            replace_accessories=parsed["replace-accessories"],
            dry_run=parsed["dry-run"],
        ),
        wait=not parsed["no-wait"],
        given=given,
    )


def _project_name(parsed: Parsed) -> str:
    from wherry.cli.composing import warn
    from wherry.cli.deploying import project_options
    from wherry.compose.project import project_name
    from wherry.compose.readers import DiskSource

    return project_name(project_options(parsed), DiskSource(), warn)
