"""Who asks: the token flow of distribution's auth specification, and Basic, for one registry.

Credentials go to the registry itself and to the token server that it names (over TLS, or where plain HTTP is allowed),
never to where it redirects. Tokens are kept for each set of scopes until they expire.
"""

from __future__ import annotations

import base64
import json
import re
import time
from threading import RLock
from urllib.parse import urlencode, urlsplit

from wherry.base.errors import Denied, Unavailable
from wherry.base.values import NamedTuple
from wherry.transfer.transport import Cut, Origin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any
    from urllib.parse import SplitResult

    from wherry.transfer.credentials import Login
    from wherry.transfer.transport import Answer, Transport

__all__ = ["Authenticator", "Challenge", "parse_challenges", "pull_scope", "push_scope"]

_CLIENT = "wherry"
_LEAST_LIFE = 60.0  # seconds a token lives that does not say (distribution, auth/token.md)
_MARGIN = 10.0
_PART = re.compile(r'\s*,?\s*([A-Za-z0-9!#$%&\'*+.^_`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?')


class Challenge(NamedTuple):
    """One of the ways to authenticate that `WWW-Authenticate` offers; `scheme` is in lower case."""

    scheme: str
    fields: dict[str, str]


class _Token(NamedTuple):
    header: str
    expires: float


def pull_scope(repository: str) -> str:
    """What reading takes."""
    return f"repository:{repository}:pull"


def push_scope(repository: str) -> str:
    """What writing takes."""
    return f"repository:{repository}:pull,push"


def parse_challenges(text: str) -> list[Challenge]:
    """`WWW-Authenticate` (RFC 9110 11.6.1): several challenges, quoted or bare values, commas inside of quotes."""
    challenges: list[Challenge] = []
    position = 0
    while match := _PART.match(text, position):
        name, quoted, bare = match.groups()
        position = match.end()
        if quoted is None and bare is None:
            challenges.append(Challenge(name.lower(), {}))
        elif challenges:
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare
            challenges[-1].fields.setdefault(name.lower(), value)
    return challenges


