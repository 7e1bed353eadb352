"""What people begin from the console: operations that go on, on threads of their own, after the page has answered.

An operation is in the journal: where this process ends meanwhile, the next one ends it or takes it back.
"""

from __future__ import annotations

import threading

from wherry.base.errors import Conflict, InvalidInput, OperationFailed, WherryError
from wherry.deploy.environments import Environments
from wherry.deploy.target import Secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wherry.deploy.parts import Parts

    Work = Callable[[Environments], object]

__all__ = ["Acting"]

_BEGIN_SECONDS = 10.0  # that an operation may take to begin before it is taken to have begun
_REMOVE, _VARIABLE, _SECRET, _FILE = "remove", "variable", "secret", "file"


class Acting:
    """Begins operations in an installation. `changed` is called when one has begun and when it has ended."""

    def __init__(self, parts: Parts, changed: Callable[[], None] = lambda: None) -> None:
        self._parts = parts
        self._changed = changed
        self._threads: set[threading.Thread] = set()

    def act(self, action: str, name: str, values: Mapping[str, str], who: str) -> str:
        """See `Views.act`. Raises Conflict where another operation is under way, too."""
        self._parts.records.environment(name)
        if action == "abort":
            return self._abort(name, who)
        work, words = _ACTIONS[action](name, values)
        ended = self._begin(work, name, f"{words} that {who} asked for", who)
        return f"{words} {'is done' if ended else 'has begun'}."

    def wait(self, seconds: float) -> bool:
        """Wait for what is under way; whether all of it has ended."""
        import time

        until = time.monotonic() + seconds
        for thread in list(self._threads):
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _abort(self, name: str, who: str) -> str:
        if self._parts.records.journal.pending(name) is None:
            raise Conflict(f"nothing is under way on {name}")
        self._begin(lambda one: one.abort(name), name, f"the abort that {who} asked for", who)
        return "What is under way is being aborted and taken back."

    def _begin(self, work: Work, name: str, words: str, who: str) -> bool:
        """Do it on a thread; whether it has ended already. Raises what it raised before it began."""
        begun, answered, ended = threading.Event(), threading.Event(), threading.Event()
        errors: list[WherryError] = []

        def run() -> None:
            try:
                work(Environments(self._parts, who, lambda _: begun.set(), wait=False))
            except OperationFailed:
                pass  # the operation has told it
            except WherryError as error:
                errors.append(error)
                if answered.is_set():
                    self._tell(name, f"{words} failed: {error.message}.")
            except Exception as error:  # noqa: BLE001 (whatever it is, somebody has to hear of it)
                self._tell(name, f"{words} failed. This is a bug in Wherry: {type(error).__name__}: {error}.")
            finally:
                ended.set()
                begun.set()
                self._changed()
                self._threads.discard(thread)

        thread = threading.Thread(target=run, name=f"operation on {name}", daemon=True)
        self._threads.add(thread)
        thread.start()
        begun.wait(_BEGIN_SECONDS)
        answered.set()
        self._changed()
        if errors:
            raise errors[0]
        return ended.is_set()

    def _tell(self, name: str, words: str) -> None:
        self._parts.records.tell(name, "ERROR", words[0].upper() + words[1:])


def _deploy(name: str, values: Mapping[str, str]) -> tuple[Work, str]:
    version = _given(values, "version")
    return lambda one: one.deploy(
        name, version, policy=values.get("policy", "")
    ), f"The deployment of version {version}"


def _rollback(name: str, values: Mapping[str, str]) -> tuple[Work, str]:
    to = _number(values, "to") if values.get("to") else 0
    return lambda one: one.rollback(name, to=to), "The rollback" + (f" to deployment {to}" if to else "")


def _scale(name: str, values: Mapping[str, str]) -> tuple[Work, str]:
    count = _number(values, "count")
    return lambda one: one.scale(name, count), f"The change to {count} instance{'' if count == 1 else 's'}"


def _restart(name: str, values: Mapping[str, str]) -> tuple[Work, str]:
    del values
    return lambda one: one.restart(name), "The restart"


def _swap(name: str, values: Mapping[str, str]) -> tuple[Work, str]:
    other = _given(values, "other")
    return lambda one: one.swap(name, other), f"The swap with {other}"


def _set(name: str, values: Mapping[str, str]) -> tuple[Work, str]:
    setting, value = _given(values, "setting"), values.get("value", "")
    words = f"The change of {setting} to {value}" if value else f"The change of {setting} to its default"
    return lambda one: one.configure(name, settings={setting: value}), words


def _variable(name: str, values: Mapping[str, str]) -> tuple[Work, str]:
    variable, kind, value = _given(values, "name"), values.get("kind", _VARIABLE), values.get("value", "")
    if kind == _REMOVE:
        return lambda one: one.configure(name, removed=(variable,)), f"The removal of {variable}"
    if kind == _VARIABLE:
        return lambda one: one.configure(name, variables={variable: value}), f"The change of {variable}"
    if kind not in (_SECRET, _FILE):
        raise InvalidInput(f"{kind!r} is no kind of variable", hint="there are variable, secret and file")
    secret = Secret(variable, value, kind == _FILE)
    return lambda one: one.configure(name, secrets=(secret,)), f"The change of the secret {variable}"


_ACTIONS = {
    "deploy": _deploy,
    "rollback": _rollback,
    "scale": _scale,
    "restart": _restart,
    "swap": _swap,
    "set": _set,
    "variable": _variable,
}


def _given(values: Mapping[str, str], field: str) -> str:
    value = values.get(field, "").strip()
    if not value:
        raise InvalidInput(f"the form says no {field}")
    return value


def _number(values: Mapping[str, str], field: str) -> int:
    text = _given(values, field)
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise InvalidInput(f"{field}: {text!r} is no whole number")
    return int(text)
