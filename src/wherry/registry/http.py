"""Requests and answers as values, so that the API can be called without a server and served by any."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl

from wherry.base.values import NamedTuple
from wherry.registry.errors import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from typing import Any

__all__ = ["BlobBody", "Disconnected", "Request", "Response", "json_response"]


class Disconnected(Exception):  # noqa: N818 (it is what happened)
    """The client went away, or fell silent, before its request was whole."""


class BlobBody(NamedTuple):
    """A blob or a part of it: from `start` up to, and without, `end`."""

    digest: str
    start: int
    end: int


class Response(NamedTuple):
    """An answer. A HEAD request gets the headers of the same GET without its body."""

    status: int
    headers: dict[str, str]
    body: bytes | BlobBody = b""


class Request:
    """What was asked. Header names are lower case; `body` gives the bytes as they arrive and is read once."""

    def __init__(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: Callable[[], AsyncIterator[bytes]] | None = None,
        *,
        client: str = "",
        scheme: str = "http",
    ) -> None:
        self.method = method
        self.path = path
        self.raw_query = query
        self.headers: Mapping[str, str] = headers or {}
        self.client = client
        self.scheme = scheme
        self._body = body
        self._query: dict[str, str] | None = None

    @property
    def host(self) -> str:
        """The name and port that the client used."""
        return self.headers.get("host") or "localhost"

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters, the last of each name."""
        if self._query is None:
            self._query = dict(self.parameters())
        return self._query

    def parameters(self) -> list[tuple[str, str]]:
        """The query's parameters, repeated ones too."""
        try:
            return parse_qsl(self.raw_query, keep_blank_values=True, max_num_fields=100)
        except ValueError:
            return []

    @property
    def content_length(self) -> int:
        """What the client announced; -1 where it did not. Raises SIZE_INVALID for what is no length."""
        text = self.headers.get("content-length")
        if text is None:
            return -1
        if not (text.isascii() and text.isdigit()):
            raise Refusal("SIZE_INVALID", "invalid Content-Length")
        return int(text)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives."""
        if self._body is not None:
            async for chunk in self._body():
                yield chunk

    async def read(self, limit: int) -> bytes:
        """The whole of a small body. Raises SIZE_INVALID (413) where it has more than `limit` bytes."""
        if self.content_length > limit:
            raise _too_large(limit)
        parts, size = [], 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            parts.append(chunk)
        return b"".join(parts)


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`value` as JSON."""
    body = json.dumps(value, separators=(",", ":")).encode()
    return Response(status, {"Content-Type": "application/json", **(headers or {})}, body)


def _too_large(limit: int) -> Refusal:
    return Refusal("SIZE_INVALID", f"the body has more than the {limit} bytes that are accepted", status=413)
