"""Registering for events. A place is taken by one statement that counts and refuses in the same breath, so that no
two requests, in whatever processes, can take the last one; the table's check constraint stands behind it."""

from __future__ import annotations

import secrets
from typing import Any

from flask import Blueprint
from sqlalchemy import func, select, update

from bizza.api.requests import body, page_of
from bizza.database import session
from bizza.errors import Conflict, Unknown
from bizza.models import Attendee, Event, Ticket, User
from bizza.schemas import AttendeeIn, AttendeeOut, TicketOut, shown
from bizza.security import require_organiser, require_user

blueprint = Blueprint("tickets", __name__)
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"


def code() -> str:
    """Ten signs that nobody guesses or confuses."""
    return "".join(secrets.choice(ALPHABET) for _ in range(10))


def _attendee(user: User) -> Attendee | None:
    return session().scalar(select(Attendee).where(Attendee.user_id == user.id))


@blueprint.get("/attendee")
def badge() -> dict[str, Any]:
    """What the user's badge says (null before the first registration)."""
    found = _attendee(require_user())
    return {"attendee": shown(AttendeeOut, found) if found else None}


@blueprint.get("/tickets")
def mine() -> dict[str, Any]:
    """The user's own tickets, the next event first."""
    user = require_user()
    owned = select(Ticket).join(Ticket.attendee).join(Ticket.event).where(Attendee.user_id == user.id)
    return page_of(owned.order_by(Event.starts_at, Ticket.id), TicketOut)


@blueprint.post("/events/<int:event_id>/tickets")
def take(event_id: int) -> tuple[dict[str, Any], int]:
    """Register for an event, with what the badge should say."""
    user, wanted = require_user(), body(AttendeeIn)
    attendee = _attendee(user) or Attendee(user_id=user.id)
    for name, value in wanted.model_dump().items():
        setattr(attendee, name, value)
    session().add(attendee)
    session().flush()
    _take_place(event_id)
    ticket = Ticket(event_id=event_id, attendee_id=attendee.id, code=code())
    session().add(ticket)
    session().commit()
    return shown(TicketOut, ticket), 201


def _take_place(event_id: int) -> None:
    """Count one more; raises Unknown, or Conflict for an event that is over or full."""
    event = session().get(Event, event_id) if event_id < 2**31 else None
    if event is None:
        raise Unknown("There is no such event.")
    free = (Event.id == event_id, Event.tickets_taken < Event.capacity, Event.ends_at > func.now())
    taken = session().execute(
        update(Event).where(*free).values(tickets_taken=Event.tickets_taken + 1).returning(Event.id)
    )
    if taken.first() is None:
        session().refresh(event)
        full = event.tickets_taken >= event.capacity
        raise Conflict("This event is fully booked." if full else "This event is over.")


@blueprint.delete("/tickets/<int:ticket_id>")
def give_back(ticket_id: int) -> tuple[str, int]:
    """Give one's own ticket back: its place is free again."""
    user = require_user()
    own = select(Ticket).join(Ticket.attendee).where(Ticket.id == ticket_id, Attendee.user_id == user.id)
    ticket = session().scalar(own.with_for_update(of=Ticket)) if ticket_id < 2**31 else None
    if ticket is None:
        raise Unknown("There is no such ticket.")
    session().delete(ticket)
    session().flush()
    session().execute(update(Event).where(Event.id == ticket.event_id).values(tickets_taken=Event.tickets_taken - 1))
    session().commit()
    return "", 204


@blueprint.get("/events/<int:event_id>/tickets")
def of_event(event_id: int) -> dict[str, Any]:
    """Who comes, for organisers."""
    require_organiser()
    query = select(Ticket).join(Ticket.attendee).where(Ticket.event_id == event_id)
    return page_of(query.order_by(Attendee.badge_name, Ticket.id), TicketOut)
