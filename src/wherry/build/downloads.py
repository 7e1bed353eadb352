"""ADD of a URL: what is there, found without fetching it again where the server says that it has not changed.

The file is known by its digest, which decides the cache key; its bytes are fetched when a layer is made of them.
"""

from __future__ import annotations

import os
import re
from hashlib import sha256

from wherry.base.errors import Corrupt, InvalidInput, NotFound, Unavailable
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPResponse

    from wherry.build.cache import BuildCache

__all__ = ["Download", "look_up"]

_TIMEOUT = 60.0  # seconds
_CHUNK = 1 << 20


class Download(NamedTuple):
    """A remote file: the name that it gets, its digest, and when it last changed (seconds; 0 where nobody says)."""

    url: str
    name: str
    digest: str
    modified: int

    def save(self, path: str) -> None:
        """Fetch it into the new file `path`. Raises Corrupt where it is not what the digest says."""
        with open(path, "xb") as file:
            digest, _ = _fetch(self.url, file.write)
        if digest != self.digest:
            raise Corrupt(
                f"digest mismatch for {self.url}: it is {digest}, not {self.digest}",
                hint="correct --checksum, or find out who changed the file",
            )


def look_up(cache: BuildCache, url: str, checksum: str) -> Download:
    """What is at the URL. With a `checksum` only the time of its last change is asked for.

    Raises NotFound, Unavailable, and InvalidInput for a checksum that is none.
    """
    name = os.path.basename(re.sub(r"[?#].*", "", url).partition("://")[2].partition("/")[2]) or "__unnamed__"
    if checksum:
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", checksum):
            raise InvalidInput(f"invalid checksum digest format: {checksum}", hint="give sha256: and 64 hexadecimals")
        return Download(url, name, checksum, _modified(cache, url, checksum))
    known = cache.download(url)
    response = _open(url, {"If-None-Match": known.tag} if known and known.tag else {})
    if response is None and known is not None:
        return Download(url, name, known.digest, known.modified)
    assert response is not None
    with response:
        digest = _digest(response, lambda _: None)
        modified = _last_change(response)
        cache.remember_download(url, response.headers.get("ETag") or "", digest, modified)
    return Download(url, name, digest, modified)


def _modified(cache: BuildCache, url: str, checksum: str) -> int:
    """When a file that its checksum names last changed: remembered, or asked for without its bytes."""
    known = cache.download(url)
    if known is not None and known.digest == checksum:
        return known.modified
    response = _open(url, {})
    assert response is not None
    with response:
        modified = _last_change(response)
    cache.remember_download(url, "", checksum, modified)
    return modified


def _fetch(url: str, write: Callable[[bytes], object]) -> tuple[str, int]:
    response = _open(url, {})
    assert response is not None
    with response:
        return _digest(response, write), _last_change(response)


def _digest(response: HTTPResponse, write: Callable[[bytes], object]) -> str:
    from http.client import HTTPException

    hasher = sha256()
    try:
        while data := response.read(_CHUNK):
            hasher.update(data)
            write(data)
    except (OSError, HTTPException) as error:
        raise Unavailable(f"the download was cut off: {error}", hint="try again") from None
    if response.length:
        raise Unavailable(f"the download was cut off, {response.length} bytes before its end", hint="try again")
    return "sha256:" + hasher.hexdigest()


def _last_change(response: HTTPResponse) -> int:
    from email.utils import parsedate_to_datetime

    try:
        return max(int(parsedate_to_datetime(response.headers["Last-Modified"]).timestamp()), 0)
    except (TypeError, ValueError):
        return 0


def _open(url: str, headers: dict[str, str]) -> HTTPResponse | None:
    """The answer; None for "not changed". Redirects and the environment's proxies are followed."""
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    try:
        request = Request(url, headers={"User-Agent": "wherry", **headers})  # noqa: S310 (the caller took http(s) only)
        response: HTTPResponse = urlopen(request, timeout=_TIMEOUT)  # noqa: S310
    except HTTPError as error:
        if error.code == 304:
            return None
        kind = NotFound if error.code in (404, 410) else Unavailable
        raise kind(f"invalid response status {error.code} for {url}", hint="is the address right?") from None
    except (URLError, HTTPException, OSError, ValueError) as error:
        raise Unavailable(
            f"cannot fetch {url}: {getattr(error, 'reason', error)}", hint="is the address right?"
        ) from None
    return response
