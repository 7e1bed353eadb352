"""Who asks, and whether it may: every request of the distribution API and of ECR's is decided here."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from functools import lru_cache

from wherry.base.values import NamedTuple
from wherry.registry import iam, metadata
from wherry.registry.accounts import ACTIONS, ANONYMOUS, EVERYONE, hash_password, nobody_hash, verify_password
from wherry.registry.errors import Refusal
from wherry.registry.tokens import Scope

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from wherry.registry.accounts import AccessKey, Accounts, Grant
    from wherry.registry.catalog import Catalog
    from wherry.registry.http import Request
    from wherry.registry.throttle import Throttle
    from wherry.registry.tokens import Bearer, Tokens

__all__ = ["Access", "Caller", "Settings"]

_HOST = re.compile(r"[^A-Za-z0-9.:\[\]_-]")  # what no host has, and what could end a quoted word
_PASSWORD_SECONDS = 60  # how long a password that was right is believed without hashing it again
_IAM_ACTIONS = {
    "pull": ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
    "push": ("ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage"),
    "delete": ("ecr:BatchDeleteImage",),
    "admin": ("ecr:DeleteRepository",),
}


class Settings(NamedTuple):
    """What makes this registry this registry: `account` has twelve digits, `secret` signs its tokens."""

    account: str
    region: str
    secret: str
    public_url: str = ""
    open: bool = False

    def arn(self, repository: str) -> str:
        """The repository's Amazon resource name."""
        return f"arn:aws:ecr:{self.region}:{self.account}:repository/{repository}"

    def principal(self, key: AccessKey) -> str:
        """The name under which policies speak of an access key's owner."""
        return f"arn:aws:iam::{self.account}:user/{key.name or key.id}"


class Caller(NamedTuple):
    """Who asks. `kind` is open, anonymous, user, robot or key; with a bearer token only what it grants counts."""

    name: str
    kind: str
    bearer: Bearer | None = None


