"""The console: pages for environments, and what may be done to them, for people who have logged in.

Pages are rendered here and work without JavaScript; with it, parts that change are sent again as they do (server-sent
events). Every form carries the session's token, a page of another origin cannot send one (`SameSite=Strict`, and the
Origin field is looked at); nothing is framed, and no script but our own runs (Content-Security-Policy).
"""

from __future__ import annotations

import asyncio
import json
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from wherry.base.errors import NotFound, WherryError
from wherry.serve.forms import ACTIONS, basic_credentials, client_of, described, is_ours, question, read_form
from wherry.serve.people import is_same, may
from wherry.serve.rendering import HEADERS, open_templates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Any

    from starlette.requests import Request

    from wherry.registry.throttle import Throttle
    from wherry.serve.people import People, Session
    from wherry.serve.views import Views

__all__ = ["PERIODS", "Console"]

PERIODS = {"15m": 900.0, "1h": 3600.0, "6h": 21_600.0, "1d": 86_400.0, "7d": 604_800.0}
"""What charts show, in seconds."""
_COOKIE = "wherry-session"
_LIVE_SECONDS = 2.0  # between two looks at what an open page shows
_LINES = 500
_SAID = 1000  # sentences that wait for the page that shows them


class Console:
    """The application (ASGI)."""

    def __init__(self, views: Views, people: People, throttle: Throttle) -> None:
        self._views = views
        self._people = people
        self._throttle = throttle
        self._pages = open_templates()
        self._said: dict[str, str] = {}
        self.stopping, self._idle = asyncio.Event(), asyncio.Event()
        self._active = 0
        self.application = Starlette(
            routes=self._routes(), exception_handlers={HTTPException: self._failed, WherryError: self._refused}
        )

    def _routes(self) -> list[Route | Mount]:
        page, form, one = ["GET"], ["POST"], "/environments/{name}"
        return [
            Route("/", self._page("environments.html", self._all), methods=page),
            Route("/live", self._live(self._all_parts), methods=page),
            Route("/log-in", self._log_in_page, methods=page),
            Route("/log-in", self._log_in, methods=form),
            Route("/log-out", self._form(self._log_out, "viewer"), methods=form),
            Route(one, self._page("environment.html", self._one), methods=page),
            Route(f"{one}/live", self._live(self._one_parts), methods=page),
            Route(f"{one}/events", self._page("events.html", self._events), methods=page),
            Route(f"{one}/events/live", self._live(self._events_parts), methods=page),
            Route(f"{one}/logs", self._page("logs.html", self._logs), methods=page),
            Route(f"{one}/logs/live", self._live(self._logs_parts), methods=page),
            Route(f"{one}/settings", self._page("settings.html", self._settings), methods=page),
            Route(f"{one}/{{action}}", self._act, methods=form),
            Route("/audit", self._page("audit.html", self._audit, role="admin"), methods=page),
            Route("/metrics", self._metrics, methods=page),
            Route("/health", self._health, methods=page),
            Mount("/static", StaticFiles(packages=[("wherry.serve", "static")])),
        ]

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """One request."""
        self._active += 1
        try:
            await self.application(scope, receive, send)
        finally:
            self._active -= 1
            if not self._active:
                self._idle.set()

    async def stop(self, seconds: float) -> None:
        """Let open pages go, and wait until no request is under way, at most so long."""
        self._idle.clear()
        self.stopping.set()
        if self._active:
            try:
                await asyncio.wait_for(self._idle.wait(), seconds)
            except TimeoutError:
                return

    # --- who asks

    async def _session(self, request: Request, *, is_used: bool = True) -> Session | None:
        token = request.cookies.get(_COOKIE, "")
        return await run_in_threadpool(self._people.session, token, is_used=is_used) if token else None

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
            return self._render(template, session, said=self._said.pop(session.csrf, ""), **found)

        return show

    def _form(self, act: Callable[[Request, Session, dict[str, str]], Any], role: str) -> Callable[[Request], Any]:
        """A form of people of a role that came from a page of ours."""

        async def take(request: Request) -> Response:
            session = await self._session(request)
            if session is None:
                return RedirectResponse("/log-in", 303)
            values = await read_form(request)
            if not is_ours(request) or not is_same(values.pop("csrf", ""), session.csrf):
                raise HTTPException(403, "the form did not come from a page of this console: load the page again")
            if not may(session.person, role):
                action, subject = (request.path_params.get(one, "") for one in ("action", "name"))
                words = described(action, values)
                await self._note(request, session.person.name, words, subject, f"takes the role {role}")
                raise HTTPException(403, f"this takes the role {role}")
            answer: Response = await act(request, session, values)
            return answer

        return take

    async def _note(self, request: Request, person: str, action: str, subject: str = "", result: str = "done") -> None:
        await run_in_threadpool(self._people.note, person, client_of(request), action, subject, result)

    # --- logging in and out

    async def _log_in_page(self, request: Request) -> Response:
        if await self._session(request) is not None:
            return RedirectResponse("/", 303)
        return await self._log_in_form(200, failed=False)

    async def _log_in_form(self, status: int, *, failed: bool) -> Response:
        nobody = not await run_in_threadpool(self._people.all)
        return self._render("log-in.html", None, status=status, failed=failed, nobody=nobody)

    async def _log_in(self, request: Request) -> Response:
        values = await read_form(request)
        who = client_of(request)
        if not is_ours(request):
            raise HTTPException(403, "the form did not come from a page of this console")
        if self._throttle.wait(who):
            raise HTTPException(429, "too many wrong passwords: wait a minute")
        name = values.get("name", "")
        token = await run_in_threadpool(self._people.log_in, name, values.get("password", ""))
        if not token:
            self._throttle.failed(who)
            await asyncio.sleep(self._throttle.delay(who))
            await self._note(request, name[:64], "log-in", result="wrong name or password")
            return await self._log_in_form(401, failed=True)
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

    # --- pages: what each shows, and what of it is sent again as it changes

    def _all(self, _request: Request) -> dict[str, Any]:
        return {"environments": self._views.summaries(), "events": self._views.events("", 20)}

    def _all_parts(self, request: Request, parts: Any) -> dict[str, str]:
        found = self._all(request)
        events = parts.events(found["events"], named=True)
        return {"environments": parts.environments(found["environments"]), "events": events}

    def _one(self, request: Request) -> dict[str, Any]:
        name, period = request.path_params["name"], request.query_params.get("period", "")
        period = period if period in PERIODS else "1h"
        return {
            "environment": self._views.environment(name, PERIODS[period]),
            "events": self._views.events(name, 15),
            "period": period,
            "periods": [*PERIODS],
        }

    def _one_parts(self, request: Request, parts: Any) -> dict[str, str]:
        found = self._one(request)
        names = ("summary", "operation", "actions", "charts", "instances", "deployments")
        shown = {name: getattr(parts, name)(found["environment"]) for name in names}
        return {**shown, "events": parts.events(found["events"])}

    def _events(self, request: Request) -> dict[str, Any]:
        name = request.path_params["name"]
        return {"name": name, "events": self._views.events(name, _LINES)}

    def _events_parts(self, request: Request, parts: Any) -> dict[str, str]:
        return {"events": parts.events(self._events(request)["events"])}

    def _logs(self, request: Request) -> dict[str, Any]:
        name, asked = request.path_params["name"], request.query_params
        chosen = {"instance": asked.get("instance", ""), "service": asked.get("service", "")}
        known = [one.name for one in self._views.environment(name, 0.0).instances]
        lines = self._views.logs(name, _LINES, **chosen)
        return {"name": name, "lines": lines, "known": known, "query": urlencode(chosen), **chosen}

    def _logs_parts(self, request: Request, parts: Any) -> dict[str, str]:
        return {"lines": parts.lines(self._logs(request)["lines"])}

    def _settings(self, request: Request) -> dict[str, Any]:
        name = request.path_params["name"]
        return {"name": name, "settings": self._views.settings(name), "variables": self._views.variables(name)}

    def _audit(self, _request: Request) -> dict[str, Any]:
        return {"entries": self._people.entries()}

    # --- doing something

    async def _act(self, request: Request) -> Response:
        action, name = request.path_params["action"], request.path_params["name"]
        if action not in ACTIONS:
            raise HTTPException(404, f"there is no {action}")

        async def act(request: Request, session: Session, values: dict[str, str]) -> Response:
            asked = question(action, name, values)
            if values.pop("sure", "") != "yes" and asked:
                return self._ask(request, session, asked, values)
            person = session.person.name
            try:
                said = await run_in_threadpool(self._views.act, action, name, values, person)
            except WherryError as error:
                await self._note(request, person, described(action, values), name, error.message)
                raise
            await self._note(request, person, described(action, values), name)
            self._keep(session, said)
            back = "/settings" if action in ("set", "variable") else ""
            return RedirectResponse(f"/environments/{name}{back}", 303)

        answer: Response = await self._form(act, ACTIONS[action])(request)
        return answer

    def _ask(self, request: Request, session: Session, words: str, values: dict[str, str]) -> Response:
        """A page that asks whether it is meant, for browsers that did not ask themselves."""
        path = request.url.path
        back = path.rpartition("/")[0]
        return self._render("confirm.html", session, question=words, action=path, values=values, back=back)

    def _keep(self, session: Session, said: str) -> None:
        """Keep a sentence for the next page that the session is shown."""
        while len(self._said) >= _SAID:
            del self._said[next(iter(self._said))]
        self._said[session.csrf] = said

    # --- what changes while a page is open

    def _live(self, render: Callable[[Request, Any], dict[str, str]]) -> Callable[[Request], Any]:
        """Parts of a page, sent whenever they are different from what was sent last."""

        async def stream(request: Request) -> Response:
            session = await self._session(request)
            if session is None:
                raise HTTPException(401, "log in first")
            first = await run_in_threadpool(render, request, self._parts_for(session))
            headers = {**HEADERS, "X-Accel-Buffering": "no"}
            parts = self._changes(request, render, first)
            return StreamingResponse(parts, headers=headers, media_type="text/event-stream")

        return stream

    async def _changes(
        self, request: Request, render: Callable[[Request, Any], dict[str, str]], parts: dict[str, str]
    ) -> AsyncIterator[bytes]:
        sent: dict[str, str] = {}
        while True:
            changed = {part: html for part, html in parts.items() if sent.get(part) != html}
            sent.update(changed)
            yield f"data: {json.dumps(changed)}\n\n".encode() if changed else b": still here\n\n"
            try:
                await asyncio.wait_for(self.stopping.wait(), _LIVE_SECONDS)
            except TimeoutError:
                session = await self._session(request, is_used=False)
            else:
                return
            if session is None:
                return
            try:
                parts = await run_in_threadpool(render, request, self._parts_for(session))
            except NotFound:
                return
            except WherryError:
                continue  # what the page shows stays as it is until it can be seen again

    def _parts_for(self, session: Session) -> Any:
        """The macros of `parts.html`, which give text."""
        template = self._pages.get_template("parts.html")
        return template.make_module({"person": session.person, "csrf": session.csrf})

    # --- other answers

    async def _metrics(self, request: Request) -> Response:
        """For people who have logged in, and for programs that send name and password (RFC 7617)."""
        if await self._session(request) is None and not await self._is_known(request):
            challenge = {"WWW-Authenticate": 'Basic realm="wherry", charset="UTF-8"'}
            raise HTTPException(401, "log in first", headers=challenge)
        return PlainTextResponse(await run_in_threadpool(self._views.metrics), media_type="text/plain; version=0.0.4")

    async def _is_known(self, request: Request) -> bool:
        name, password = basic_credentials(request)
        who = client_of(request)
        if not name or self._throttle.wait(who):
            return False
        if await run_in_threadpool(self._people.is_right, name, password):
            return True
        self._throttle.failed(who)
        await asyncio.sleep(self._throttle.delay(who))
        return False

    async def _health(self, _request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _failed(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        response = await self._error_page(request, error.status_code, str(error.detail))
        response.headers.update(error.headers or {})
        return response

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, WherryError)
        status = 404 if isinstance(error, NotFound) else 409
        return await self._error_page(request, status, error.message, error.hint)

    async def _error_page(self, request: Request, status: int, words: str, hint: str = "") -> Response:
        name = request.path_params.get("name", "")
        back = f"/environments/{name}" if name and status != 404 else "/"
        session = await self._session(request)
        return self._render("error.html", session, status=status, code=status, words=words, hint=hint, back=back)

    def _render(self, template: str, session: Session | None, *, status: int = 200, **values: Any) -> Response:
        person, csrf = (session.person, session.csrf) if session is not None else (None, "")
        html = self._pages.get_template(template).render(person=person, csrf=csrf, **values)
        return HTMLResponse(html, status, headers=HEADERS)
