"""Credentials as Docker keeps them: `config.json`, in the order credHelpers, credsStore, auths; shared with Docker."""

from __future__ import annotations

import base64
import json
import os

from wherry.base.errors import InvalidInput, Unavailable
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

__all__ = ["HUB_KEY", "Credentials", "Login", "registry_key"]

HUB_KEY = "https://index.docker.io/v1/"
_HUB_NAMES = ("docker.io", "index.docker.io", "registry-1.docker.io")
_TOKEN_USER = "<token>"  # noqa: S105 (the user name that says: the secret is an identity token)


class Login(NamedTuple):
    """A user's name and password, or an identity token in the password's place."""

    username: str
    password: str = ""
    identity_token: str = ""


def registry_key(text: str) -> str:
    """The name under which Docker keeps a registry that the user wrote as a name or as an address."""
    host = _hostname(text)
    return HUB_KEY if host in _HUB_NAMES else host


def _hostname(text: str) -> str:
    return text.removeprefix("https://").removeprefix("http://").partition("/")[0]


class Credentials:
    """Logins in `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`. A broken file raises InvalidInput."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        directory = environ.get("DOCKER_CONFIG") or os.path.join(environ.get("HOME", "/"), ".docker")
        self.path = os.path.join(directory, "config.json")

    def find(self, registry: str) -> Login | None:
        """What is kept for a registry, or None."""
        config, key = self._read(), registry_key(registry)
        helper = self._helper(config, key)
        if helper:
            return _ask(helper, key)
        auths = _table(config, "auths")
        same = [name for name in auths if name == key or (key != HUB_KEY and _hostname(name) == key)]
        found = [_decode(auths[name]) for name in sorted(same, key=lambda name: name != key)]
        return next((login for login in found if login is not None), None)

    def store(self, registry: str, login: Login) -> str:
        """Keep a login, an identity token instead of the password where there is one.

        Returns the file that now holds the secret in the open, empty where a helper program keeps it.
        """
        key = registry_key(registry)
        helper = self._helper(self._read(), key)
        if helper:
            secret = {"Username": _TOKEN_USER, "Secret": login.identity_token} if login.identity_token else {}
            secret = secret or {"Username": login.username, "Secret": login.password}
            _run(helper, "store", json.dumps({"ServerURL": key, **secret}))
            self._change(lambda auths: auths.__setitem__(key, {}))
            return ""
        self._change(lambda auths: auths.__setitem__(key, _encode(login)))
        return self.path

    def erase(self, registry: str) -> None:
        """Forget a login; harmless where there is none."""
        key = registry_key(registry)
        helper = self._helper(self._read(), key)
        if helper:
            _run(helper, "erase", key)

        def forget(auths: dict[str, Any]) -> None:
            for name in [name for name in auths if name == key or (key != HUB_KEY and _hostname(name) == key)]:
                del auths[name]

        if os.path.exists(self.path):
            self._change(forget)

    def _helper(self, config: dict[str, Any], key: str) -> str:
        name = _table(config, "credHelpers").get(key) or config.get("credsStore") or ""
        if not isinstance(name, str) or "/" in name:
            raise InvalidInput(f"{self.path} names an invalid credential helper: {name!r:.100}")
        return name

    def _read(self) -> dict[str, Any]:
        try:
            with open(self.path, encoding="utf-8") as file:
                value = json.load(file)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError, RecursionError) as error:
            raise InvalidInput(f"{self.path} cannot be read: {error}", hint="mend it, or move it away") from None
        if not isinstance(value, dict):
            raise InvalidInput(f"{self.path} is not a JSON object", hint="mend it, or move it away")
        return value

    def _change(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the logins and nothing else; two processes at once lose nothing of each other."""
        from wherry.base.files import atomic_write
        from wherry.base.locks import FileLock

        path = os.path.realpath(self.path)  # a link stays a link
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with FileLock(f"{path}.lock") as lock:
            config = self._read()
            auths = dict(_table(config, "auths"))
            change(auths)
            text = json.dumps({**config, "auths": auths}, indent="\t", ensure_ascii=False)
            atomic_write(path, text.encode(), mode=0o600)
            lock.remove()


def _table(config: dict[str, Any], name: str) -> dict[str, Any]:
    value = config.get(name) or {}
    if not isinstance(value, dict):
        raise InvalidInput(f"Docker's config.json holds a malformed {name}")
    return value


def _encode(login: Login) -> dict[str, str]:
    password = "" if login.identity_token else login.password
    entry = {"auth": base64.b64encode(f"{login.username}:{password}".encode()).decode()}
    return entry | ({"identitytoken": login.identity_token} if login.identity_token else {})


def _decode(entry: Any) -> Login | None:
    if not isinstance(entry, dict):
        raise InvalidInput("Docker's config.json holds a malformed auth entry", hint="log in again")
    token = str(entry.get("identitytoken") or "")
    if not entry.get("auth"):
        username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
        return Login(username, password, token) if token or username else None
    try:
        username, colon, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
        if not colon:
            raise ValueError
    except (ValueError, TypeError):
        raise InvalidInput("Docker's config.json holds a malformed auth entry", hint="log in again") from None
    return Login(username, "" if token else password.rstrip("\0"), token)


def _run(helper: str, action: str, text: str) -> bytes | None:
    """Run a credential helper program (`docker-credential-NAME ACTION`); None where it does not know the registry."""
    from wherry.base.programs import failure, find, run

    program = find(f"docker-credential-{helper}")
    if program is None:
        raise Unavailable(
            f"the credential helper docker-credential-{helper}, which Docker's config.json names, is not installed"
        )
    done = run((program, action), stdin=text.encode(), timeout=60, check=False)
    if done.status and b"credentials not found" in done.stdout + done.stderr:
        return None
    if done.status:
        raise failure(done._replace(stderr=done.stderr or done.stdout))
    return done.stdout


def _ask(helper: str, key: str) -> Login | None:
    answer = _run(helper, "get", key)
    if answer is None:
        return None
    try:
        value = json.loads(answer)
        username, secret = str(value["Username"]), str(value["Secret"])
    except (ValueError, KeyError, TypeError):
        raise Unavailable(f"docker-credential-{helper} does not answer as a credential helper does") from None
    if username == _TOKEN_USER:
        return Login("", "", secret)
    return Login(username, secret) if username else None
