"""The console: pages for environments, and what may be done to them, for people who have logged in.

Pages are rendered here and work without JavaScript; with it, parts that change are sent again as they do (server-sent
events). Every form carries the session's token, a page of another origin cannot send one (`SameSite=Strict`, and the
Origin field is looked at); nothing is framed, and no script but our own runs (Content-Security-Policy).
"""

from __future__ import annotations

import asyncio
import json
import time
from urllib.parse import parse_qsl, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from wherry.base.errors import NotFound, WherryError
from wherry.serve.drawing import chart_svg, short_number
from wherry.serve.people import is_same, may

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Any

    from starlette.requests import Request

    from wherry.registry.throttle import Throttle
    from wherry.serve.people import People, Person, Session
    from wherry.serve.views import Views

__all__ = ["ACTIONS", "Console"]

ACTIONS = {"rollback": "operator", "abort": "operator", "scale": "operator", "restart": "operator", "set": "admin"}
"""What may be done to an environment, and the role that it takes."""
_COOKIE = "wherry-session"
_FORM_BYTES = 64 << 10
_LIVE_SECONDS = 2.0  # between two looks at what an open page shows
_LINES = 500
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Console:
    """The application (ASGI). `is_open` shows `/metrics` to everybody, as is right on a loopback address."""

    def __init__(self, views: Views, people: People, throttle: Throttle, *, is_open: bool) -> None:
        self._views = views
        self._people = people
        self._throttle = throttle
        self._is_open = is_open
        self._pages = _templates()
        self.stopping = asyncio.Event()
        page, form = ["GET"], ["POST"]
        self.application = Starlette(
            routes=[
                Route("/", self._page("environments.html", self._all), methods=page),
                Route("/log-in", self._log_in_page, methods=page),
                Route("/log-in", self._log_in, methods=form),
                Route("/log-out", self._form(self._log_out, "viewer"), methods=form),
                Route("/environments/{name}", self._page("environment.html", self._one), methods=page),
                Route("/environments/{name}/events", self._page("events.html", self._events), methods=page),
                Route("/environments/{name}/logs", self._page("logs.html", self._logs), methods=page),
                Route("/environments/{name}/settings", self._page("settings.html", self._settings), methods=page),
                Route("/environments/{name}/live", self._live, methods=page),
                Route("/environments/{name}/{action}", self._act, methods=form),
                Route("/audit", self._page("audit.html", self._audit, role="admin"), methods=page),
                Route("/metrics", self._metrics, methods=page),
                Route("/health", self._health, methods=page),
                Mount("/static", StaticFiles(packages=[("wherry.serve", "static")])),
            ],
            exception_handlers={HTTPException: self._failed, WherryError: self._refused},
        )

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """One request."""
        await self.application(scope, receive, send)

    # --- who asks

    async def _session(self, request: Request) -> Session | None:
        token = request.cookies.get(_COOKIE, "")
        return await run_in_threadpool(self._people.session, token) if token else None

    def _page(
        self, template: str, values: Callable[[Request], dict[str, Any]], *, role: str = "viewer"
    ) -> Callable[[Request], Any]:
        """A page for people of a role; others are asked to log in."""

        async def show(request: Request) -> Response:
            session = await self._session(request)
            if session is None:
                return RedirectResponse("/log-in", 303)
            if not may(session.person, role):
                raise HTTPException(403, f"this takes the role {role}")
            found = await run_in_threadpool(values, request)
            return self._render(template, session, **found)

        return show

    def _form(self, act: Callable[[Request, Session, dict[str, str]], Any], role: str) -> Callable[[Request], Any]:
        """A form of people of a role that came from a page of ours."""

        async def take(request: Request) -> Response:
            session = await self._session(request)
            if session is None:
                return RedirectResponse("/log-in", 303)
            values = await _values(request)
            if not _is_ours(request) or not is_same(values.pop("csrf", ""), session.csrf):
                raise HTTPException(403, "the form did not come from a page of this console: load the page again")
            if not may(session.person, role):
                subject = request.path_params.get("name", "")
                await self._note(request, session.person.name, request.url.path, subject, f"takes the role {role}")
                raise HTTPException(403, f"this takes the role {role}")
            answer: Response = await act(request, session, values)
            return answer

        return take

    async def _note(self, request: Request, person: str, action: str, subject: str = "", result: str = "done") -> None:
        await run_in_threadpool(self._people.note, person, _client(request), action, subject, result)

    # --- logging in and out

    async def _log_in_page(self, request: Request) -> Response:
        if await self._session(request) is not None:
            return RedirectResponse("/", 303)
        return self._render("log-in.html", None, failed=False)

    async def _log_in(self, request: Request) -> Response:
        values = await _values(request)
        who = _client(request)
        if not _is_ours(request):
            raise HTTPException(403, "the form did not come from a page of this console")
        if self._throttle.wait(who):
            raise HTTPException(429, "too many wrong passwords: wait a minute")
        name = values.get("name", "")
        token = await run_in_threadpool(self._people.log_in, name, values.get("password", ""))
        if not token:
            self._throttle.failed(who)
            await asyncio.sleep(self._throttle.delay(who))
            await self._note(request, name[:64], "log-in", result="wrong name or password")
            return self._render("log-in.html", None, status=401, failed=True)
        self._throttle.succeeded(who)
        await self._note(request, name, "log-in")
        response = RedirectResponse("/", 303)
        secure = request.url.scheme == "https"
        response.set_cookie(_COOKIE, token, max_age=12 * 3600, httponly=True, samesite="strict", secure=secure)
        return response

    async def _log_out(self, request: Request, session: Session, _values: dict[str, str]) -> Response:
        await run_in_threadpool(self._people.log_out, request.cookies[_COOKIE])
        await self._note(request, session.person.name, "log-out")
        response = RedirectResponse("/log-in", 303)
        response.delete_cookie(_COOKIE)
        return response

    # --- pages

    def _all(self, _request: Request) -> dict[str, Any]:
        return {"environments": self._views.summaries(), "events": self._views.events("", 20)}

    def _one(self, request: Request) -> dict[str, Any]:
        name = request.path_params["name"]
        said = request.query_params.get("said", "")
        return {
            "environment": self._views.environment(name),
            "events": self._views.events(name, 15),
            "said": said[:300],
        }

    def _events(self, request: Request) -> dict[str, Any]:
        name = request.path_params["name"]
        return {"name": name, "events": self._views.events(name, _LINES)}

    def _logs(self, request: Request) -> dict[str, Any]:
        name, asked = request.path_params["name"], request.query_params
        instance, service = asked.get("instance", ""), asked.get("service", "")
        lines = self._views.logs(name, _LINES, instance, service)
        return {"name": name, "lines": lines, "instance": instance, "service": service}

    def _settings(self, request: Request) -> dict[str, Any]:
        name = request.path_params["name"]
        return {"name": name, "settings": self._views.settings(name)}

    def _audit(self, _request: Request) -> dict[str, Any]:
        return {"entries": self._people.entries()}

    async def _act(self, request: Request) -> Response:
        action, name = request.path_params["action"], request.path_params["name"]
        if action not in ACTIONS:
            raise HTTPException(404, f"there is no {action}")

        async def act(request: Request, session: Session, values: dict[str, str]) -> Response:
            try:
                said = await run_in_threadpool(self._views.act, action, name, values, session.person.name)
            except WherryError as error:
                await self._note(request, session.person.name, action, name, error.message)
                raise
            await self._note(request, session.person.name, action, name)
            return RedirectResponse(f"/environments/{name}?{_query(said=said)}", 303)

        answer: Response = await self._form(act, ACTIONS[action])(request)
        return answer

    async def _live(self, request: Request) -> Response:
        """Parts of the environment's page, sent whenever they are different from what was sent last."""
        session = await self._session(request)
        if session is None:
            raise HTTPException(401, "log in first")
        name = request.path_params["name"]
        await run_in_threadpool(self._views.environment, name)
        headers = {**_HEADERS, "X-Accel-Buffering": "no"}
        return StreamingResponse(self._parts(name, request, session), headers=headers, media_type="text/event-stream")

    async def _parts(self, name: str, request: Request, session: Session) -> AsyncIterator[bytes]:
        sent: dict[str, str] = {}
        while not self.stopping.is_set() and await self._session(request) is not None:
            try:
                parts = await run_in_threadpool(self._rendered_parts, name, session.person)
            except NotFound:
                return
            changed = {part: html for part, html in parts.items() if sent.get(part) != html}
            sent.update(changed)
            yield f"data: {json.dumps(changed)}\n\n".encode() if changed else b": still here\n\n"
            try:
                await asyncio.wait_for(self.stopping.wait(), _LIVE_SECONDS)
            except TimeoutError:
                continue

    def _rendered_parts(self, name: str, person: Person) -> dict[str, str]:
        environment, events = self._views.environment(name), self._views.events(name, 15)
        template = self._pages.get_template("parts.html")
        module: Any = template.make_module({"person": person, "csrf": ""})
        return {
            "summary": str(module.summary(environment)),
            "operation": str(module.operation(environment)),
            "instances": str(module.instances(environment)),
            "charts": str(module.charts(environment)),
            "deployments": str(module.deployments(environment)),
            "events": str(module.events(events)),
        }

    # --- other answers

    async def _metrics(self, request: Request) -> Response:
        if not self._is_open and await self._session(request) is None:
            raise HTTPException(401, "log in first")
        return PlainTextResponse(await run_in_threadpool(self._views.metrics), media_type="text/plain; version=0.0.4")

    async def _health(self, _request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _failed(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return await self._error_page(request, error.status_code, str(error.detail))

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, WherryError)
        status = 404 if isinstance(error, NotFound) else 409
        return await self._error_page(request, status, error.message + (f" ({error.hint})" if error.hint else ""))

    async def _error_page(self, request: Request, status: int, words: str) -> Response:
        return self._render("error.html", await self._session(request), status=status, code=status, words=words)

    def _render(self, template: str, session: Session | None, *, status: int = 200, **values: Any) -> Response:
        person, csrf = (session.person, session.csrf) if session is not None else (None, "")
        html = self._pages.get_template(template).render(person=person, csrf=csrf, **values)
        return HTMLResponse(html, status, headers=_HEADERS)


def _templates() -> Environment:
    pages = Environment(
        loader=PackageLoader("wherry.serve"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["moment"] = _moment
    pages.filters["short"] = short_number
    pages.filters["chart"] = lambda chart: Markup(chart_svg(chart))  # noqa: S704 (it escapes what it is given)
    pages.globals["may"] = may
    return pages


def _moment(seconds: float) -> str:
    """A time as people read it, UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds)) if seconds else ""


async def _values(request: Request) -> dict[str, str]:
    """The fields of a form. Raises HTTPException where there are too many."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _FORM_BYTES:
            raise HTTPException(413, "the form is too large")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100))
    except ValueError:
        raise HTTPException(400, "the form cannot be read") from None


def _is_ours(request: Request) -> bool:
    """Whether the form was sent by a page of this origin; browsers say so of every form."""
    origin = request.headers.get("origin", "")
    site = request.headers.get("sec-fetch-site", "same-origin")
    return site == "same-origin" and (not origin or urlsplit(origin).netloc == request.headers.get("host", ""))


def _client(request: Request) -> str:
    return request.client.host if request.client else ""


def _query(**values: str) -> str:
    from urllib.parse import urlencode

    return urlencode(values)
