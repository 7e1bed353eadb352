"""ECR's actions on images: list, describe, get, put (push a manifest, or give one a further tag), delete."""

from __future__ import annotations

import hashlib

from wherry.registry import metadata
from wherry.registry.distribution import check_immutable
from wherry.registry.ecr.context import must_find, page, seconds
from wherry.registry.ecr.errors import EcrError
from wherry.registry.errors import Refusal
from wherry.registry.manifests import examine
from wherry.registry.names import check_tag, is_any_digest, is_tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable
    from typing import Any

    from wherry.registry.access import Access
    from wherry.registry.catalog import Catalog
    from wherry.registry.ecr.context import Call
    from wherry.registry.manifests import ManifestFacts
    from wherry.registry.metadata import Image, StoredManifest
    from wherry.registry.uploads import Uploads

    Id = dict[str, str]

__all__ = ["Images"]


class Images:
    """An image here is a manifest of the distribution API: an image's, an index, an artifact's."""

    def __init__(self, catalog: Catalog, uploads: Uploads, access: Access, clock: Callable[[], int]) -> None:
        self._catalog = catalog
        self._uploads = uploads
        self._account = access.settings.account
        self._clock = clock

    def actions(self) -> dict[str, Callable[[Call], Awaitable[dict[str, Any]]]]:
        """Each action's name and method."""
        return {
            "ListImages": self.list_images,
            "DescribeImages": self.describe,
            "BatchGetImage": self.get,
            "PutImage": self.put,
            "BatchDeleteImage": self.delete,
        }

    def _images(self, call: Call) -> list[Image]:
        """Those that the call's filter lets through, in the order of their digests."""
        name = call.parameters["repositoryName"]
        must_find(self._catalog.reading, name, self._account)
        chosen = call.parameters.get("filter") or {}
        status = chosen.get("tagStatus", "ANY")
        if chosen.get("imageStatus", "ACTIVE") not in ("ACTIVE", "ANY"):
            return []  # nothing is archived here
        found = metadata.images(self._catalog.reading, name)
        return [each for each in found if status == "ANY" or bool(each.tags) == (status == "TAGGED")]

    async def list_images(self, call: Call) -> dict[str, Any]:
        """One entry for each tag, and one for each image without."""
        entries = []
        for image in self._images(call):
            entries += [{"imageDigest": image.digest, "imageTag": tag} for tag in image.tags]
            if not image.tags:
                entries.append({"imageDigest": image.digest})
        chosen, more = page(entries, call, lambda each: each["imageDigest"] + " " + each.get("imageTag", ""))
        return {"imageIds": chosen, **more}

    async def describe(self, call: Call) -> dict[str, Any]:
        """All, or those that are named. Raises ImageNotFoundException."""
        images = self._images(call)
        wanted = call.parameters.get("imageIds")
        if wanted:
            return {"imageDetails": [self._describe(self._named(images, each, call), call) for each in wanted]}
        chosen, more = page(images, call, lambda each: each.digest)
        return {"imageDetails": [self._describe(each, call) for each in chosen], **more}

    def _named(self, images: list[Image], wanted: Id, call: Call) -> Image:
        for image in images:
            if wanted.get("imageDigest", image.digest) == image.digest and (
                "imageTag" not in wanted or wanted["imageTag"] in image.tags
            ):
                return image
        tag, digest = wanted.get("imageTag", "null"), wanted.get("imageDigest", "null")
        raise EcrError(
            "ImageNotFoundException",
            f"The image with imageId {{imageDigest:'{digest}', imageTag:'{tag}'}} does not exist within the repository"
            f" with name '{call.parameters['repositoryName']}' in the registry with id '{self._account}'",
        )

    def _describe(self, image: Image, call: Call) -> dict[str, Any]:
        found: dict[str, Any] = {
            "registryId": self._account,
            "repositoryName": call.parameters["repositoryName"],
            "imageDigest": image.digest,
            "imageSizeInBytes": image.size,
            "imagePushedAt": seconds(image.pushed),
            "imageManifestMediaType": image.media_type,
            "imageStatus": "ACTIVE",
        }
        if image.tags:
            found["imageTags"] = list(image.tags)
        if image.artifact_type:
            found["artifactMediaType"] = image.artifact_type
        if image.subject:
            found["subjectManifestDigest"] = image.subject
        return found

    async def get(self, call: Call) -> dict[str, Any]:
        """Manifests, and which of them could not be had."""
        name = call.parameters["repositoryName"]
        must_find(self._catalog.reading, name, self._account)
        found, failures = [], []
        for wanted in call.parameters["imageIds"]:
            stored, failure = _look_up(self._catalog.reading, name, wanted)
            if stored is None:
                failures.append({"imageId": wanted, **failure})
            else:
                found.append(self._image(name, stored, wanted.get("imageTag", "")))
        return {"images": found, "failures": failures}

    def _image(self, name: str, stored: StoredManifest, tag: str) -> dict[str, Any]:
        return {
            "registryId": self._account,
            "repositoryName": name,
            "imageId": {"imageDigest": stored.digest, **({"imageTag": tag} if tag else {})},
            "imageManifest": stored.data.decode(),
            "imageManifestMediaType": stored.media_type,
        }

    async def put(self, call: Call) -> dict[str, Any]:
        """Store a manifest. Raises ImageAlreadyExistsException where nothing would change."""
        parameters = call.parameters
        name, data = parameters["repositoryName"], parameters["imageManifest"].encode()
        must_find(self._catalog.reading, name, self._account)
        facts = examine(data, parameters.get("imageManifestMediaType", ""))
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if parameters.get("imageDigest", digest) != digest:
            raise EcrError("ImageDigestDoesNotMatchException", f"the image manifest's digest is {digest}")
        tag = check_tag(parameters["imageTag"]) if "imageTag" in parameters else ""

        def store(connection: sqlite3.Connection) -> None:
            self._must_be_new(connection, name, digest, tag)
            _must_be_complete(connection, name, facts)
            try:
                check_immutable(connection, name, [tag] if tag else [], digest)
            except Refusal as refusal:
                raise EcrError("ImageTagAlreadyExistsException", refusal.message) from None
            metadata.put_manifest(connection, name, digest, facts, data, [tag] if tag else [], self._clock())

        await self._uploads.change(store)
        return {"image": self._image(name, metadata.StoredManifest(digest, facts.media_type, data), tag)}

    def _must_be_new(self, connection: sqlite3.Connection, name: str, digest: str, tag: str) -> None:
        found = metadata.find_manifest(connection, name, tag or digest)
        if found is not None and found.digest == digest:
            what = f"digest '{digest}'" + (f" and tag '{tag}'" if tag else "")
            raise EcrError(
                "ImageAlreadyExistsException",
                f"Image with {what} already exists in the repository with name '{name}' in registry with id"
                f" '{self._account}'",
            )

    async def delete(self, call: Call) -> dict[str, Any]:
        """By digest with all its tags; by tag the tag, and the image with its last one."""
        name = call.parameters["repositoryName"]
        must_find(self._catalog.reading, name, self._account)
        wanted = call.parameters["imageIds"]
        done, failures = await self._uploads.change(lambda db: _delete_all(db, name, wanted))
        return {"imageIds": done, "failures": failures}


