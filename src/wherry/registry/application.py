"""The registry as one function from requests to answers: routes, who may come in, errors, logs and counters.

Served by `server.py`; called directly by tests.
"""

from __future__ import annotations

import time
import traceback

from wherry.base.clock import rfc3339
from wherry.base.errors import Unavailable
from wherry.registry.access import Access
from wherry.registry.distribution import Distribution
from wherry.registry.ecr.api import EcrApi
from wherry.registry.errors import Refusal, refusal_body
from wherry.registry.http import Disconnected, Response, json_response
from wherry.registry.metrics import Metrics
from wherry.registry.names import check_repository
from wherry.registry.throttle import Throttle
from wherry.registry.token_endpoint import TokenEndpoint
from wherry.registry.tokens import Tokens
from wherry.registry.uploads import Uploads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.registry.access import Caller, Settings
    from wherry.registry.accounts import Accounts
    from wherry.registry.audit import Audit
    from wherry.registry.catalog import Catalog
    from wherry.registry.http import Request
    from wherry.registry.storage import BlobStorage

__all__ = ["Application"]

_VERSION = {"Docker-Distribution-API-Version": "registry/2.0"}


class Application:
    """Everything that one port answers. `log` takes one structured entry for each answer."""

    def __init__(
        self,
        catalog: Catalog,
        storage: BlobStorage,
        accounts: Accounts,
        settings: Settings,
        *,
        audit: Audit,
        clock: Callable[[], int],
        log: Callable[[dict[str, object]], None],
    ) -> None:
        self._clock = clock
        self._log = log
        self._catalog = catalog
        self.audit = audit
        self.metrics = Metrics()
        self._second = (0, "")
        tokens = Tokens(settings.secret, "wherry")
        self.access = Access(catalog, accounts, tokens, Throttle(time.monotonic), settings, clock)
        self.uploads = Uploads(catalog, storage, clock)
        self.distribution = Distribution(catalog, self.uploads, self.access, self.audit, clock)
        self._token_endpoint = TokenEndpoint(self.access, accounts, tokens, clock)
        self._ecr = EcrApi(catalog, self.uploads, self.access, accounts, tokens, self.audit, clock)

    async def answer(self, request: Request) -> Response:
        """The answer, whatever happens; it is logged and counted."""
        begun = time.perf_counter()
        self.metrics.in_flight += 1
        self._catalog.look()
        operation, who, failure = "other", "", ""
        try:
            operation, caller, response = await self._dispatch(request)
            who = caller.name if caller else ""
        except Refusal as error:
            operation, response, failure = _error_operation(request), _refused(error), error.message
        except Unavailable as error:
            response = json_response({"errors": [{"code": "UNAVAILABLE", "message": error.message}]}, 503)
            failure = error.message
        except Disconnected as error:
            response, failure = Response(499, {}), str(error)
        except Exception as error:  # noqa: BLE001 (one request's mistake must not stop the others)
            response = json_response({"errors": [{"code": "UNKNOWN", "message": "internal error"}]}, 500)
            failure = "".join(traceback.format_exception(error))
        finally:
            self.metrics.in_flight -= 1
        seconds = time.perf_counter() - begun
        self.metrics.observe(operation, response.status, seconds)
        self._note(request, response, seconds, who, failure)
        return response

    def _note(self, request: Request, response: Response, seconds: float, who: str, failure: str) -> None:
        entry: dict[str, object] = {
            "time": self._timestamp(),
            "client": request.client,
            "method": request.method,
            "path": request.path.encode("ascii", "backslashreplace").decode(),
            "status": response.status,
            "ms": round(seconds * 1000, 2),
        }
        if who:
            entry["user"] = who
        if failure:
            entry["error"] = failure
        self._log(entry)

    def _timestamp(self) -> str:
        """The time with milliseconds; all but those is made once a second."""
        seconds, rest = divmod(self._clock(), 1_000_000_000)
        if seconds != self._second[0]:
            self._second = seconds, rfc3339(seconds * 1_000_000_000)[:-1]
        return f"{self._second[1]}.{rest // 1_000_000:03d}Z"

    async def _dispatch(self, request: Request) -> tuple[str, Caller | None, Response]:
        path = request.path
        if path.startswith("/v2/"):
            return await self._distribution(request, path[4:])
        if path == "/" and "x-amz-target" in request.headers:
            return "ecr", None, await self._ecr.answer(request)
        if path == "/auth/token":
            if request.method == "POST":
                return "token", None, await self._token_endpoint.post(request)
            return "token", None, await self._token_endpoint.get(request)
        if path == "/v2":
            return "ping", None, Response(301, {"Location": "/v2/"})
        if path in ("/healthz", "/livez"):
            return "health", None, json_response({"status": "ok"})
        if path == "/readyz":
            return "health", None, self._ready()
        if path == "/metrics":
            return "metrics", None, await self._metrics(request)
        raise Refusal("UNSUPPORTED", "nothing is here", status=404)

    async def _distribution(self, request: Request, rest: str) -> tuple[str, Caller | None, Response]:
        caller = await self.access.authenticate(request)
        if not rest and request.method in ("GET", "HEAD"):
            if caller.kind == "anonymous":
                raise self.access.challenge(request, ())
            return "ping", caller, Response(200, {**_VERSION, "Content-Type": "application/json"}, b"{}")
        operation, response = await self._route(request, caller, rest)
        return operation, caller, response._replace(headers={**_VERSION, **response.headers})

    async def _route(self, request: Request, caller: Caller, rest: str) -> tuple[str, Response]:
        api, method = self.distribution, request.method
        if rest == "_catalog" and method == "GET":
            return "catalog", await api.catalog(request, caller)
        if not rest:
            raise Refusal("UNSUPPORTED", f"the operation is unsupported: {method}")
        name, kind, last = _split(rest)
        check_repository(name)
        if kind == "manifests":
            if method in ("GET", "HEAD"):
                return "get-manifest", await api.get_manifest(request, caller, name, last)
            if method == "PUT":
                return "put-manifest", await api.put_manifest(request, caller, name, last)
            if method == "DELETE":
                return "delete-manifest", await api.delete_manifest(request, caller, name, last)
        elif kind == "blobs":
            if method in ("GET", "HEAD"):
                return "get-blob", await api.get_blob(request, caller, name, last)
            if method == "DELETE":
                return "delete-blob", await api.delete_blob(request, caller, name, last)
        elif kind == "uploads":
            return await self._upload(request, caller, name, last)
        elif kind == "tags" and method in ("GET", "HEAD"):
            return "list-tags", await api.list_tags(request, caller, name)
        elif kind == "referrers" and method in ("GET", "HEAD"):
            return "list-referrers", await api.list_referrers(request, caller, name, last)
        raise Refusal("UNSUPPORTED", f"the operation is unsupported: {method}")

    async def _upload(self, request: Request, caller: Caller, name: str, last: str) -> tuple[str, Response]:
        api = self.distribution
        if not last:
            if request.method == "POST":
                return "begin-upload", await api.begin_upload(request, caller, name)
            raise Refusal("UNSUPPORTED", f"the operation is unsupported: {request.method}")
        actions = {
            "GET": ("upload-status", api.upload_status),
            "HEAD": ("upload-status", api.upload_status),
            "PATCH": ("append-upload", api.append_upload),
            "PUT": ("finish-upload", api.finish_upload),
            "DELETE": ("cancel-upload", api.cancel_upload),
        }
        if request.method not in actions:
            raise Refusal("UNSUPPORTED", f"the operation is unsupported: {request.method}")
        operation, action = actions[request.method]
        return operation, await action(request, caller, name, last)

    def _ready(self) -> Response:
        self._catalog.reading.execute("SELECT 1 FROM repositories LIMIT 1").fetchone()
        return json_response({"status": "ok"})

    async def _metrics(self, request: Request) -> Response:
        """For whoever is on this machine, or may administer everything."""
        if not _is_local(request.client):
            caller = await self.access.authenticate(request)
            self.access.require(request, caller, "admin", "*")
        connection = self._catalog.reading
        gauges = [
            ("repositories", "Repositories.", "SELECT count(*) FROM repositories"),
            ("manifests", "Manifests.", "SELECT count(*) FROM manifests"),
            ("blobs", "Blobs.", "SELECT count(*) FROM blobs"),
            ("blob_bytes", "Bytes of blobs.", "SELECT coalesce(sum(size), 0) FROM blobs"),
            ("uploads", "Uploads in progress.", "SELECT count(*) FROM uploads"),
        ]
        values = [(name, text, float(connection.execute(sql).fetchone()[0])) for name, text, sql in gauges]
        return Response(200, {"Content-Type": "text/plain; version=0.0.4"}, self.metrics.render(values))

    def close(self) -> None:
        """When the server has stopped."""
        self.uploads.close()


def _split(rest: str) -> tuple[str, str, str]:
    """A path below `/v2/` as repository, kind and last part. A repository's own name may hold the kinds' words."""
    if rest.endswith("/blobs/uploads"):
        return rest.removesuffix("/blobs/uploads"), "uploads", ""
    for kind, path in (("uploads", "blobs/uploads"), ("manifests",) * 2, ("blobs",) * 2, ("referrers",) * 2):
        name, found, last = rest.rpartition(f"/{path}/")
        if found and "/" not in last:
            return name, kind, last
    if rest.endswith("/tags/list"):
        return rest.removesuffix("/tags/list"), "tags", ""
    raise Refusal("NAME_INVALID", "nothing is here", status=404)


def _error_operation(request: Request) -> str:
    """A coarse name for what was refused, so that metrics stay few."""
    return "distribution" if request.path.startswith("/v2/") else "other"


def _refused(error: Refusal) -> Response:
    return Response(
        error.status, {**_VERSION, "Content-Type": "application/json", **error.headers}, refusal_body(error)
    )


def _is_local(client: str) -> bool:
    host = client.rpartition(":")[0].strip("[]")
    return host in ("127.0.0.1", "::1") or host.startswith("127.")
