"""ECR's actions on layers, for clients that do not speak the distribution API: check, upload in parts, download."""

from __future__ import annotations

import base64
import binascii

from wherry.registry import metadata
from wherry.registry.ecr.context import must_find
from wherry.registry.ecr.errors import EcrError
from wherry.registry.errors import Refusal
from wherry.registry.http import Request
from wherry.registry.names import is_any_digest
from wherry.registry.tokens import Scope

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from typing import Any

    from wherry.registry.access import Access
    from wherry.registry.catalog import Catalog
    from wherry.registry.ecr.context import Call
    from wherry.registry.tokens import Tokens
    from wherry.registry.uploads import Uploads

__all__ = ["Layers"]

_PART = 10 << 20  # bytes; Amazon's clients cut layers into parts of that size
_DOWNLOAD_SECONDS = 3600


class Layers:
    """A layer is a blob of the distribution API, an upload one of its uploads."""

    def __init__(
        self, catalog: Catalog, uploads: Uploads, access: Access, tokens: Tokens, clock: Callable[[], int]
    ) -> None:
        self._catalog = catalog
        self._uploads = uploads
        self._access = access
        self._tokens = tokens
        self._clock = clock

    def actions(self) -> dict[str, Callable[[Call], Awaitable[dict[str, Any]]]]:
        """Each action's name and method."""
        return {
            "BatchCheckLayerAvailability": self.check,
            "InitiateLayerUpload": self.begin,
            "UploadLayerPart": self.append,
            "CompleteLayerUpload": self.complete,
            "GetDownloadUrlForLayer": self.download_url,
        }

    def _repository(self, call: Call) -> str:
        return must_find(self._catalog.reading, call.parameters["repositoryName"], self._access.settings.account).name

    async def check(self, call: Call) -> dict[str, Any]:
        """Which layers the repository has."""
        name = self._repository(call)
        layers, failures = [], []
        for digest in call.parameters["layerDigests"]:
            if not is_any_digest(digest):
                failures.append(
                    {
                        "layerDigest": digest,
                        "failureCode": "InvalidLayerDigest",
                        "failureReason": "Invalid request parameters: layer digest should satisfy the regex",
                    }
                )
                continue
            size = metadata.has_blob(self._catalog.reading, name, digest)
            entry: dict[str, Any] = {"layerDigest": digest, "layerAvailability": "UNAVAILABLE"}
            if size is not None:
                await self._touch(name, digest)
                entry |= {"layerAvailability": "AVAILABLE", "layerSize": size}
            layers.append(entry)
        return {"layers": layers, "failures": failures}

    async def _touch(self, name: str, digest: str) -> None:
        now = self._clock()
        await self._uploads.change(lambda db: metadata.touch_blob(db, name, digest, now))

    async def begin(self, call: Call) -> dict[str, Any]:
        """An upload's identifier, and the size of parts in bytes."""
        return {"uploadId": await self._uploads.begin(self._repository(call), call.key.id), "partSize": _PART}

    async def append(self, call: Call) -> dict[str, Any]:
        """The next part. Raises InvalidLayerPartException where it does not follow the last one."""
        parameters, name = call.parameters, self._repository(call)
        try:
            data = base64.b64decode(parameters["layerPartBlob"], validate=True)
        except binascii.Error:
            raise EcrError("InvalidParameterException", "layerPartBlob is not base64") from None
        first, last = parameters["partFirstByte"], parameters["partLastByte"]
        headers = {"content-range": f"{first}-{last}", "content-length": str(len(data))}

        async def body() -> AsyncIterator[bytes]:
            yield data

        try:
            size = await self._uploads.append(
                name, parameters["uploadId"], Request("PATCH", "", headers=headers, body=body)
            )
        except Refusal as refusal:
            raise _upload_error(refusal, "InvalidLayerPartException", parameters["uploadId"]) from None
        return {**self._common(call), "lastByteReceived": size - 1}

    async def complete(self, call: Call) -> dict[str, Any]:
        """Verify and keep. Raises InvalidLayerException, LayerAlreadyExistsException, EmptyUploadException."""
        parameters, name = call.parameters, self._repository(call)
        digest, upload_id = parameters["layerDigests"][0], parameters["uploadId"]
        if is_any_digest(digest) and metadata.has_blob(self._catalog.reading, name, digest) is not None:
            raise EcrError(
                "LayerAlreadyExistsException",
                f"The layer with digest '{digest}' already exists in the repository with name '{name}'",
            )
        try:
            if not await self._uploads.size(name, upload_id):
                raise EcrError("EmptyUploadException", f"no part of the upload '{upload_id}' has come")
            await self._uploads.finish(name, upload_id, digest, None)
        except Refusal as refusal:
            raise _upload_error(refusal, "InvalidLayerException", upload_id) from None
        return {**self._common(call), "layerDigest": digest}

    def _common(self, call: Call) -> dict[str, Any]:
        parameters, account = call.parameters, self._access.settings.account
        return {
            "registryId": account,
            "repositoryName": parameters["repositoryName"],
            "uploadId": parameters["uploadId"],
        }

    async def download_url(self, call: Call) -> dict[str, Any]:
        """An address that holds for an hour, for this layer's repository alone."""
        name, digest = self._repository(call), call.parameters["layerDigest"]
        if not is_any_digest(digest) or metadata.has_blob(self._catalog.reading, name, digest) is None:
            raise EcrError(
                "LayersNotFoundException", f"The layer with digest '{digest:.200}' does not exist in '{name}'"
            )
        pull = [(Scope("repository", name, ("pull",)), ("pull",))]
        now = self._clock() // 1_000_000_000
        token = self._tokens.issue(call.key.id, "key", pull, now, _DOWNLOAD_SECONDS)
        base = self._access.base_url(call.request)
        return {"downloadUrl": f"{base}/v2/{name}/blobs/{digest}?token={token}", "layerDigest": digest}


def _upload_error(refusal: Refusal, kind: str, upload_id: str) -> EcrError:
    if refusal.code == "BLOB_UPLOAD_UNKNOWN":
        return EcrError("UploadNotFoundException", f"The upload '{upload_id:.80}' does not exist")
    return EcrError(kind, refusal.message)
