"""The distribution API (distribution-spec v1.1, and of its main branch: upload cancellation): what each request does.

Each method takes a request that has been let in and returns its answer, or raises `Refusal`.
"""

from __future__ import annotations

import hashlib
import json
import re
from urllib.parse import quote

from wherry.base.errors import Unavailable
from wherry.registry import metadata
from wherry.registry.errors import Refusal
from wherry.registry.http import BlobBody, Response, json_response
from wherry.registry.manifests import MAX_SIZE, examine
from wherry.registry.names import check_digest, check_repository, check_tag, is_any_digest
from wherry.registry.uploads import ensure_repository

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from typing import Any

    from wherry.registry.access import Access, Caller
    from wherry.registry.audit import Audit
    from wherry.registry.catalog import Catalog
    from wherry.registry.http import Request
    from wherry.registry.metadata import StoredManifest
    from wherry.registry.uploads import Uploads

__all__ = ["Distribution"]

_TOUCH = 600 * 1_000_000_000  # a blob that is asked for is noted as wanted, at most so often
_INDEX = "application/vnd.oci.image.index.v1+json"
_MAX_PAGE = 10_000
_MAX_INDEX = 3 << 20  # bytes; clients need not take more than 4 MiB of a manifest
_CACHED = 512
_CACHED_BYTES = 65536


