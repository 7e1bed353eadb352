"""Tokens that the registry gives and knows again: for the distribution API, and for Amazon's clients.

Signed with a key that never leaves the data directory (RFC 7519, HS256). A bearer token carries what was asked for and
what was granted, so that a request with it needs no look at any table.
"""

from __future__ import annotations

import jwt

from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = ["Bearer", "Scope", "Tokens", "parse_scopes"]

_ALGORITHM = "HS256"
_CACHE = 4096


class Scope(NamedTuple):
    """What a client asks for: `repository:NAME:pull,push`, or `registry:catalog:*`."""

    kind: str
    name: str
    actions: tuple[str, ...]


class Bearer(NamedTuple):
    """A token that was verified; `granted` and `asked` map a repository to actions. `expires` in seconds since 1970."""

    subject: str
    kind: str
    granted: dict[str, frozenset[str]]
    asked: dict[str, frozenset[str]]
    expires: int


class Tokens:
    """Issues and verifies."""

    def __init__(self, secret: str, service: str) -> None:
        self._secret = secret
        self._service = service
        self._known: dict[str, Bearer] = {}

    def issue(
        self, subject: str, kind: str, access: Sequence[tuple[Scope, Sequence[str]]], now: int, seconds: int
    ) -> str:
        """A bearer token: each scope with the actions of it that are granted. `now` in seconds since the epoch."""
        claims = [
            {"type": scope.kind, "name": scope.name, "actions": list(granted), "asked": list(scope.actions)}
            for scope, granted in access
        ]
        return self._sign("bearer", {"sub": subject, "kind": kind, "access": claims}, now, seconds)

    def issue_password(self, key_id: str, now: int, seconds: int) -> str:
        """What ECR's GetAuthorizationToken gives: the password of the user AWS. It has no colon in it."""
        return self._sign("password", {"sub": key_id}, now, seconds)

    def issue_refresh(self, subject: str, fingerprint: str, now: int, seconds: int) -> str:
        """An identity token: stands for the user in place of the password, of which `fingerprint` is made."""
        return self._sign("refresh", {"sub": subject, "fp": fingerprint}, now, seconds)

    def _sign(self, use: str, claims: dict[str, Any], now: int, seconds: int) -> str:
        times = {"iat": now, "nbf": now - 5, "exp": now + seconds, "iss": self._service, "aud": self._service}
        return jwt.encode({**claims, **times, "use": use}, self._secret, algorithm=_ALGORITHM)

    def bearer(self, text: str, now: int) -> Bearer | None:
        """The token, if it is one of ours and holds still."""
        known = self._known.get(text)
        if known is None:
            claims = self._claims(text, "bearer")
            if claims is None:
                return None
            known = _bearer(claims)
            if len(self._known) >= _CACHE:
                self._known.clear()
            self._known[text] = known
        return known if now < known.expires else None

    def password(self, text: str) -> str | None:
        """The access key that an ECR password stands for."""
        claims = self._claims(text, "password")
        return str(claims["sub"]) if claims else None

    def refresh(self, text: str) -> tuple[str, str] | None:
        """The subject of an identity token, and the fingerprint of the password that it stood for."""
        claims = self._claims(text, "refresh")
        return (str(claims["sub"]), str(claims.get("fp", ""))) if claims else None

    def _claims(self, text: str, use: str) -> dict[str, Any] | None:
        try:
            claims: dict[str, Any] = jwt.decode(
                text, self._secret, algorithms=[_ALGORITHM], audience=self._service, issuer=self._service
            )
        except (jwt.PyJWTError, ValueError):
            return None
        return claims if claims.get("use") == use else None


def _bearer(claims: dict[str, Any]) -> Bearer:
    granted: dict[str, frozenset[str]] = {}
    asked: dict[str, frozenset[str]] = {}
    for entry in claims["access"]:
        key = entry["name"] if entry["type"] == "repository" else f"{entry['type']}:{entry['name']}"
        granted[key] = frozenset(entry["actions"]) | granted.get(key, frozenset())
        asked[key] = frozenset(entry["asked"]) | asked.get(key, frozenset())
    return Bearer(claims["sub"], claims["kind"], granted, asked, int(claims["exp"]))


def parse_scopes(texts: Sequence[str]) -> list[Scope]:
    """`repository:NAME:ACTIONS` (several may stand in one text, with spaces between); what is malformed is left out."""
    found = []
    for text in " ".join(texts).split(" "):
        kind, _, rest = text.partition(":")
        name, _, actions = rest.rpartition(":")
        if name and actions:
            found.append(Scope(kind.partition("(")[0], name, tuple(dict.fromkeys(actions.split(",")))))
    return found[:64]
