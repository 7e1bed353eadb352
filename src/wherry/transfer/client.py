"""Fetching manifests and blobs from a registry (distribution-spec v1.1), with the token flow that registries use.

Credentials go to the registry's own host and to the token server that it names, never to where it redirects. Plain
HTTP is spoken only to loopback addresses and to registries that the configuration lists.
"""

from __future__ import annotations

import base64
import json
import re
import time
from urllib.parse import SplitResult, urlencode, urljoin, urlsplit

from wherry.base.errors import Corrupt, Denied, NotFound, Unavailable
from wherry.base.values import NamedTuple
from wherry.oci.descriptor import MAX_MANIFEST_SIZE
from wherry.oci.digest import is_digest, sha256_digest
from wherry.oci.media_types import DOCKER_INDEX, DOCKER_MANIFEST, INDEX, MANIFEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from http.client import HTTPConnection, HTTPResponse

    from wherry.oci.descriptor import Descriptor
    from wherry.oci.reference import Reference
    from wherry.transfer.credentials import Credentials

__all__ = ["RegistryClient"]

_ACCEPT = ", ".join((MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_INDEX))
_HUB = "registry-1.docker.io"
_TIMEOUT = 30.0  # seconds
_TRIES = 4
_REDIRECTS = 5
_CHUNK = 1 << 20


class _Target(NamedTuple):
    scheme: str
    host: str
    path: str


class _Cut(Exception):
    """The connection was cut while a body was read."""


def _read(response: HTTPResponse) -> bytes:
    from http.client import HTTPException

    try:
        data = response.read(_CHUNK)
    except (OSError, HTTPException):
        raise _Cut from None
    if not data and response.length:
        raise _Cut  # fewer bytes than were announced
    return data


