"""`/auth/token`: bearer tokens for whoever logs in, by Docker's GET and by OAuth2's POST (distribution token spec)."""

from __future__ import annotations

from urllib.parse import parse_qsl

from wherry.base.clock import rfc3339
from wherry.registry.access import Caller
from wherry.registry.accounts import ANONYMOUS
from wherry.registry.errors import Refusal
from wherry.registry.http import json_response
from wherry.registry.tokens import parse_scopes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.registry.access import Access
    from wherry.registry.accounts import Accounts
    from wherry.registry.http import Request, Response
    from wherry.registry.tokens import Scope, Tokens

__all__ = ["TokenEndpoint"]

_SECONDS = 300
_REFRESH_SECONDS = 90 * 86_400


class TokenEndpoint:
    """Gives out tokens. A scope that is not granted is left out of the token, as the specification asks."""

    def __init__(self, access: Access, accounts: Accounts, tokens: Tokens, clock: Callable[[], int]) -> None:
        self._access = access
        self._accounts = accounts
        self._tokens = tokens
        self._clock = clock

    async def get(self, request: Request) -> Response:
        """With a password in the header, or for anonymous clients without."""
        caller = await self._access.authenticate(request)
        if caller.bearer is not None:
            raise Refusal("UNAUTHORIZED", "log in with a password")
        parameters = request.parameters()
        scopes = parse_scopes([value for name, value in parameters if name == "scope"])
        offline = ("offline_token", "true") in parameters and caller.kind == "user"
        return self._answer(caller, scopes, refresh=offline)

    async def post(self, request: Request) -> Response:
        """OAuth2: grant types `password` and `refresh_token`."""
        form = dict(parse_qsl((await request.read(65536)).decode(errors="replace"), keep_blank_values=True))
        scopes = parse_scopes([form.get("scope", "")])
        if form.get("grant_type") == "password":
            caller = await self._access.log_in(request, form.get("username", ""), form.get("password", ""))
            return self._answer(caller, scopes, refresh=form.get("access_type") == "offline" and caller.kind == "user")
        if form.get("grant_type") == "refresh_token":
            found = self._tokens.refresh(form.get("refresh_token", ""))
            # A password that was changed, and a user that is gone, take their identity tokens along.
            if found is None or not found[1] or found[1] != self._accounts.fingerprint(found[0]):
                raise Refusal("UNAUTHORIZED", "the refresh token is not valid, or has expired")
            return self._answer(Caller(found[0], "user"), scopes, refresh=False, repeat=form["refresh_token"])
        raise Refusal("UNSUPPORTED", "the grant types are: password, refresh_token", status=400)

    def _answer(self, caller: Caller, scopes: list[Scope], *, refresh: bool, repeat: str = "") -> Response:
        now = self._clock()
        access = [(scope, self._granted(caller, scope)) for scope in scopes]
        token = self._tokens.issue(caller.name, caller.kind, access, now // 1_000_000_000, _SECONDS)
        value = {"token": token, "access_token": token, "expires_in": _SECONDS, "issued_at": rfc3339(now)}
        if refresh:
            repeat = self._tokens.issue_refresh(
                caller.name, self._accounts.fingerprint(caller.name), now // 1_000_000_000, _REFRESH_SECONDS
            )
        if repeat:
            value["refresh_token"] = repeat
        return json_response(value, headers={"Cache-Control": "no-store"})

    def _granted(self, caller: Caller, scope: Scope) -> list[str]:
        if scope.kind == "repository":
            return self._access.granted(caller, scope.name, scope.actions)
        if (scope.kind, scope.name) == ("registry", "catalog") and caller.kind != ANONYMOUS:
            return list(scope.actions)
        return []