class Access:
    """Authenticates and decides."""

    def __init__(
        self,
        catalog: Catalog,
        accounts: Accounts,
        tokens: Tokens,
        throttle: Throttle,
        settings: Settings,
        clock: Callable[[], int],
    ) -> None:
        self._catalog = catalog
        self._accounts = accounts
        self._tokens = tokens
        self._throttle = throttle
        self.settings = settings
        self._clock = clock
        self._believed: dict[bytes, tuple[str, int]] = {}
        self._version = -2
        self._is_empty = False
        self._grants: list[Grant] = []
        self._hashing = asyncio.Semaphore(2)  # each hash takes 19 MiB while it is computed

    @property
    def is_open(self) -> bool:
        """Whether everybody may do everything: where that was allowed, and as long as nobody could log in."""
        if not self.settings.open:
            return False
        self._refresh()
        return self._is_empty

    def _refresh(self) -> None:
        """Read again what another process or the writer may have changed."""
        if self._catalog.version != self._version:
            self._is_empty = self._accounts.is_empty()
            self._grants = self._accounts.grants()
            self._version = self._catalog.version

    def _seconds(self) -> int:
        return self._clock() // 1_000_000_000

    async def authenticate(self, request: Request) -> Caller:
        """Who sent it. Raises UNAUTHORIZED for wrong credentials, TOOMANYREQUESTS for too many of them."""
        header = request.headers.get("authorization") or ""
        scheme, _, value = header.partition(" ")
        if not header and "token=" in request.raw_query:
            scheme, value = "Bearer", request.query.get("token", "")
        elif not header:
            return Caller("", "open" if self.is_open else ANONYMOUS)
        if scheme.lower() == "bearer":
            bearer = self._tokens.bearer(value.strip(), self._seconds())
            if bearer is None or not self._still_holds(bearer):
                raise self.challenge(request, (), error="invalid_token")
            return Caller(bearer.subject, bearer.kind, bearer)
        if scheme.lower() == "basic":
            return await self.log_in(request, *_basic(value))
        raise self.challenge(request, ())

    def _still_holds(self, bearer: Bearer) -> bool:
        """Whether the one that the token was given to could get it now."""
        return self.is_open if bearer.kind == "open" else self._accounts.exists(bearer.kind, bearer.subject)

    async def log_in(self, request: Request, name: str, password: str) -> Caller:
        """Who has that name and password (or token). The same errors as `authenticate`."""
        who = request.client.rpartition(":")[0] or request.client
        self._must_not_wait(who)
        caller = await self._check(name, password, who)
        if caller is None:
            await asyncio.sleep(self._throttle.delay(who))
            raise self.challenge(request, (), message="incorrect username or password")
        self._throttle.succeeded(who)
        return caller

    def _must_not_wait(self, who: str) -> None:
        if seconds := self._throttle.wait(who):
            raise Refusal(
                "TOOMANYREQUESTS",
                "too many wrong passwords from this address",
                headers={"Retry-After": str(int(seconds) + 1)},
            )

    async def _check(self, name: str, password: str, who: str) -> Caller | None:
        if name == "AWS":
            key_id = self._tokens.password(password)
            return Caller(key_id, "key") if key_id and self._accounts.key(key_id) else None
        if self._accounts.is_robot(name, password, self._clock()):
            return Caller(name, "robot")
        value = self._accounts.password_hash(name)
        key = hashlib.sha256(f"{name}\0{password}\0{self.settings.secret}".encode()).digest()
        if value and self._is_believed(key, value):
            return Caller(name, "user")
        # A name that nobody has takes as long as a wrong password.
        async with self._hashing:
            self._must_not_wait(who)  # others from there may have failed while this one waited
            right, stale = await asyncio.to_thread(verify_password, value or nobody_hash(), password)
            if not (right and value):
                self._throttle.failed(who)
                return None
        if stale:
            value = await asyncio.to_thread(hash_password, password)
            await asyncio.to_thread(self._accounts.set_hash, name, value)
        if len(self._believed) > 10_000:
            self._believed.clear()
        self._believed[key] = value, self._seconds() + _PASSWORD_SECONDS
        return Caller(name, "user")

    def _is_believed(self, key: bytes, value: str) -> bool:
        """Whether that password was right a moment ago, and is the user's still."""
        known, until = self._believed.get(key, ("", 0))
        return known == value and self._seconds() < until

    def base_url(self, request: Request) -> str:
        """Where clients reach this registry: as configured, or as this one did."""
        return self.settings.public_url or f"{request.scheme}://{_HOST.sub('', request.host)}"

    def challenge(
        self, request: Request, scopes: Iterable[Scope], *, error: str = "", message: str = "authentication required"
    ) -> Refusal:
        """The answer that tells a client where to get a token, and for what."""
        fields = {"realm": f"{self.base_url(request)}/auth/token", "service": "wherry"}
        text = " ".join(f"{scope.kind}:{scope.name}:{','.join(scope.actions)}" for scope in scopes)
        if text:
            fields["scope"] = text
        if error:
            fields["error"] = error
        words = ",".join(f'{name}="{value}"' for name, value in fields.items())
        return Refusal("UNAUTHORIZED", message, headers={"WWW-Authenticate": f"Bearer {words}"})

    def require(self, request: Request, caller: Caller, action: str, repository: str) -> None:
        """Raises UNAUTHORIZED where a token could help, DENIED where it would not."""
        if self.permits(caller, action, repository):
            return
        bearer = caller.bearer
        if caller.kind == ANONYMOUS or (bearer is not None and action not in bearer.asked.get(repository, ())):
            actions = ("pull", "push") if action == "push" else (action,)
            error = "insufficient_scope" if bearer is not None else ""
            raise self.challenge(request, [Scope("repository", repository, actions)], error=error)
        raise Refusal("DENIED", f"requested access to the resource is denied: {action} on {repository}")

    def require_mount(self, request: Request, caller: Caller, name: str, source: str) -> None:
        """Raises UNAUTHORIZED where the caller would have to ask for a token that also reads `source`."""
        bearer = caller.bearer
        if caller.kind != ANONYMOUS and (bearer is None or "pull" in bearer.asked.get(source, ())):
            return
        if self.permits(caller, "pull", source) and self.permits(caller, "push", name):
            return
        scopes = [Scope("repository", name, ("pull", "push")), Scope("repository", source, ("pull",))]
        raise self.challenge(request, scopes, error="insufficient_scope" if bearer is not None else "")

    def permits(self, caller: Caller, action: str, repository: str) -> bool:
        """Whether the caller may do it. A token does no more than was granted with it, and than its owner may now."""
        if caller.bearer is not None and action not in caller.bearer.granted.get(repository, ()):
            return False
        if caller.bearer is not None and caller.kind == "key":
            return True  # what Amazon's clients are given for one layer says less than the policy's actions do
        return action in self.granted(caller, repository, (action,))

    def granted(self, caller: Caller, repository: str, actions: Sequence[str]) -> list[str]:
        """Those of `actions` that the caller may do with the repository, whatever a token of it says."""
        wanted = [action for action in (ACTIONS if "*" in actions else actions) if action in ACTIONS]
        if caller.kind == "open" and self.is_open:
            return wanted
        if caller.kind == "key":
            key = self._accounts.key(caller.name)
            return [action for action in wanted if key and self._iam_permits(key, action, repository)]
        allowed = self._allowed(caller, repository)
        return [action for action in wanted if action in allowed]

    def _allowed(self, caller: Caller, repository: str) -> set[str]:
        subjects = {ANONYMOUS} if caller.kind == ANONYMOUS else {ANONYMOUS, EVERYONE, caller.name}
        found: set[str] = set()
        self._refresh()
        for grant in self._grants:
            if grant.subject in subjects and _pattern(grant.pattern).fullmatch(repository):
                found.update(grant.actions)
        return set(ACTIONS) if "admin" in found else found

    def _iam_permits(self, key: AccessKey, action: str, repository: str) -> bool:
        return all(self.iam_permits(key, each, repository) for each in _IAM_ACTIONS[action])

    def iam_permits(self, key: AccessKey, action: str, repository: str = "") -> bool:
        """IAM's decision: the key's policy and the repository's together, where a Deny of either wins."""
        resource = self.settings.arn(repository) if repository else "*"
        principal = self.settings.principal(key)
        own, shared = key.statements, self._repository_policy(repository)
        if iam.denies(own, action, resource) or iam.denies(shared, action, resource, principal):
            return False
        return iam.allows(own, action, resource) or iam.allows(shared, action, resource, principal)

    def _repository_policy(self, repository: str) -> tuple[iam.Statement, ...]:
        found = metadata.get_repository(self._catalog.reading, repository) if repository else None
        return iam.parse_policy(found.policy, resource_policy=True) if found and found.policy else ()

    def may_create(self, caller: Caller, repository: str) -> bool:
        """Whether a push may make the repository: Amazon's clients make theirs by CreateRepository, as at Amazon."""
        return caller.kind != "key" or bool(metadata.get_repository(self._catalog.reading, repository))


def _basic(value: str) -> tuple[str, str]:
    try:
        name, _, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except ValueError:
        raise Refusal("UNAUTHORIZED", "malformed Authorization header", status=400) from None
    return name, password


@lru_cache(4096)
def _pattern(pattern: str) -> re.Pattern[str]:
    """`*` is anything but a slash, `**` anything; `team/**` fits everything below team, and not team itself."""
    parts = re.split(r"(\*\*|\*)", pattern)
    return re.compile("".join({"**": ".*", "*": "[^/]*"}.get(part) or re.escape(part) for part in parts))