class Distribution:
    """One registry's distribution API."""

    def __init__(
        self,
        catalog: Catalog,
        uploads: Uploads,
        access: Access,
        audit: Audit,
        clock: Callable[[], int],
    ) -> None:
        self._catalog = catalog
        self._uploads = uploads
        self._access = access
        self._audit = audit
        self._clock = clock
        self._manifests: dict[tuple[str, str], StoredManifest] = {}
        self._version = -2
        self._touched: dict[tuple[str, str], int] = {}

    # Pull

    async def get_manifest(self, request: Request, caller: Caller, name: str, reference: str) -> Response:
        """By tag or digest, as the bytes that were pushed, with the media type that they were pushed with."""
        self._access.require(request, caller, "pull", name)
        found = self._manifest(name, reference)
        headers = {
            "Content-Type": found.media_type,
            "Docker-Content-Digest": found.digest,
            "ETag": f'"{found.digest}"',
            "Content-Length": str(len(found.data)),
        }
        if found.digest in (request.headers.get("if-none-match") or ""):
            del headers["Content-Length"]
            return Response(304, headers)
        return Response(200, headers, found.data)

    def _manifest(self, name: str, reference: str) -> StoredManifest:
        if self._catalog.version != self._version or len(self._manifests) > _CACHED:
            self._manifests.clear()
            self._version = self._catalog.version
        found = self._manifests.get((name, reference))
        if found is None:
            if ":" in reference:
                check_digest(reference)
            found = metadata.find_manifest(self._catalog.reading, name, reference)
            if found is None:
                raise self._unknown_manifest(name, reference)
            if len(found.data) <= _CACHED_BYTES:
                self._manifests[name, reference] = found
        return found

    def _unknown_manifest(self, name: str, reference: str) -> Refusal:
        self._must_exist(name)
        return Refusal("MANIFEST_UNKNOWN", f"manifest unknown: {name}:{reference}", detail={"reference": reference})

    def _must_exist(self, name: str) -> None:
        if metadata.get_repository(self._catalog.reading, name) is None:
            raise Refusal(
                "NAME_UNKNOWN",
                f"The repository with name '{name}' does not exist in the registry",
                detail={"name": name},
            )

    async def get_blob(self, request: Request, caller: Caller, name: str, digest: str) -> Response:
        """The bytes, or the range of them that was asked for (RFC 9110 section 14)."""
        self._access.require(request, caller, "pull", name)
        check_digest(digest)
        size = metadata.has_blob(self._catalog.reading, name, digest)
        if size is None:
            raise Refusal("BLOB_UNKNOWN", "blob unknown to registry", detail={"digest": digest})
        if request.method == "HEAD":
            await self._touch(name, digest)
        headers = {
            "Content-Type": "application/octet-stream",
            "Docker-Content-Digest": digest,
            "ETag": f'"{digest}"',
            "Accept-Ranges": "bytes",
            "Cache-Control": "max-age=31536000, immutable",
        }
        wanted = _byte_range(request.headers.get("range") or "", size)
        if wanted is None:
            return Response(200, {**headers, "Content-Length": str(size)}, BlobBody(digest, 0, size))
        start, end = wanted
        if start >= end:
            raise Refusal(
                "SIZE_INVALID", "the range is not in the blob", status=416, headers={"Content-Range": f"bytes */{size}"}
            )
        headers |= {"Content-Range": f"bytes {start}-{end - 1}/{size}", "Content-Length": str(end - start)}
        return Response(206, headers, BlobBody(digest, start, end))

    async def _touch(self, name: str, digest: str) -> None:
        """Whoever asks for a blob may be about to name it in a manifest."""
        now, key = self._clock(), (name, digest)
        if now - self._touched.get(key, 0) < _TOUCH:
            return
        if len(self._touched) > 100_000:
            self._touched.clear()
        self._touched[key] = now
        try:
            await self._uploads.change(lambda db: metadata.touch_blob(db, name, digest, now))
        except Unavailable:
            # On a full disk pulls go on. The manifest that may follow is refused if the blob should go before it comes.
            del self._touched[key]

    # Push

    async def begin_upload(self, request: Request, caller: Caller, name: str) -> Response:
        """POST: mount from another repository, or take the whole blob at once, or begin an upload."""
        query = request.query
        if "mount" in query and query.get("from"):
            self._access.require_mount(request, caller, name, check_repository(query["from"]))
        self._access.require(request, caller, "push", name)
        if not self._access.may_create(caller, name):
            self._must_exist(name)
        if "mount" in query:
            mounted = await self._mount(caller, name, query["mount"], query.get("from", ""))
            if mounted is not None:
                return mounted
        algorithm = query.get("digest-algorithm", "sha256")
        if algorithm not in ("sha256", "sha512"):
            raise Refusal("DIGEST_INVALID", f"unsupported digest algorithm: {algorithm!r:.40}")
        upload_id = await self._uploads.begin(name, caller.name)
        if "digest" in query:
            await self._uploads.finish_at_once(name, upload_id, query["digest"], request)
            return self._created_blob(name, query["digest"])
        return self._accepted(name, upload_id, 0)

    async def _mount(self, caller: Caller, name: str, digest: str, source: str) -> Response | None:
        """Give the repository a blob of another one; None where an upload has to do."""
        check_digest(digest)
        sources = [source] if source else self._holders(digest)
        for each in sources:
            size = metadata.has_blob(self._catalog.reading, each, digest)
            if size is None or not self._access.permits(caller, "pull", each):
                continue

            def link(connection: sqlite3.Connection, holder: str = each) -> bool:
                found = metadata.has_blob(connection, holder, digest)
                if found is None:
                    return False
                ensure_repository(connection, name, self._clock())
                metadata.link_blob(connection, name, digest, found, self._clock())
                return True

            if await self._uploads.change(link):
                return self._created_blob(name, digest)
        return None

    def _holders(self, digest: str) -> list[str]:
        rows = self._catalog.reading.execute(
            "SELECT repository FROM repository_blobs WHERE digest = ? LIMIT 20", (digest,)
        )
        return [row[0] for row in rows]

    async def upload_status(self, request: Request, caller: Caller, name: str, upload_id: str) -> Response:
        """How far the upload is."""
        self._access.require(request, caller, "push", name)
        size = await self._uploads.size(name, upload_id)
        return self._accepted(name, upload_id, size, status=204)

    async def append_upload(self, request: Request, caller: Caller, name: str, upload_id: str) -> Response:
        """PATCH: the next chunk, or a stream."""
        self._access.require(request, caller, "push", name)
        size = await self._uploads.append(name, upload_id, request)
        return self._accepted(name, upload_id, size)

    async def finish_upload(self, request: Request, caller: Caller, name: str, upload_id: str) -> Response:
        """PUT: the last chunk, if any, and the digest."""
        self._access.require(request, caller, "push", name)
        digest = request.query.get("digest", "")
        if not digest:
            raise Refusal("DIGEST_INVALID", "the digest parameter is missing")
        await self._uploads.finish(name, upload_id, digest, request)
        return self._created_blob(name, digest)

    async def cancel_upload(self, request: Request, caller: Caller, name: str, upload_id: str) -> Response:
        """DELETE: forget the upload."""
        self._access.require(request, caller, "push", name)
        await self._uploads.cancel(name, upload_id)
        return Response(204, {})

    def _accepted(self, name: str, upload_id: str, size: int, status: int = 202) -> Response:
        return Response(
            status,
            {
                "Location": f"/v2/{name}/blobs/uploads/{upload_id}",
                "Range": f"0-{max(size - 1, 0)}",
                "Docker-Upload-UUID": upload_id,
            },
        )

    def _created_blob(self, name: str, digest: str) -> Response:
        return Response(201, {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest})

    async def put_manifest(self, request: Request, caller: Caller, name: str, reference: str) -> Response:
        """Store a manifest, by tag or by digest (then with the query's tags). All that it needs is here already."""
        self._access.require(request, caller, "push", name)
        if not self._access.may_create(caller, name):
            self._must_exist(name)
        data = await request.read(MAX_SIZE)
        by_digest = ":" in reference
        digest = _digest_of(data, reference if by_digest else "")
        tags = [value for key, value in request.parameters() if key == "tag"] if by_digest else [reference]
        tags = [check_tag(tag) for tag in dict.fromkeys(tags)]
        facts = examine(data, (request.headers.get("content-type") or "").partition(";")[0].strip())
        now = self._clock()

        def store(connection: sqlite3.Connection) -> None:
            ensure_repository(connection, name, now)
            missing = metadata.missing_references(connection, name, facts)
            if missing:
                raise Refusal("MANIFEST_BLOB_UNKNOWN", "the manifest needs what the repository lacks", detail=missing)
            check_immutable(connection, name, tags, digest)
            metadata.put_manifest(connection, name, digest, facts, data, tags, now)

        await self._uploads.change(store)
        self._audit.note("push", caller, name, digest=digest, tags=tags, client=request.client)
        headers = {"Location": f"/v2/{name}/manifests/{digest}", "Docker-Content-Digest": digest}
        if facts.subject:
            headers["OCI-Subject"] = facts.subject
        if by_digest and tags:
            headers["OCI-Tag"] = ", ".join(tags)
        return Response(201, headers)

    # Discovery

    async def list_tags(self, request: Request, caller: Caller, name: str) -> Response:
        """Tags in order, in pages where `n` asks for them."""
        self._access.require(request, caller, "pull", name)
        self._must_exist(name)
        limit, after = _page(request)
        tags = metadata.list_tags(self._catalog.reading, name, after, limit + 1 if limit >= 0 else -1)
        headers = {}
        if 0 <= limit < len(tags):
            tags = tags[:limit]
            if tags:
                headers["Link"] = f'</v2/{name}/tags/list?n={limit}&last={quote(tags[-1])}>; rel="next"'
        return json_response({"name": name, "tags": tags}, headers=headers)

    async def catalog(self, request: Request, caller: Caller) -> Response:
        """The repositories that the caller may pull from, in pages (an extension that Docker's registry has)."""
        from wherry.registry.access import Caller as Plain
        from wherry.registry.tokens import Scope

        if caller.bearer is not None and "*" not in caller.bearer.granted.get("registry:catalog", ()):
            raise self._access.challenge(request, [Scope("registry", "catalog", ("*",))], error="insufficient_scope")
        if caller.kind == "anonymous":
            raise self._access.challenge(request, [Scope("registry", "catalog", ("*",))])
        limit, after = _page(request)
        who = Plain(caller.name, caller.kind)
        names: list[str] = []
        for repository in metadata.repositories(self._catalog.reading, after):
            if self._access.permits(who, "pull", repository.name):
                names.append(repository.name)
            if 0 <= limit < len(names):
                break
        headers = {}
        if 0 <= limit < len(names):
            names = names[:limit]
            if names:
                headers["Link"] = f'</v2/_catalog?n={limit}&last={quote(names[-1])}>; rel="next"'
        return json_response({"repositories": names}, headers=headers)

    async def list_referrers(self, request: Request, caller: Caller, name: str, digest: str) -> Response:
        """An index of the manifests whose subject it is, in pages that every client takes; never an error."""
        self._access.require(request, caller, "pull", name)
        check_digest(digest)
        wanted, after = request.query.get("artifactType"), request.query.get("after", "0")
        number = int(after[:18]) if after.isascii() and after.isdigit() else 0
        found, more = _first_page(metadata.referrers(self._catalog.reading, name, digest, number), wanted)
        headers = {"Content-Type": _INDEX} | ({"OCI-Filters-Applied": "artifactType"} if wanted is not None else {})
        if more:
            only = f"artifactType={quote(wanted, safe='')}&" if wanted is not None else ""
            headers["Link"] = f'</v2/{name}/referrers/{digest}?{only}after={more}>; rel="next"'
        return json_response({"schemaVersion": 2, "mediaType": _INDEX, "manifests": found}, headers=headers)

    # Content management

    async def delete_manifest(self, request: Request, caller: Caller, name: str, reference: str) -> Response:
        """A tag alone, or a manifest with its tags."""
        self._access.require(request, caller, "delete", name)
        if not is_any_digest(reference):
            check_tag(reference)

        def remove(connection: sqlite3.Connection) -> bool:
            if ":" in reference:
                return metadata.delete_manifest(connection, name, reference)
            sql = "DELETE FROM tags WHERE repository = ? AND tag = ?"
            return connection.execute(sql, (name, reference)).rowcount > 0

        if not await self._uploads.change(remove):
            raise self._unknown_manifest(name, reference)
        self._audit.note("delete", caller, name, reference=reference, client=request.client)
        return Response(202, {})

    async def delete_blob(self, request: Request, caller: Caller, name: str, digest: str) -> Response:
        """Take a blob from the repository; refused while one of its manifests needs it."""
        self._access.require(request, caller, "delete", name)
        check_digest(digest)

        def remove(connection: sqlite3.Connection) -> bool:
            used = connection.execute(
                "SELECT 1 FROM manifest_references r JOIN manifests m ON m.id = r.manifest"
                " WHERE r.kind = 'blob' AND r.digest = ? AND m.repository = ?",
                (digest, name),
            ).fetchone()
            if used:
                raise Refusal("UNSUPPORTED", "a manifest of the repository needs the blob")
            sql = "DELETE FROM repository_blobs WHERE repository = ? AND digest = ?"
            return connection.execute(sql, (name, digest)).rowcount > 0

        if not await self._uploads.change(remove):
            raise Refusal("BLOB_UNKNOWN", "blob unknown to registry", detail={"digest": digest})
        self._touched.pop((name, digest), None)
        self._audit.note("delete", caller, name, blob=digest, client=request.client)
        return Response(202, {})


