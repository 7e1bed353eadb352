"""AWS Signature Version 4, verified with botocore's own signer: what it would have sent is what has to have come."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import UTC, datetime

from wherry.base.values import NamedTuple
from wherry.registry.ecr.errors import EcrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.registry.accounts import AccessKey
    from wherry.registry.http import Request

__all__ = ["claimed_key", "verify"]

_SKEW = 15 * 60  # seconds that the clocks may differ
_HEADER = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=([^/,\s]+)/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request,\s*"
    r"SignedHeaders=([a-z0-9;-]+),\s*Signature=([0-9a-f]{64})"
)


class _Signature(NamedTuple):
    key_id: str
    date: str
    region: str
    service: str
    headers: tuple[str, ...]
    value: str


def verify(request: Request, body: bytes, find: Callable[[str], AccessKey | None], now: int) -> AccessKey:
    """The access key that signed the request. `now` in seconds since the epoch. Raises EcrError as Amazon words it."""
    signature = _parse(request.headers.get("authorization") or "")
    key = claimed_key(request, find)
    timestamp = request.headers.get("x-amz-date") or ""
    _check_time(timestamp, signature.date, now)
    # What binds a signature to one server, one moment and one action.
    if not {"host", "x-amz-date", "x-amz-target"} <= set(signature.headers) or signature.service != "ecr":
        raise _mismatch()
    _check_body(request, body)
    if not hmac.compare_digest(_expected(request, body, key, signature, timestamp), signature.value):
        raise _mismatch()
    return key


def claimed_key(request: Request, find: Callable[[str], AccessKey | None]) -> AccessKey:
    """The access key that the request names, signature unseen. Raises EcrError where there is no such key."""
    key = find(_parse(request.headers.get("authorization") or "").key_id)
    if key is None:
        raise EcrError("UnrecognizedClientException", "The security token included in the request is invalid.", 403)
    return key


def _parse(header: str) -> _Signature:
    if not header:
        raise EcrError("MissingAuthenticationTokenException", "Missing Authentication Token", 403)
    found = _HEADER.fullmatch(header.strip())
    if not found:
        raise EcrError("IncompleteSignatureException", "The Authorization header is not of AWS4-HMAC-SHA256's form")
    return _Signature(found[1], found[2], found[3], found[4], tuple(found[5].split(";")), found[6])


def _check_time(timestamp: str, date: str, now: int) -> None:
    try:
        moment = datetime.strptime(timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise EcrError("IncompleteSignatureException", "X-Amz-Date is missing or malformed") from None
    if abs(moment.timestamp() - now) > _SKEW or not timestamp.startswith(date):
        raise EcrError(
            "InvalidSignatureException",
            f"Signature expired: {timestamp} is not within 15 minutes of the time here",
            403,
        )


def _check_body(request: Request, body: bytes) -> None:
    """A hash that the client announces is part of what it signs; it has to be the body's."""
    announced = request.headers.get("x-amz-content-sha256")
    if announced is not None and announced != hashlib.sha256(body).hexdigest():
        raise _mismatch()


def _expected(request: Request, body: bytes, key: AccessKey, signature: _Signature, timestamp: str) -> str:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    query = f"?{request.raw_query}" if request.raw_query else ""
    aws = AWSRequest(
        method=request.method,
        url=f"{request.scheme}://{request.host}{request.path}{query}",
        headers={name: request.headers.get(name) or "" for name in signature.headers},
        data=body,
    )
    aws.context["timestamp"] = timestamp
    signer = SigV4Auth(Credentials(key.id, key.secret), signature.service, signature.region)
    text = signer.string_to_sign(aws, signer.canonical_request(aws))
    return str(signer.signature(text, aws))


def _mismatch() -> EcrError:
    return EcrError(
        "InvalidSignatureException",
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access"
        " Key and signing method. Consult the service documentation for details.",
        403,
    )