class Authenticator:
    """Knows what to send to one registry. Safe for several threads: a token is fetched once."""

    def __init__(
        self, origin: Origin, transport: Transport, find: Callable[[], Login | None], is_plain: Callable[[str], bool]
    ) -> None:
        self._origin = origin
        self._transport = transport
        self._find = find
        self._is_plain = is_plain
        self._tokens: dict[frozenset[str], _Token] = {}
        self._basic = ""
        self._lock = RLock()

    def header(self, scopes: frozenset[str]) -> str:
        """The `Authorization` for a request that needs `scopes`; empty while none was asked for."""
        with self._lock:
            for held, token in self._tokens.items():
                if _covers(held, scopes) and time.monotonic() < token.expires:
                    return token.header
            return self._basic

    def answer(self, challenge: Answer, scopes: frozenset[str], sent: str) -> bool:
        """Get what a 401 asks for; whether there is something else to try than `sent`. Raises Denied or Unavailable."""
        with self._lock:
            if self.header(scopes) not in ("", sent):
                return True  # another thread was here
            offered = {each.scheme: each.fields for each in parse_challenges(challenge.header("WWW-Authenticate"))}
            if "bearer" in offered:
                self._tokens = {held: token for held, token in self._tokens.items() if not _covers(held, scopes)}
                self._tokens[scopes] = self._fetch(offered["bearer"], scopes)
            elif "basic" in offered and (login := self._find()) is not None:
                self._basic = basic(login)
            return self.header(scopes) not in ("", sent)

    def _fetch(self, fields: dict[str, str], scopes: frozenset[str]) -> _Token:
        login = self._find()
        wanted = _join(scopes, fields.get("scope", ""))
        value = self._ask(fields, wanted, login)
        token = str(value.get("token") or value.get("access_token") or "")
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise Denied(f"the token server of {self._origin.host} gives no usable token")
        life = value.get("expires_in")
        seconds = float(life) if isinstance(life, int | float) and 0 < life < 1e9 else _LEAST_LIFE
        return _Token(f"Bearer {token}", time.monotonic() + max(seconds, _LEAST_LIFE) - _MARGIN)

    def sign_in(self, fields: dict[str, str], login: Login) -> tuple[str, str]:
        """The token that a login gets (as a header), and the identity token to be kept instead of the password."""
        value = self._ask(fields, _join(frozenset(), fields.get("scope", "")), login, offline=True)
        token = str(value.get("token") or value.get("access_token") or "")
        return f"Bearer {token}", str(value.get("refresh_token") or "")

    def _ask(
        self, fields: dict[str, str], scopes: list[str], login: Login | None, *, offline: bool = False
    ) -> dict[str, Any]:
        realm = self._realm(fields.get("realm", ""))
        service = fields.get("service", "")
        if login is not None and login.identity_token:
            form = {"grant_type": "refresh_token", "refresh_token": login.identity_token, "service": service}
            form |= {"client_id": _CLIENT, "scope": " ".join(scopes)}
            return self._exchange(realm, "POST", "", urlencode(form).encode(), login)
        query = [("service", service)] if service else []
        query += [("scope", scope) for scope in scopes]
        if login is not None:
            query.append(("account", login.username))
        if offline:
            query += [("offline_token", "true"), ("client_id", _CLIENT)]
        return self._exchange(realm, "GET", urlencode(query), None, login)

    def _realm(self, text: str) -> SplitResult:
        """Where tokens are given. Raises Denied where credentials would travel in the open."""
        try:
            realm = urlsplit(text)
            host = realm.netloc
            safe = realm.scheme == "https" or (
                realm.scheme == self._origin.scheme == "http" and (self._is_plain(host) or host == self._origin.host)
            )
        except ValueError:
            safe = False
        if not safe or not realm.hostname or realm.username is not None:
            raise Denied(f"{self._origin.host} names a token server that is not safe: {text!r:.200}")
        return realm

    def _exchange(
        self, realm: SplitResult, method: str, query: str, form: bytes | None, login: Login | None
    ) -> dict[str, Any]:
        path = (realm.path or "/") + (
            f"?{'&'.join(filter(None, (realm.query, query)))}" if realm.query or query else ""
        )
        headers = {"Accept": "application/json"}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif login is not None:
            headers["Authorization"] = basic(login)
        try:
            answer = self._transport.send(method, Origin(realm.scheme, realm.netloc), path, headers, form)
            data = answer.all(1 << 20)
        except Cut as cut:
            raise Unavailable(f"the token server {realm.netloc} cut the connection: {cut}", hint="try again") from None
        if answer.status in (401, 403):
            raise Denied(
                f"unauthorized: {_words(data) or 'the token server refuses these credentials'}",
                hint=f"log in again with `wherry login {self._origin.host}`",
            )
        if answer.status != 200:
            raise Unavailable(f"the token server {realm.netloc} answers {answer.status}", hint="try again later")
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise Unavailable(f"the token server {realm.netloc} does not answer with a token")
        return value


def basic(login: Login) -> str:
    """The header of HTTP Basic authentication."""
    return "Basic " + base64.b64encode(f"{login.username}:{login.password}".encode()).decode()


def _covers(held: frozenset[str], wanted: frozenset[str]) -> bool:
    """Whether a token for `held` does for `wanted`: one for pushing pulls too."""
    return all(scope in held or f"{scope},push" in held for scope in wanted)


def _join(scopes: frozenset[str], challenged: str) -> list[str]:
    """The wanted scopes, and those of the challenge about other things."""
    own = {scope.rpartition(":")[0] for scope in scopes}
    return sorted({*scopes, *(each for each in challenged.split() if each.rpartition(":")[0] not in own)})


def _words(data: bytes) -> str:
    try:
        value = json.loads(data)
        errors = value.get("errors")
        return str(errors[0].get("message") if errors else value.get("details") or value.get("message") or "")
    except (ValueError, AttributeError, IndexError, TypeError, KeyError, RecursionError):
        return ""