def check_immutable(connection: sqlite3.Connection, name: str, tags: list[str], digest: str) -> None:
    """Raises TAG_INVALID, as Amazon ECR does, where a tag of an immutable repository would move."""
    repository = metadata.get_repository(connection, name)
    if repository is None or not repository.immutable:
        return
    for tag in tags:
        found = metadata.find_manifest(connection, name, tag)
        if found is not None and found.digest != digest:
            raise Refusal(
                "TAG_INVALID",
                f"The image tag '{tag}' already exists in the '{name}' repository and cannot be overwritten because"
                " the repository is immutable.",
            )


def _first_page(rows: Iterator[metadata.Referrer], kind: str | None) -> tuple[list[dict[str, Any]], int]:
    """The descriptors of as many rows (of that artifact type) as fit an answer; after which the rest begins, or 0."""
    found: list[dict[str, Any]] = []
    size, last = 0, 0
    for row in rows:
        descriptor: dict[str, Any] = {"mediaType": row.media_type, "digest": row.digest, "size": row.size}
        if row.artifact_type:
            descriptor["artifactType"] = row.artifact_type
        if row.annotations:
            descriptor["annotations"] = json.loads(row.annotations)
        if kind is not None and row.artifact_type != kind:
            continue
        size += len(json.dumps(descriptor))
        if found and size > _MAX_INDEX:
            return found, last
        found.append(descriptor)
        last = row.id
    return found, 0