class RegistryClient:
    """Talks to the registry of one repository. Raises NotFound, Denied or Unavailable in words that say which."""

    def __init__(self, reference: Reference, credentials: Credentials, insecure: Collection[str] = ()) -> None:
        self._reference = reference
        self._credentials = credentials
        self._host = _HUB if reference.registry == "docker.io" else reference.registry
        plain = _is_loopback(self._host) or reference.registry in insecure
        self._schemes = ("http", "https") if plain else ("https",)
        self._scheme = self._schemes[0]
        self._authorization = ""
        self._answered = ""  # the host that gave the last answer; only the registry's own may ask for credentials
        self._connection: tuple[str, HTTPConnection] | None = None

    def manifest(self, tag_or_digest: str) -> tuple[str, str, bytes]:
        """Media type, digest and bytes of a manifest or index, checked where a digest was asked for."""
        response = self._get(f"/v2/{self._reference.repository}/manifests/{tag_or_digest}", _ACCEPT)
        data = b""
        try:
            while len(data) <= MAX_MANIFEST_SIZE and (piece := _read(response)):
                data += piece
        except _Cut:
            raise Unavailable(f"{self._host} cut the connection", hint="try again") from None
        if len(data) > MAX_MANIFEST_SIZE:
            raise Corrupt(f"the manifest of {self._reference.familiar()} is larger than {MAX_MANIFEST_SIZE} bytes")
        digest = sha256_digest(data)
        if is_digest(tag_or_digest) and digest != tag_or_digest:
            raise Corrupt(f"the manifest {tag_or_digest} hashes to {digest}", hint="the registry is not to be trusted")
        return (response.headers.get("Content-Type") or "").partition(";")[0], digest, data

    def blob(self, descriptor: Descriptor, write: Callable[[bytes], object], advance: Callable[[int], object]) -> None:
        """Give the blob's bytes to `write`, the rest after a cut connection too. The caller checks the digest."""
        done = 0
        for attempt in range(_TRIES):
            try:
                response = self._get(self._blob_path(descriptor), "*/*", first=done)
                if done and response.status != 206:
                    raise Unavailable("the registry does not resume a download that was cut off")
                while data := _read(response):
                    write(data)
                    done += len(data)
                    advance(done)
                if done >= descriptor.size:
                    return
            except _Cut:
                pass
            self._close()
            _wait(attempt, "")
        raise Unavailable(f"the download of {descriptor.digest} was cut off {_TRIES} times", hint="try again")

    def _blob_path(self, descriptor: Descriptor) -> str:
        return f"/v2/{self._reference.repository}/blobs/{descriptor.digest}"

    def _get(self, path: str, accept: str, *, first: int = 0) -> HTTPResponse:
        """The answer to a GET, after authentication, redirects and pauses that were asked for."""
        for attempt in range(_TRIES):
            response = self._follow(path, accept, first)
            if response.status in (200, 206):
                return response
            if response.status == 401 and attempt < 2 and self._answered == self._host and self._authenticate(response):
                continue
            if response.status not in (429, 500, 502, 503, 504):
                raise self._refusal(response)
            retry = response.headers.get("Retry-After") or ""
            self._close()
            _wait(attempt, retry)
        raise Unavailable(f"{self._host} answers {response.status} to every request", hint="try again later")

    def _follow(self, path: str, accept: str, first: int) -> HTTPResponse:
        target = _Target(self._scheme, self._host, path)
        for _ in range(_REDIRECTS):
            headers = {"Accept": accept, "User-Agent": "wherry"}
            if first:
                headers["Range"] = f"bytes={first}-"
            if self._authorization and target.host == self._host:
                headers["Authorization"] = self._authorization
            response = self._request(target, headers)
            self._answered = target.host
            if response.status not in (301, 302, 303, 307, 308):
                return response
            response.read(_CHUNK)
            where = _location(target, response.headers.get("Location") or "")
            if where.scheme not in ("https", self._scheme):
                raise Denied(f"{self._host} redirects to {where.scheme}://, which is not safe")
            target = _Target(where.scheme, where.netloc, where.path + (f"?{where.query}" if where.query else ""))
        raise Unavailable(f"{self._host} redirects without end")

    def _request(self, target: _Target, headers: dict[str, str]) -> HTTPResponse:
        """One request; a kept connection that the other side closed is opened again, a plain one is tried with TLS."""
        from http.client import HTTPException

        for attempt in (1, 2):
            kept = self._connection is not None
            try:
                connection = self._connect(target)
                connection.request("GET", target.path, headers=headers)
                return connection.getresponse()
            except (OSError, HTTPException) as error:
                self._close()
                if kept and attempt == 1:
                    continue
                reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
                raise Unavailable(
                    f"cannot reach {target.host}: {reason}", hint="is the name right, and is there a way to it?"
                ) from None
        raise Unavailable(f"cannot reach {target.host}")

    def _connect(self, target: _Target) -> HTTPConnection:
        key = f"{target.scheme}://{target.host}"
        if self._connection is not None and self._connection[0] == key:
            return self._connection[1]
        self._close()
        if target.scheme == "http":
            from http.client import HTTPConnection

            connection = HTTPConnection(target.host, timeout=_TIMEOUT)
        else:
            import ssl
            from http.client import HTTPSConnection

            connection = HTTPSConnection(target.host, timeout=_TIMEOUT, context=ssl.create_default_context())
        self._connection = (key, connection)
        return connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection[1].close()
            self._connection = None

    def _refusal(self, response: HTTPResponse) -> NotFound | Denied | Unavailable:
        name = self._reference.familiar()
        details = _error_words(response.read(65536))
        if response.status == 404:
            return NotFound(f"{name} is not in its registry: {details or 'not found'}")
        if response.status in (401, 403):
            return Denied(
                f"pull access denied for {self._reference.familiar_name()}, repository does not exist or may require"
                f" 'docker login'{': ' + details if details else ''}"
            )
        return Unavailable(f"{self._host} answers {response.status} for {name}{': ' + details if details else ''}")

    def _authenticate(self, response: HTTPResponse) -> bool:
        """Get what the challenge asks for; whether there is something new to try."""
        challenge = response.headers.get("WWW-Authenticate") or ""
        response.read(_CHUNK)
        found = self._credentials.find(self._reference.registry)
        if challenge.lower().startswith("basic"):
            before, self._authorization = self._authorization, _basic(found) if found else ""
            return bool(found) and before != self._authorization
        if not challenge.lower().startswith("bearer"):
            return False
        fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        token = self._token(fields, found)
        self._authorization = f"Bearer {token}" if token else ""
        return bool(token)

    def _token(self, fields: dict[str, str], found: tuple[str, str] | None) -> str:
        realm = urlsplit(fields.get("realm", ""))
        if realm.scheme != "https" and not (realm.scheme == "http" and _is_loopback(realm.netloc)):
            raise Denied(f"{self._host} names a token server that is not safe: {fields.get('realm', '')!r}")
        scope = fields.get("scope") or f"repository:{self._reference.repository}:pull"
        query = urlencode({"service": fields.get("service", ""), "scope": scope})
        headers = {"User-Agent": "wherry", **({"Authorization": _basic(found)} if found else {})}
        answer = self._request(_Target(realm.scheme, realm.netloc, f"{realm.path}?{query}"), headers)
        data = answer.read(1 << 20)
        if answer.status != 200:
            return ""
        try:
            value = json.loads(data)
            token = str(value.get("token") or value.get("access_token") or "")
        except (ValueError, AttributeError, RecursionError):
            raise Unavailable(f"the token server {realm.netloc} does not answer with a token") from None
        if not token.isascii() or not token.isprintable():
            raise Denied(f"the token server {realm.netloc} gives a malformed token")
        return token


def _basic(found: tuple[str, str]) -> str:
    return "Basic " + base64.b64encode(f"{found[0]}:{found[1]}".encode()).decode()


def _location(target: _Target, text: str) -> SplitResult:
    """Where a redirect leads. Raises Unavailable for what is no address."""
    try:
        return urlsplit(urljoin(f"{target.scheme}://{target.host}{target.path}", text.encode("ascii").decode()))
    except ValueError:
        raise Unavailable(f"{target.host} redirects to what is no address: {text!r:.100}") from None


def _is_loopback(host: str) -> bool:
    """Whether `host` (with a port or not) is this machine by its very address; names that look like one are not."""
    from ipaddress import ip_address

    name = urlsplit(f"//{host}").hostname or ""
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def _wait(attempt: int, retry_after: str) -> None:
    """Pause before the next try, as long as was asked for, at most half a minute."""
    time.sleep(min(float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.25 * 2**attempt, 30.0))


def _error_words(data: bytes) -> str:
    try:
        errors = json.loads(data).get("errors") or []
        return "; ".join(str(error.get("message") or error.get("code")) for error in errors)
    except (ValueError, AttributeError, TypeError, RecursionError):
        return ""
