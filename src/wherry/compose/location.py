"""Which files make up the project, where its paths begin, and which variables it sees.

Source: compose-spec 03-compose-file.md; the environment variables of docker compose (COMPOSE_FILE and its kin).
"""

from __future__ import annotations

import posixpath

from wherry.base.errors import InvalidInput, NotFound
from wherry.base.values import NamedTuple
from wherry.compose.dotenv import parse_environment_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.compose.source import Source

    Warn = Callable[[str], None]

__all__ = [
    "Located",
    "ProjectOptions",
    "absolute",
    "check_project_name",
    "load_environment_files",
    "locate",
    "project_name_of",
]

_FILES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_OVERRIDES = tuple(f"{stem}.override.{suffix}" for stem in ("compose", "docker-compose") for suffix in ("yml", "yaml"))
_TRUE = ("1", "t", "true", "y", "yes", "on")


class ProjectOptions(NamedTuple):
    """What a command line says about its project; `environment` is the process's, `cwd` its directory.

    `base_fallback` is what serves for bases that cannot be fetched, where images are built (`none` or `distro`; empty:
    as the configuration file says).
    """

    environment: dict[str, str]
    cwd: str
    files: tuple[str, ...] = ()
    name: str = ""
    directory: str = ""
    env_files: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    interpolate: bool = True
    resolve_environment: bool = True
    check: bool = True
    base_fallback: str = ""


class Located(NamedTuple):
    """The files in the order of merging (`-` is standard input), absolute; and the variables to interpolate with."""

    files: tuple[str, ...]
    directory: str
    environment: dict[str, str]


def absolute(path: str, directory: str, home: str = "") -> str:
    """`path` from `directory`, with `~` as the home directory."""
    if path == "~" or path.startswith("~/"):
        path = (home or "~") + path[1:]
    return posixpath.normpath(posixpath.join(directory, path))


def locate(options: ProjectOptions, source: Source, warn: Warn) -> Located:
    """Find the project. Raises NotFound where there is none."""
    given = options.directory or (posixpath.dirname(absolute(options.files[0], options.cwd)) if options.files else "")
    first = options.cwd if options.files[:1] == ("-",) and not options.directory else given
    environment = _with_env_files(options, dict(options.environment), absolute(first or ".", options.cwd), source)
    files = _given_files(options, environment) or _find_files(options, source, warn)
    directory = _directory(options, files)
    return Located(files, directory, _with_env_files(options, environment, directory, source))


def _given_files(options: ProjectOptions, environment: dict[str, str]) -> tuple[str, ...]:
    names = options.files
    if not names and environment.get("COMPOSE_FILE"):
        separator = environment.get("COMPOSE_PATH_SEPARATOR") or ":"
        names = tuple(name for name in environment["COMPOSE_FILE"].split(separator) if name)
    return tuple(name if name == "-" else absolute(name, options.cwd) for name in names)


def _find_files(options: ProjectOptions, source: Source, warn: Warn) -> tuple[str, ...]:
    """The default file, here or in a directory above, and its override file."""
    start = absolute(options.directory or ".", options.cwd)
    directory = start
    while True:
        found = [name for name in _FILES if source.is_file(posixpath.join(directory, name))]
        if found:
            break
        if directory == "/":
            raise NotFound(
                "no configuration file provided: not found",
                hint=f"write a compose.yaml in {start} or above it, or name a file with -f",
            )
        directory = posixpath.dirname(directory)
    chosen = posixpath.join(directory, found[0])
    if len(found) > 1:
        names = ", ".join(posixpath.join(directory, name) for name in found)
        warn(f"Found multiple config files with supported names: {names}. Using {chosen}")
    overrides = [name for name in _OVERRIDES if source.is_file(posixpath.join(directory, name))]
    return (chosen, *(posixpath.join(directory, name) for name in overrides[:1]))


def _directory(options: ProjectOptions, files: tuple[str, ...]) -> str:
    if options.directory:
        return absolute(options.directory, options.cwd)
    return options.cwd if files[0] == "-" else posixpath.dirname(files[0])


def _with_env_files(
    options: ProjectOptions, environment: dict[str, str], directory: str, source: Source
) -> dict[str, str]:
    """The environment with what environment files add to it; what is set already stays."""
    if options.env_files:
        names = options.env_files
    elif environment.get("COMPOSE_ENV_FILES"):
        names = tuple(environment["COMPOSE_ENV_FILES"].split(","))
    elif environment.get("COMPOSE_DISABLE_ENV_FILE", "").lower() in _TRUE:
        names = ()
    else:
        default = posixpath.join(directory, ".env")
        names = (default,) if source.is_file(default) else ()
    paths = [absolute(name, options.cwd) for name in names]
    for path in paths:
        if not source.is_file(path):
            raise NotFound(f"couldn't find env file: {path}", hint="check --env-file")
    return {**load_environment_files(paths, environment, source), **environment}


def load_environment_files(paths: list[str], environment: dict[str, str], source: Source) -> dict[str, str]:
    """What the files set, later ones winning; variables in them are those of `environment`, then of earlier files."""
    values: dict[str, str] = {}
    for path in paths:
        seen = {**values, **environment}
        values.update(parse_environment_file(source.read(path), path, seen.get))
    return values


def check_project_name(name: str) -> str:
    """`name`. Raises InvalidInput in Compose's words for what cannot be a project's name."""
    allowed = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-")
    if name and name[0] not in "_-" and allowed.issuperset(name):
        return name
    raise InvalidInput(
        f'invalid project name "{name}": must consist only of lowercase alphanumeric characters, hyphens, and'
        " underscores as well as start with a letter or number"
    )


def project_name_of(directory: str) -> str:
    """The project name that a directory gives: lower case, without what a name may not have; maybe empty."""
    kept = [letter for letter in posixpath.basename(directory).lower() if letter in "_-" or letter.isalnum()]
    return "".join(letter for letter in kept if letter.isascii()).lstrip("_-")
