"""One repository of a registry, as distribution-spec v1.1 speaks: manifests, blobs, tags, uploads.

Every request is authenticated as the registry asks, follows redirects without taking credentials along, and is tried
again after 429 and 5xx answers and cut connections. What is read is checked against its digest and size.
"""

from __future__ import annotations

import json
import time
from threading import Lock
from urllib.parse import urljoin, urlsplit

from wherry.base.errors import Corrupt, Denied, NotFound, Unavailable, Unsupported, WherryError
from wherry.base.values import NamedTuple
from wherry.oci.descriptor import MAX_MANIFEST_SIZE, Descriptor
from wherry.oci.digest import is_digest, sha256_digest
from wherry.oci.media_types import DOCKER_INDEX, DOCKER_MANIFEST, INDEX, MANIFEST, SCHEMA_1
from wherry.transfer.auth import Authenticator, parse_challenges, pull_scope, push_scope
from wherry.transfer.proxies import is_loopback
from wherry.transfer.transport import Cut, Origin, Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from wherry.oci.reference import Reference
    from wherry.transfer.credentials import Credentials, Login
    from wherry.transfer.transport import Answer

    Content = bytes | Callable[[], Iterable[bytes]] | None

__all__ = ["Document", "RegistryClient", "RegistrySettings", "error_words", "wait_before_try"]

_ACCEPT = ", ".join((MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_INDEX, *sorted(SCHEMA_1)))
_HUB = "registry-1.docker.io"
_TRIES = 5
_REDIRECTS = 5
_ERROR_BODY = 1 << 16
_LONGEST_WAIT = 30.0  # seconds
_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_NO_STREAMS = (400, 405, 411, 413, 415, 501)
_MOST_TAGS = 100_000


class Document(NamedTuple):
    """A manifest or index as it was given: its bytes are what its digest speaks of."""

    media_type: str
    digest: str
    data: bytes

    @property
    def descriptor(self) -> Descriptor:
        """For an index or an upload."""
        return Descriptor(self.media_type, self.digest, len(self.data))


class RegistrySettings(NamedTuple):
    """How registries are reached: which without TLS (or with any certificate), whose CAs, through which proxies."""

    insecure: Collection[str] = ()
    certificates: str = "/etc/docker/certs.d"
    environ: Mapping[str, str] = {}  # noqa: RUF012 (a value is never changed)


