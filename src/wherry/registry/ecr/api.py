"""ECR's API: who signed, whether it may, which action; answers in AWS's JSON 1.1 protocol."""

from __future__ import annotations

import json
import uuid
from functools import cache

from wherry.base.errors import InvalidInput
from wherry.registry.access import Caller
from wherry.registry.ecr.errors import EcrError
from wherry.registry.ecr.images import Images
from wherry.registry.ecr.layers import Layers
from wherry.registry.ecr.policies import Policies
from wherry.registry.ecr.repositories import Repositories
from wherry.registry.ecr.sigv4 import claimed_key, verify
from wherry.registry.errors import Refusal
from wherry.registry.http import Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from wherry.registry.access import Access
    from wherry.registry.accounts import AccessKey, Accounts
    from wherry.registry.audit import Audit
    from wherry.registry.catalog import Catalog
    from wherry.registry.ecr.context import Call
    from wherry.registry.http import Request
    from wherry.registry.tokens import Tokens
    from wherry.registry.uploads import Uploads

    Action = Callable[[Call], Awaitable[dict[str, Any]]]

__all__ = ["EcrApi"]

_TARGET = "AmazonEC2ContainerRegistry_V20150921."
_MAX_BODY = 1 << 20  # bytes
_LIMITS = {"PutImage": 10 << 20, "UploadLayerPart": 32 << 20}
_PASSWORD_SECONDS = 12 * 3600


class EcrApi:
    """Answers signed requests. `actions` maps an action's name to what does it."""

    def __init__(
        self,
        catalog: Catalog,
        uploads: Uploads,
        access: Access,
        accounts: Accounts,
        tokens: Tokens,
        audit: Audit,
        clock: Callable[[], int],
    ) -> None:
        self._access = access
        self._accounts = accounts
        self._tokens = tokens
        self._audit = audit
        self._clock = clock
        repositories = Repositories(catalog, uploads, access, clock)
        images = Images(catalog, uploads, access, clock)
        policies = Policies(catalog, uploads, access, clock)
        layers = Layers(catalog, uploads, access, tokens, clock)
        self.actions: dict[str, Action] = {
            "GetAuthorizationToken": self._authorization_token,
            **repositories.actions(),
            **images.actions(),
            **policies.actions(),
            **layers.actions(),
        }

    async def answer(self, request: Request) -> Response:
        """The answer to one call."""
        try:
            return _response(await self._call(request))
        except EcrError as error:
            return _response({"__type": error.kind, "message": error.message}, error.status)
        except InvalidInput as error:
            return _response({"__type": "InvalidParameterException", "message": error.message}, 400)
        except Refusal as error:
            return _response({"__type": "InvalidParameterException", "message": error.message}, 400)

    async def _call(self, request: Request) -> dict[str, Any]:
        target = request.headers.get("x-amz-target") or ""
        name = target.removeprefix(_TARGET)
        if request.method != "POST" or not target.startswith(_TARGET):
            raise EcrError("UnknownOperationException", f"unknown operation: {target:.100}")
        claimed_key(request, self._accounts.key)  # before anything of it is kept in memory
        body = await request.read(_LIMITS.get(name, _MAX_BODY))
        key = verify(request, body, self._accounts.key, self._clock() // 1_000_000_000)
        action = self.actions.get(name)
        if action is None:
            raise EcrError("UnknownOperationException", f"{name:.100} is not an operation that is known here")
        parameters = _parse(name, body)
        self._authorize(key, name, parameters)
        from wherry.registry.ecr.context import Call

        done = await action(Call(name, parameters, key, request))
        if not name.startswith(("Get", "Describe", "List", "BatchGet", "BatchCheck")):
            caller = Caller(key.id, "key")
            self._audit.note(f"ecr:{name}", caller, parameters.get("repositoryName", ""), client=request.client)
        return done

    def _authorize(self, key: AccessKey, name: str, parameters: dict[str, Any]) -> None:
        """Raises AccessDeniedException in Amazon's words."""
        settings = self._access.settings
        if parameters.get("registryId", settings.account) != settings.account:
            raise EcrError("InvalidParameterException", f"the registry here is {settings.account}")
        named = [parameters["repositoryName"]] if "repositoryName" in parameters else parameters.get("repositoryNames")
        if "resourceArn" in parameters:
            named = [repository_of(parameters["resourceArn"])]
        for repository in named or [""]:
            # Without a repository, and for a list of all of them, IAM is asked about any resource of the account.
            wanted = repository or ("*" if name == "DescribeRepositories" else "")
            if not self._access.iam_permits(key, f"ecr:{name}", wanted):
                resource = settings.arn(wanted) if wanted else "*"
                raise EcrError(
                    "AccessDeniedException",
                    f"User: {settings.principal(key)} is not authorized to perform: ecr:{name} on resource: {resource}",
                )

    async def _authorization_token(self, call: Call) -> dict[str, Any]:
        import base64

        now = self._clock() // 1_000_000_000
        password = self._tokens.issue_password(call.key.id, now, _PASSWORD_SECONDS)
        token = base64.b64encode(f"AWS:{password}".encode()).decode()
        endpoint = self._access.base_url(call.request)
        entry = {"authorizationToken": token, "expiresAt": float(now + _PASSWORD_SECONDS), "proxyEndpoint": endpoint}
        return {"authorizationData": [entry]}


def repository_of(arn: str) -> str:
    """The repository's name in its Amazon resource name. Raises InvalidParameterException."""
    head, found, name = arn.partition(":repository/")
    if not found or not head.startswith("arn:aws:ecr:"):
        raise EcrError("InvalidParameterException", f"not the name of a repository: {arn:.200}")
    return name


def _parse(name: str, body: bytes) -> dict[str, Any]:
    """The call's parameters, checked against ECR's own service model. Raises InvalidParameterException."""
    from botocore.validate import ParamValidator

    try:
        value = json.loads(body.decode() or "{}")
        if b"\\ud" in body.lower():
            json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except (ValueError, RecursionError):
        raise EcrError("SerializationException", "the body is not JSON") from None
    if not isinstance(value, dict):
        raise EcrError("SerializationException", "the body is not a JSON object")
    shape = _model().operation_model(name).input_shape
    blobs = {member for member, each in shape.members.items() if each.type_name == "blob"}
    # Blobs come as base64 text, which the model's validator takes for a text.
    report = ParamValidator().validate({k: v for k, v in value.items() if k not in blobs} | _bytes(value, blobs), shape)
    if report.has_errors():
        raise EcrError("InvalidParameterException", f"Invalid parameter: {report.generate_report()}")
    return value


def _bytes(value: dict[str, Any], names: set[str]) -> dict[str, bytes]:
    return {name: str(value[name]).encode() for name in names if name in value}


@cache
def _model() -> Any:
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    return ServiceModel(Loader().load_service_model("ecr", "service-2"))


def _response(value: dict[str, Any], status: int = 200) -> Response:
    from email.utils import formatdate

    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "x-amzn-RequestId": str(uuid.uuid4()),
        "Date": formatdate(usegmt=True),
    }
    return Response(status, headers, json.dumps(value).encode())