def _digest_of(data: bytes, wanted: str) -> str:
    """The digest of a manifest, in the algorithm of `wanted`, which it has to be."""
    if not wanted:
        return f"sha256:{hashlib.sha256(data).hexdigest()}"
    algorithm = check_digest(wanted).partition(":")[0]
    found = f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"
    if found != wanted:
        raise Refusal("DIGEST_INVALID", f"the manifest hashes to {found}, not to {wanted}")
    return found


def _page(request: Request) -> tuple[int, str]:
    """How many (-1 for all) and after which."""
    text = request.query.get("n")
    if text is None:
        return -1, request.query.get("last", "")
    if not (text.isascii() and text.isdigit()):
        raise Refusal("UNSUPPORTED", f"n is not a number: {text!r:.40}", status=400)
    return min(int(text), _MAX_PAGE), request.query.get("last", "")


_BYTES = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def _byte_range(header: str, size: int) -> tuple[int, int] | None:
    """The one range that was asked for, as start and end; None for the whole (other forms may be ignored)."""
    found = _BYTES.fullmatch(header.strip())
    if not found or found[0] == "bytes=-":
        return None
    first, last = found[1], found[2]
    if not first:
        return max(size - int(last), 0), size
    return int(first), min(int(last) + 1, size) if last else size
