"""The contact form, and what came in by it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint
from sqlalchemy import select

from bizza.api.requests import body, page_of
from bizza.database import session
from bizza.models import Message
from bizza.schemas import MessageIn, MessageOut
from bizza.security import require_organiser

blueprint = Blueprint("contact", __name__)


@blueprint.post("/messages")
def send() -> tuple[dict[str, Any], int]:
    """Keep a message for the organisers."""
    session().add(Message(**body(MessageIn).model_dump()))
    session().commit()
    return {"received": True}, 201


@blueprint.get("/messages")
def read() -> dict[str, Any]:
    """All messages, the newest first, for organisers."""
    require_organiser()
    return page_of(select(Message).order_by(Message.sent_at.desc(), Message.id.desc()), MessageOut)
