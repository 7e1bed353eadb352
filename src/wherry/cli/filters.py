"""`--filter` of `ps`: values of one key are alternatives (labels must all be there), different keys must all fit."""

from __future__ import annotations

from wherry.base.errors import InvalidInput, UsageError, WherryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.engine import Engine
    from wherry.engine.records import Container

    Test = Callable[[Container], bool]

__all__ = ["container_filter", "parse_filters", "split_filter"]

_STATUSES = ("created", "restarting", "running", "removing", "paused", "exited", "dead")
_HEALTH = ("none", "starting", "healthy", "unhealthy")


def parse_filters(given: list[str]) -> dict[str, list[str]]:
    """The wanted values by key. Raises UsageError for what is not `key=value`, InvalidInput for an unknown key."""
    wanted: dict[str, list[str]] = {}
    for text in given:
        key, value = split_filter(text)
        if key not in _MAKERS:
            raise InvalidInput(f"Invalid filter '{key}'", hint=f"there are: {', '.join(sorted(_MAKERS))}")
        wanted.setdefault(key, []).append(value)
    return wanted


def split_filter(text: str) -> tuple[str, str]:
    """Key (in small letters) and value of `key=value`. Raises UsageError for what is not."""
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError(
            f'invalid argument "{text}" for "-f, --filter" flag: bad format of filter (expected name=value)'
        )
    return key.strip().lower(), value.strip()


def container_filter(opened: Engine, wanted: dict[str, list[str]]) -> Test:
    """Whether a container is to be shown. Raises InvalidInput or NotFound for values that mean nothing."""
    groups = [
        (all if key == "label" else any, [_MAKERS[key](opened, value) for value in values])
        for key, values in wanted.items()
    ]
    return lambda one: all(joined(test(one) for test in tests) for joined, tests in groups)


def _status(_: Engine, value: str) -> Test:
    if value not in _STATUSES:
        raise InvalidInput(f"Invalid filter 'status={value}'", hint=f"there are: {', '.join(_STATUSES)}")
    return lambda one: one.state.status == value


def _matching(key: str, text: Callable[[Container], str]) -> Callable[[Engine, str], Test]:
    def make(_opened: Engine, value: str) -> Test:
        import re

        try:
            pattern = re.compile(value, re.MULTILINE)
        except re.error:
            raise InvalidInput(f"invalid filter '{key}={value}': not a regular expression") from None
        return lambda one: pattern.search(text(one)) is not None

    return make


def _label(opened: Engine, value: str) -> Test:
    key, equals, content = value.partition("=")

    def test(one: Container) -> bool:
        labels = opened.containers.labels(one)
        return key in labels and (not equals or labels[key] == content)

    return test


def _exited(_: Engine, value: str) -> Test:
    try:
        code = int(value)
    except ValueError:
        raise InvalidInput(f"Invalid filter 'exited={value}'", hint="write an exit code") from None
    return lambda one: one.state.status == "exited" and one.state.exit_code == code


def _ancestor(opened: Engine, value: str) -> Test:
    try:
        image_id = opened.images.resolve(value).id
    except WherryError:  # an unknown image is nobody's ancestor
        return lambda one: one.image == value
    return lambda one: one.image_id == image_id


def _before(opened: Engine, value: str) -> Test:
    other = opened.containers.resolve(value).created
    return lambda one: one.created < other


def _since(opened: Engine, value: str) -> Test:
    other = opened.containers.resolve(value).created
    return lambda one: one.created > other


def _port_set(key: str, value: str) -> set[str]:
    from wherry.cli.ports import parse_expose

    try:
        return set(parse_expose([value]))
    except InvalidInput:
        raise InvalidInput(f'error while looking up for {key} {value}: parsing "{value}": invalid syntax') from None


def _publish(_: Engine, value: str) -> Test:
    """By the port on the host, as Docker does (it compares with the container's port only where none is published)."""
    wanted = _port_set("publish", value)
    return lambda one: any(f"{outside}/{protocol}" in wanted for _, protocol, _, outside in one.network.ports)


def _expose(opened: Engine, value: str) -> Test:
    wanted = _port_set("expose", value)
    return lambda one: not wanted.isdisjoint(opened.containers.exposed(one))


def _health(_: Engine, value: str) -> Test:
    if value not in _HEALTH:
        raise InvalidInput(f"Invalid filter 'health={value}'", hint=f"there are: {', '.join(_HEALTH)}")
    return lambda one: (one.state.health or "none") == value


def _is_task(_: Engine, value: str) -> Test:
    return lambda _: value.lower() not in ("true", "1")


def _volume(opened: Engine, value: str) -> Test:
    return lambda one: any(value in (mount.get("name"), mount["target"]) for mount in opened.containers.mounts(one))


def _network(_: Engine, value: str) -> Test:
    from wherry.engine.request import endpoints_of

    def joins(one: Container) -> bool:
        names = [each.network for each in endpoints_of(one.request)] or [one.request.network]
        return value in names or any(state.network.startswith(value) for state in one.network.joined())

    return joins


_MAKERS: dict[str, Callable[[Engine, str], Test]] = {
    "ancestor": _ancestor,
    "before": _before,
    "exited": _exited,
    "expose": _expose,
    "health": _health,
    "id": _matching("id", lambda one: one.id),
    "is-task": _is_task,
    "label": _label,
    "name": _matching("name", lambda one: f"/{one.name}\n{one.name}"),
    "network": _network,
    "publish": _publish,
    "since": _since,
    "status": _status,
    "volume": _volume,
}