_REFERENCED = "ImageReferencedByManifestList"
_REASON = "Requested image referenced by manifest list"


def _failure(code: str, reason: str) -> dict[str, str]:
    return {"failureCode": code, "failureReason": reason}


def _look_up(connection: sqlite3.Connection, name: str, wanted: Id) -> tuple[StoredManifest | None, dict[str, str]]:
    """The image, or why there is none (in Amazon's words)."""
    digest, tag = wanted.get("imageDigest"), wanted.get("imageTag")
    if not digest and not tag:
        return None, _failure("MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null")
    if digest and not is_any_digest(digest):
        return None, _failure("InvalidImageDigest", "Invalid request parameters: image digest should satisfy the regex")
    if tag and not is_tag(tag):
        return None, _failure("InvalidImageTag", "Invalid request parameters: image tag should satisfy the regex")
    found = metadata.find_manifest(connection, name, tag or digest or "")
    if found is None:
        return None, _failure("ImageNotFound", "Requested image not found")
    if digest and found.digest != digest:
        return None, _failure("ImageTagDoesNotMatchDigest", "Requested image tag does not match the image digest")
    return found, {}


def _delete_all(connection: sqlite3.Connection, name: str, wanted: list[Id]) -> tuple[list[Id], list[dict[str, Any]]]:
    """What went, and what could not. What an index names goes after the index, whatever the order they came in."""
    done: list[Id] = []
    failures: list[dict[str, Any]] = []
    waiting, before = wanted, 0
    while waiting and len(waiting) != before:
        before, again = len(waiting), []
        for each in waiting:
            gone, failure = _delete(connection, name, each)
            done += gone
            if failure.get("failureCode") == _REFERENCED:
                again.append(each)
            elif failure:
                failures.append({"imageId": each, **failure})
        waiting = again
    return done, failures + [{"imageId": each, **_failure(_REFERENCED, _REASON)} for each in waiting]


def _delete(connection: sqlite3.Connection, name: str, wanted: Id) -> tuple[list[Id], dict[str, str]]:
    found, failure = _look_up(connection, name, wanted)
    if found is None:
        return [], failure
    tags = metadata.tags_of(connection, name, found.digest)
    tag = wanted.get("imageTag")
    if tag and tags != [tag]:
        connection.execute("DELETE FROM tags WHERE repository = ? AND tag = ?", (name, tag))
        return [{"imageDigest": found.digest, "imageTag": tag}], {}
    if metadata.is_in_index(connection, name, found.digest):
        return [], _failure(_REFERENCED, _REASON)
    metadata.delete_manifest(connection, name, found.digest)
    gone = [{"imageDigest": found.digest, "imageTag": each} for each in tags]
    return gone or [{"imageDigest": found.digest}], {}


def _must_be_complete(connection: sqlite3.Connection, name: str, facts: ManifestFacts) -> None:
    missing = metadata.missing_references(connection, name, facts)
    if missing:
        kind = "ReferencedImagesNotFoundException" if missing[0] in facts.manifests else "LayersNotFoundException"
        raise EcrError(kind, f"the repository with name '{name}' lacks {', '.join(missing[:10])}")
