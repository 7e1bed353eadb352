"""What people may do by forms: who may do what, what is asked before it, and reading what a browser sent."""

from __future__ import annotations

import base64
from urllib.parse import parse_qsl, urlsplit

from starlette.exceptions import HTTPException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

__all__ = ["ACTIONS", "basic_credentials", "client_of", "described", "is_ours", "question", "read_form"]

ACTIONS = {
    "deploy": "operator",
    "rollback": "operator",
    "abort": "operator",
    "scale": "operator",
    "restart": "operator",
    "swap": "operator",
    "set": "admin",
    "variable": "admin",
}
"""What may be done to an environment, and the role that it takes."""
_QUESTIONS = {
    "deploy": "Deploy version {version} to {name}?",
    "rollback": "Roll {name} back?",
    "abort": "Abort what is under way on {name}, and take it back?",
    "restart": "Restart every instance of {name}, a batch after the other?",
    "swap": "Exchange the hosts of {name} and {other}?",
    "variable": "Change {variable} and deploy the current version of {name} anew?",
}
_MOST_BYTES = 64 << 10


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form. Raises HTTPException where there are too many."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise HTTPException(413, "the form is too large")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100))
    except ValueError:
        raise HTTPException(400, "the form cannot be read") from None


def is_ours(request: Request) -> bool:
    """Whether the form was sent by a page of this origin; browsers say so of every form."""
    origin = request.headers.get("origin", "")
    site = request.headers.get("sec-fetch-site", "same-origin")
    return site == "same-origin" and (not origin or urlsplit(origin).netloc == request.headers.get("host", ""))


def client_of(request: Request) -> str:
    """The address that asks."""
    return request.client.host if request.client else ""


def basic_credentials(request: Request) -> tuple[str, str]:
    """Name and password of the Authorization field (RFC 7617), empty where there are none."""
    scheme, _, coded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, password = base64.b64decode(coded, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return name, password


def question(action: str, name: str, values: Mapping[str, str]) -> str:
    """What is asked before it is done, empty for what is not asked about."""
    version, other, variable = (values.get(one, "")[:100] for one in ("version", "other", "name"))
    return _QUESTIONS.get(action, "").format(name=name, version=version, other=other, variable=variable)


def described(action: str, values: Mapping[str, str]) -> str:
    """What is written down of it: never what a variable or secret holds."""
    told = {
        "deploy": ("version",),
        "rollback": ("to",),
        "scale": ("count",),
        "swap": ("other",),
        "set": ("setting", "value"),
        "variable": ("kind", "name"),
    }
    words = [values[name][:100] for name in told.get(action, ()) if values.get(name)]
    return " ".join((action, *words))
