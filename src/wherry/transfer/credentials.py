"""Credentials as Docker keeps them: `config.json`, in the order credHelpers, credsStore, auths."""

from __future__ import annotations

import base64
import json
import os

from wherry.base.errors import InvalidInput, ProgramFailed, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["Credentials"]

_HUB_KEY = "https://index.docker.io/v1/"


class Credentials:
    """Looks a registry's user name and password up in `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        directory = environ.get("DOCKER_CONFIG") or os.path.join(environ.get("HOME", "/"), ".docker")
        self._path = os.path.join(directory, "config.json")

    def find(self, registry: str) -> tuple[str, str] | None:
        """User name and password (`<token>` and an identity token), or None. Raises InvalidInput for a broken file."""
        config = self._read()
        key = _HUB_KEY if registry == "docker.io" else registry
        helper = (config.get("credHelpers") or {}).get(key) or config.get("credsStore")
        if helper:
            found = _ask(helper, key)
            if found is not None:
                return found
        return _decode((config.get("auths") or {}).get(key) or {})

    def _read(self) -> dict[str, Any]:
        try:
            with open(self._path, encoding="utf-8") as file:
                value = json.load(file)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise InvalidInput(f"{self._path} cannot be read: {error}") from None
        return value if isinstance(value, dict) else {}


def _decode(entry: dict[str, Any]) -> tuple[str, str] | None:
    if entry.get("identitytoken"):
        return "<token>", str(entry["identitytoken"])
    if not entry.get("auth"):
        return None
    try:
        user, _, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
    except ValueError:
        raise InvalidInput("Docker's config.json holds a malformed auth entry", hint="log in again") from None
    return user, password.rstrip("\0")


def _ask(helper: str, key: str) -> tuple[str, str] | None:
    """The answer of a credential helper program (`docker-credential-NAME get`)."""
    from wherry.base.programs import require, run

    try:
        answer = run((require(f"docker-credential-{helper}"), "get"), stdin=key.encode(), timeout=30).stdout
        value = json.loads(answer)
        return str(value["Username"]), str(value["Secret"])
    except (ProgramFailed, Unavailable, ValueError, KeyError):
        return None