class RegistryClient:
    """Talks to the registry of one repository; several threads may use it at once.

    Raises NotFound, Denied or Unavailable in words that say which, Corrupt for bytes that are not what was asked for.
    """

    def __init__(
        self, reference: Reference, credentials: Credentials, settings: RegistrySettings | None = None
    ) -> None:
        self.reference = reference
        self.repository = reference.repository
        self.host = _HUB if reference.registry == "docker.io" else reference.registry
        self._credentials = credentials
        settings = settings or RegistrySettings()
        self._insecure = frozenset(settings.insecure)
        unverified = [self.host] if self._may_be_plain(self.host) else []
        self._transport = Transport(settings.certificates, settings.environ, unverified)
        self._known: tuple[Origin, Authenticator] | None = None
        self._lock = Lock()

    def _may_be_plain(self, host: str) -> bool:
        return is_loopback(host) or host in self._insecure

    def _registry(self) -> tuple[Origin, Authenticator]:
        """The registry's origin, with TLS wherever it answers to that, and who authenticates there."""
        with self._lock:
            if self._known is None:
                plain = self._may_be_plain(self.host) and not self._transport.speaks_tls(self.host)
                origin = Origin("http" if plain else "https", self.host)
                find = self._find_login
                self._known = (origin, Authenticator(origin, self._transport, find, self._may_be_plain))
            return self._known

    def _find_login(self) -> Login | None:
        return self._credentials.find(self.reference.registry)

    def close(self) -> None:
        """Give the connections back."""
        self._transport.close()

    def abort(self) -> None:
        """End what other threads are asking."""
        self._transport.abort()

    def sign_in(self, login: Login) -> str:
        """Try a login; the identity token that the registry gives in its place, or empty. Raises Denied."""
        origin, authenticator = self._registry()
        answer = self._send("GET", origin, "/v2/", {}, None)
        offered = {each.scheme: each.fields for each in parse_challenges(answer.header("WWW-Authenticate"))}
        identity = ""
        if answer.status == 401:
            from wherry.transfer.auth import basic

            answer.close()
            header = basic(login)
            if "bearer" in offered:
                header, identity = authenticator.sign_in(offered["bearer"], login)
            answer = self._send("GET", origin, "/v2/", {"Authorization": header}, None)
        body = answer.all(_ERROR_BODY)
        if answer.status == 401:
            words = error_words(body) or "the registry refuses these credentials"
            raise Denied(f'Get "{origin}/v2/": unauthorized: {words}', hint="check the user name and the password")
        if answer.status != 200:
            words = error_words(body) or "it does not answer as a registry does"
            raise Unavailable(f'Get "{origin}/v2/": {answer.status}: {words}', hint="is the name right?")
        return identity

    def manifest(self, tag_or_digest: str) -> Document:
        """A manifest or index, whose digest is checked where one was asked for or is announced."""
        with self._call("GET", self._path("manifests", tag_or_digest), {"Accept": _ACCEPT}) as answer:
            try:
                data = answer.all(MAX_MANIFEST_SIZE)
            except Cut:
                raise Unavailable(f"{self.host} cut the connection", hint="try again") from None
            if len(data) > MAX_MANIFEST_SIZE:
                raise Corrupt(f"the manifest of {self.reference.familiar()} is larger than {MAX_MANIFEST_SIZE} bytes")
            digest = sha256_digest(data)
            if is_digest(tag_or_digest) and digest != tag_or_digest:
                raise Corrupt(
                    f"the manifest {tag_or_digest} hashes to {digest}", hint="the registry is not to be trusted"
                )
            return Document(answer.header("Content-Type").partition(";")[0].strip(), digest, data)

    def digest_of(self, tag_or_digest: str) -> str:
        """The digest that the registry announces for a manifest, empty where it has none of that name."""
        path = self._path("manifests", tag_or_digest)
        with self._call("HEAD", path, {"Accept": _ACCEPT}, expect=(200, 404)) as answer:
            return answer.header("Docker-Content-Digest") if answer.status == 200 else ""

    def tags(self) -> list[str]:
        """All tags of the repository, page by page. Raises Unavailable for a list without end."""
        path, tags, seen = self._path("tags", "list"), [], set()
        while path:
            seen.add(path)
            with self._call("GET", path, {}) as answer:
                try:
                    found = json.loads(answer.all(MAX_MANIFEST_SIZE)).get("tags") or []
                    tags += [str(tag) for tag in found]
                except (Cut, ValueError, AttributeError, TypeError, RecursionError):
                    raise Unavailable(f"{self.host} does not answer with a list of tags") from None
                path = _next_page(answer.header("Link"), path)
            if path in seen or len(tags) > _MOST_TAGS:
                raise Unavailable(f"{self.host} lists tags without end")
        return tags

    def has_blob(self, digest: str) -> bool:
        """Whether the repository holds the blob."""
        with self._call("HEAD", self._path("blobs", digest), {}, expect=(200, 404)) as answer:
            return answer.status == 200

    def open_blob(self, digest: str, first: int = 0) -> tuple[Answer, int]:
        """The blob's bytes from `first` on, and where the answer really begins (a registry may know no ranges)."""
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={first}-"} if first else {})
        answer = self._call("GET", self._path("blobs", digest), headers, expect=(200, 206))
        if answer.status == 200 or not first:
            return answer, 0
        if not answer.header("Content-Range").startswith(f"bytes {first}-"):
            answer.close()
            raise Corrupt(f"{self.host} answers with another part of {digest} than was asked for")
        return answer, first

    def open_url(self, url: str) -> Answer:
        """A blob that is somewhere else altogether (a foreign layer): over TLS, without any credentials."""
        where = urlsplit(url)
        if where.scheme != "https" or not where.hostname or where.username is not None:
            raise Denied(f"a layer is to be fetched from {url!r:.200}, which is not safe")
        path = (where.path or "/") + (f"?{where.query}" if where.query else "")
        answer = self._follow("GET", Origin("https", where.netloc), path, {}, None)
        if answer.status != 200:
            raise self._refusal("GET", answer.status, answer.all(_ERROR_BODY), url)
        return answer

    def start_upload(self, mount: str = "", source: str = "") -> str:
        """Where a blob is to be sent; empty where it was mounted from the repository `source` instead."""
        query = f"?mount={mount}&from={source}" if source else ""
        path = self._path("blobs", "uploads/") + query
        also = frozenset((pull_scope(source),)) if source else frozenset[str]()
        expect = (201, 202, 401, 403, 404, 400, 405) if source else (202,)
        with self._call("POST", path, {"Content-Length": "0"}, write=True, expect=expect, also=also) as answer:
            if answer.status == 201:
                return ""
            if answer.status != 202:  # what may not be mounted can still be sent
                return self.start_upload()
            return self._session(answer, path)

    def send_part(self, session: str, content: Content) -> str:
        """Send bytes of a length that is not known yet; where the upload goes on. Tried once.

        Raises Unsupported where the registry takes no bodies of unknown length.
        """
        headers, expect = {"Content-Type": "application/octet-stream"}, (202, 204, *_NO_STREAMS)
        with self._call("PATCH", session, headers, content, write=True, expect=expect, tries=1) as answer:
            if answer.status in _NO_STREAMS:
                raise Unsupported(f"{self.host} answers {answer.status} to a streamed upload")
            return self._session(answer, session)

    def finish_upload(self, session: str, digest: str, content: Content = None, size: int = 0) -> None:
        """End an upload, with the rest of its bytes. Raises Corrupt where the registry holds another digest."""
        joined = f"{session}{'&' if '?' in session else '?'}digest={digest}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        with self._call("PUT", joined, headers, content, write=True, expect=(201, 204), tries=1) as answer:
            self._check_digest(answer, digest)

    def put_manifest(self, document: Document, tag_or_digest: str) -> None:
        """Store a manifest or index under a tag or its digest."""
        path, headers = self._path("manifests", tag_or_digest), {"Content-Type": document.media_type}
        with self._call("PUT", path, headers, document.data, write=True, expect=(200, 201, 202)) as answer:
            self._check_digest(answer, document.digest)

    def _check_digest(self, answer: Answer, digest: str) -> None:
        said = answer.header("Docker-Content-Digest")
        if said.startswith("sha256:") and said != digest:
            raise Corrupt(f"{self.host} stored {said} in the place of {digest}", hint="push again")

    def _session(self, answer: Answer, path: str) -> str:
        """The address that an upload goes on at: a path of the registry, or an address elsewhere."""
        location = answer.header("Location")
        if not location:
            raise Unavailable(f"{self.host} does not say where to upload to")
        return self._locate(self._registry()[0], path, location)

    def _locate(self, origin: Origin, path: str, location: str) -> str:
        """`location` as an address. Raises Unavailable for what is none, Denied for one that is less safe."""
        try:
            base = path if "://" in path else f"{origin}{path}"
            where = urlsplit(urljoin(base, location.encode("ascii").decode()))
            if not where.hostname:
                raise ValueError
            _ = where.port
        except ValueError:
            raise Unavailable(f"{origin.host} redirects to what is no address: {location!r:.100}") from None
        if where.scheme not in ("https", self._registry()[0].scheme):
            raise Denied(f"{origin.host} redirects to {where.scheme}://, which is not safe")
        return where._replace(fragment="").geturl()

    def _path(self, kind: str, name: str) -> str:
        return f"/v2/{self.repository}/{kind}/{name}"

    def _call(
        self,
        method: str,
        address: str,
        headers: Mapping[str, str],
        content: Content = None,
        *,
        write: bool = False,
        expect: Collection[int] = (200,),
        also: frozenset[str] = frozenset(),
        tries: int = _TRIES,
    ) -> Answer:
        """The answer to a request that needs to read (or `write`) here, once it is one of `expect`."""
        scopes = frozenset((push_scope(self.repository) if write else pull_scope(self.repository), *also))
        why = ""
        for attempt in range(tries):
            try:
                answer = self._authorized(method, address, headers, content, scopes)
            except Cut as cut:
                why, pause = f"{self.host} cut the connection: {cut}", ""
            else:
                if answer.status in expect:
                    return answer
                body = _body(answer)
                if answer.status not in _AGAIN:
                    raise self._refusal(method, answer.status, body, address, write=write)
                why, pause = f"{self.host} answers {answer.status} {error_words(body)}".rstrip(), _pause(answer)
            if attempt + 1 < tries:
                wait_before_try(attempt, pause)
        raise Unavailable(why, hint="try again later")

    def _authorized(
        self, method: str, address: str, headers: Mapping[str, str], content: Content, scopes: frozenset[str]
    ) -> Answer:
        """One request; after a 401 from the registry itself, the same again as it asks for."""
        origin, authenticator = self._registry()
        for _ in range(3):
            sent = authenticator.header(scopes)
            where, path = _split(address, origin)
            trusted = {"Authorization": sent} if sent else {}
            answer = self._follow(method, where, path, headers, content, trusted)
            if answer.status != 401 or answer.origin != origin:
                return answer
            if not authenticator.answer(answer, scopes, sent):
                return answer
            _body(answer)
        return answer

    def _follow(
        self,
        method: str,
        origin: Origin,
        path: str,
        headers: Mapping[str, str],
        content: Content,
        trusted: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request and its redirects; `trusted` headers go to the registry itself alone."""
        for _ in range(_REDIRECTS):
            own = trusted if trusted and origin == self._registry()[0] else {}
            answer = self._send(method, origin, path, {**headers, **own}, content)
            if answer.status not in (301, 302, 303, 307, 308) or method not in ("GET", "HEAD"):
                return answer
            answer.all(_ERROR_BODY)
            address = self._locate(origin, path, answer.header("Location"))
            origin, path = _split(address, origin)
        raise Unavailable(f"{self.host} redirects without end")

    def _send(self, method: str, origin: Origin, path: str, headers: Mapping[str, str], content: Content) -> Answer:
        body = content() if callable(content) else content
        return self._transport.send(method, origin, path, headers, body)

    def _refusal(self, method: str, status: int, body: bytes, address: str, *, write: bool = False) -> WherryError:
        name, words = self.reference.familiar(), error_words(body)
        if status == 404 and not write:
            what = f"manifest for {name} not found" if "/manifests/" in address else f"{name} is not in its registry"
            return NotFound(f"{what}: {words or 'not found'}", hint="check the name and the tag")
        if status in (401, 403) and write:
            why = words or ("authentication required" if status == 401 else "the registry refuses")
            return Denied(
                f"push access denied for {self.reference.familiar_name()}: {why}",
                hint=f"`wherry login {_login_name(self.reference)}` with an account that may push there",
            )
        if status in (401, 403):
            return Denied(
                f"pull access denied for {self.reference.familiar_name()}, repository does not exist or may require"
                f" 'docker login'{': ' + words if words else ''}",
                hint=f"`wherry login {_login_name(self.reference)}`",
            )
        return Unavailable(f"{self.host} answers {status} to {method} for {name}{': ' + words if words else ''}")


def _login_name(reference: Reference) -> str:
    return "" if reference.registry == "docker.io" else reference.registry


def _split(address: str, origin: Origin) -> tuple[Origin, str]:
    """An address as whom to ask and what for; a mere path is asked of `origin`."""
    if "://" not in address:
        return origin, address
    where = urlsplit(address)
    path = (where.path or "/") + (f"?{where.query}" if where.query else "")
    host = where.netloc.rpartition("@")[2]
    same = host.lower() == origin.host.lower() and where.scheme == origin.scheme
    return origin if same else Origin(where.scheme, host), path


def _body(answer: Answer) -> bytes:
    try:
        return answer.all(_ERROR_BODY)
    except Cut:
        return b""


def _next_page(link: str, path: str) -> str:
    """The path of the next page (RFC 8288, `rel="next"`), of the same registry whatever host it names."""
    target, _, parameters = link.partition(">")
    if not target.startswith("<") or "next" not in parameters:
        return ""
    where = urlsplit(urljoin(path, target[1:]))
    return where.path + (f"?{where.query}" if where.query else "")


def _pause(answer: Answer) -> str:
    return answer.header("Retry-After")


def wait_before_try(attempt: int, retry_after: str = "") -> None:
    """Pause before the next try, as long as was asked for (a number of seconds or a date), at most half a minute."""
    time.sleep(min(max(_seconds(retry_after, 0.25 * 2**attempt), 0.0), _LONGEST_WAIT))


def _seconds(retry_after: str, otherwise: float) -> float:
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    if not retry_after:
        return otherwise
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(retry_after).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return otherwise


def error_words(data: bytes) -> str:
    """What a registry's error body says (distribution-spec v1.1, error codes), as Docker words it; else nothing."""
    try:
        errors = json.loads(data).get("errors") or []
        text = "; ".join(_one(error) for error in errors)[:2000]
    except (ValueError, AttributeError, TypeError, RecursionError):
        return ""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _one(error: dict[str, str]) -> str:
    code = str(error.get("code") or "").lower().replace("_", " ")
    message = str(error.get("message") or "")
    return ": ".join(part for part in (code, message) if part)
