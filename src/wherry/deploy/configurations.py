"""What an environment is given, as YAML and back: settings, variables, and which secrets there are.

    settings:
      min: 2
      health.path: /healthz         # or `health:` with `path:` below it
    variables:
      GREETING: hello
    secrets:                        # never their values
      TOKEN: variable
      license: file

A part that is there holds as a whole: what it does not name goes back to its default, or is removed. A part that is not
there changes nothing. Secrets only have to be there; none is removed. Every value is the text that was written (`1.10`
stays that).
"""

from __future__ import annotations

from wherry.base.errors import InvalidInput, NotFound
from wherry.base.values import NamedTuple
from wherry.deploy.model import is_variable_name
from wherry.deploy.settings import SETTINGS, Settings, parse_assignments, setting_named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.deploy.model import Environment

__all__ = ["Changes", "Configuration", "changes", "check_title", "configuration_of", "parse", "render", "render_all"]

_PARTS = ("settings", "variables", "secrets")
_KINDS = {"variable": False, "file": True}
_LONGEST_TITLE = 100
_TITLE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


class Configuration(NamedTuple):
    """Settings in canonical spelling, variables, and names of secrets (true: a file). None: nothing is said of it."""

    settings: dict[str, str] | None = None
    variables: dict[str, str] | None = None
    secrets: dict[str, bool] | None = None


class Changes(NamedTuple):
    """What makes an environment be as a configuration says; as `Environments.configure` takes it."""

    settings: dict[str, str]
    variables: dict[str, str]
    removed: tuple[str, ...]


def check_title(title: str) -> str:
    """`title`, which is to name a saved configuration. Raises InvalidInput where it cannot."""
    if title and len(title) <= _LONGEST_TITLE and set(title) <= _TITLE and title[0] not in ".-":
        return title
    raise InvalidInput(
        f"{title!r} is no title for a configuration",
        hint=f"use up to {_LONGEST_TITLE} letters, digits, '.', '_' and '-', beginning with a letter, digit or '_'",
    )


def configuration_of(environment: Environment) -> Configuration:
    """What it is given now."""
    settings = Settings(environment.settings).given
    return Configuration(settings, dict(environment.variables), dict(environment.secrets))


def changes(environment: Environment, wanted: Configuration) -> Changes:
    """What is to be changed. Raises NotFound for a secret that the environment does not have."""
    for name, file in (wanted.secrets or {}).items():
        if environment.secrets.get(name) != file:
            flag = "--secret-file" if file else "--secret"
            raise NotFound(
                f"environment {environment.name} has no secret {name} that is a {'file' if file else 'variable'}",
                hint=f"a configuration has no values of secrets: `wherry env set {environment.name} {flag} {name}=FILE`"
                " gives it one",
            )
    given = Settings(environment.settings).given
    settings = {**dict.fromkeys(given, ""), **wanted.settings} if wanted.settings is not None else {}
    removed = [name for name in environment.variables if wanted.variables is not None and name not in wanted.variables]
    return Changes(
        {name: text for name, text in settings.items() if text != given.get(name, "")},
        {name: text for name, text in (wanted.variables or {}).items() if environment.variables.get(name) != text},
        tuple(removed),
    )


# --- to text


def render(configuration: Configuration) -> str:
    """YAML which `parse` reads back."""
    kinds = {name: "file" if file else "variable" for name, file in (configuration.secrets or {}).items()}
    said = {
        "settings": configuration.settings,
        "variables": configuration.variables,
        "secrets": None if configuration.secrets is None else kinds,
    }
    return "".join(_part(name, entries) for name, entries in said.items() if entries is not None)


def render_all(configuration: Configuration) -> str:
    """YAML with every setting and what it means; those that are not set are comments with their defaults."""
    given = configuration.settings or {}
    lines = []
    for setting in SETTINGS.values():
        entry = _entry(setting.name, given.get(setting.name, setting.default))
        bounds = f" ({setting.bounds})" if setting.bounds else ""
        mark = "  " if setting.name in given else "  # "
        lines.append(f"{mark}{entry}  # {setting.summary}{bounds}\n")
    rest = render(configuration._replace(settings=None))
    return f"settings:{'' if given else ' {}'}\n{''.join(lines)}{rest}"


def _part(name: str, entries: dict[str, str]) -> str:
    if not entries:
        return f"{name}: {{}}\n"
    return f"{name}:\n" + "".join(f"  {_entry(key, value)}\n" for key, value in entries.items())


def _entry(key: str, value: str) -> str:
    """One line; numbers are plain where every reader takes them for what they are."""
    import yaml

    plain = value.isascii() and value.isdigit() and (value == "0" or value[0] != "0")
    text: str = yaml.safe_dump({key: int(value) if plain else value}, allow_unicode=True, width=2**31)
    if text.count("\n") > 1 or not value.isprintable():  # quoted and escaped, so that it is one line
        text = yaml.safe_dump({key: value}, default_style='"', width=2**31)
    return text.rstrip("\n")


# --- from text


def parse(text: str, name: str = "the configuration") -> Configuration:
    """The configuration that YAML says. Raises InvalidInput or NotFound with `name`, the line and the key."""
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InvalidInput(f"{name}{line}: not YAML: {error.problem}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise InvalidInput(f"{name}: not YAML: {error}") from None
    if root is None:
        raise InvalidInput(f"{name} is empty", hint=f"it has the parts {', '.join(_PARTS)}")
    reader = _Reader(name)
    parts = reader.entries(root, "")
    for key, (mark, _) in parts.items():
        if key not in _PARTS:
            raise reader.refusal(mark, key, "is not known", f"there are: {', '.join(_PARTS)}")
    return Configuration(
        reader.settings(parts["settings"][1]) if "settings" in parts else None,
        reader.variables(parts["variables"][1]) if "variables" in parts else None,
        reader.secrets(parts["secrets"][1]) if "secrets" in parts else None,
    )


class _Reader:
    """Nodes to values; every refusal says where."""

    def __init__(self, name: str) -> None:
        self._name = name

    def refusal(self, node: Any, key: str, why: str, hint: str = "") -> InvalidInput:
        return InvalidInput(f"{self._name}, line {node.start_mark.line + 1}: {key} {why}".replace("  ", " "), hint=hint)

    def entries(self, node: Any, where: str) -> dict[str, tuple[Any, Any]]:
        """Keys to their own nodes and those of their values; nothing at all is an empty mapping."""
        if node.id == "scalar" and node.value in ("", "~", "null") and not node.style:
            return {}
        if node.id != "mapping":
            raise self.refusal(node, where, "must be a mapping", f"it has the parts {', '.join(_PARTS)}")
        found: dict[str, tuple[Any, Any]] = {}
        for key, value in node.value:
            if key.id != "scalar":
                raise self.refusal(key, where, "has a key that is not text")
            if key.value in found:
                raise self.refusal(key, f"{where}.{key.value}".lstrip("."), "is there twice")
            found[key.value] = key, value
        return found

    def texts(self, node: Any, where: str) -> dict[str, tuple[Any, str]]:
        """A mapping from names to texts, with the nodes of the names."""
        return {
            key: (mark, self._text(value, f"{where}.{key}")) for key, (mark, value) in self.entries(node, where).items()
        }

    def _text(self, node: Any, where: str) -> str:
        if node.id != "scalar":
            raise self.refusal(node, where, f"must be text, not a {node.id}")
        return "" if node.value in ("~", "null") and not node.style else str(node.value)

    def settings(self, node: Any) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, (mark, text) in self._flat(node, "settings", "").items():
            try:
                setting = setting_named(name)
                value = parse_assignments([f"{name}={text}"])[setting.name]
            except (InvalidInput, NotFound) as error:
                raise self.refusal(mark, f"settings.{name}:", error.message, error.hint) from None
            if setting.name in found:
                raise self.refusal(mark, f"settings.{name}", f"is there twice, as {setting.name} and by another name")
            found[setting.name] = value
        try:
            Settings({}).with_changes(found)
        except InvalidInput as error:
            raise self.refusal(node, "settings:", error.message, error.hint) from None
        return {name: value for name, value in found.items() if value}

    def _flat(self, node: Any, where: str, before: str) -> dict[str, tuple[Any, str]]:
        """`health: {path: /}` as `health.path`."""
        found: dict[str, tuple[Any, str]] = {}
        for key, (mark, value) in self.entries(node, where).items():
            if value.id == "mapping" and not before:
                inner = self._flat(value, f"{where}.{key}", f"{key}.")
            else:
                inner = {f"{before}{key}": (mark, self._text(value, f"{where}.{key}"))}
            for name, entry in inner.items():
                if name in found:
                    raise self.refusal(entry[0], f"settings.{name}", "is there twice")
                found[name] = entry
        return found

    def variables(self, node: Any) -> dict[str, str]:
        found = self.texts(node, "variables")
        for name, (mark, _) in found.items():
            if not is_variable_name(name):
                raise self.refusal(mark, f"variables: {name!r}", "is no name for a variable")
        return {name: text for name, (_, text) in found.items()}

    def secrets(self, node: Any) -> dict[str, bool]:
        found = {}
        for name, (mark, kind) in self.texts(node, "secrets").items():
            if kind not in _KINDS:
                raise self.refusal(
                    mark,
                    f"secrets.{name}",
                    "must be `variable` or `file`",
                    f"values are never part of a configuration: `wherry env set ENVIRONMENT --secret {name}=FILE`",
                )
            found[name] = _KINDS[kind]
        return found
