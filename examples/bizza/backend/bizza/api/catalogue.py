"""What the conference consists of: speakers, events, venues, presentations, schedule entries and sponsors."""

from __future__ import annotations

from typing import Any

from flask import request
from sqlalchemy import Select, case, func, or_, select
from sqlalchemy.orm import joinedload, selectinload

from bizza import models, schemas
from bizza.api.requests import wanted_id
from bizza.api.resource import Resource, Values
from bizza.database import session
from bizza.errors import Invalid


def speakers() -> Select[Any]:
    """By name; `q` looks into name, organisation and what they present."""
    query = select(models.Speaker).order_by(models.Speaker.name, models.Speaker.id)
    words = request.args.get("q", "")[:100].split()
    for word in words:
        pattern = "%" + word.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + "%"
        query = query.where(
            or_(
                models.Speaker.name.ilike(pattern),
                models.Speaker.organisation.ilike(pattern),
                models.Speaker.presentations.any(models.Presentation.title.ilike(pattern)),
            )
        )
    return query


def events() -> Select[Any]:
    """By time; `when=upcoming` leaves out what is over."""
    query = select(models.Event).order_by(models.Event.starts_at, models.Event.id)
    return query.where(models.Event.ends_at > func.now()) if request.args.get("when") == "upcoming" else query


def presentations() -> Select[Any]:
    """By title; `event` keeps those of one event."""
    query = select(models.Presentation).order_by(models.Presentation.title, models.Presentation.id)
    event = wanted_id("event")
    return query if event is None else query.where(models.Presentation.event_id == event)


def schedule() -> Select[Any]:
    """By time and room; `event` keeps those of one event."""
    entry = models.ScheduleEntry
    query = select(entry).order_by(entry.starts_at, entry.room, entry.id)
    event = wanted_id("event")
    return query if event is None else query.where(entry.event_id == event)


def sponsors() -> Select[Any]:
    """The most generous first."""
    rank = case({"gold": 0, "silver": 1, "bronze": 2}, value=models.Sponsor.tier)
    return select(models.Sponsor).order_by(rank, models.Sponsor.name)


def with_speakers(values: Values) -> Values:
    """`speaker_ids` as the speakers themselves; raises Invalid where one does not exist."""
    wanted = set(values.pop("speaker_ids"))
    found = list(session().scalars(select(models.Speaker).where(models.Speaker.id.in_(wanted))))
    if len(found) != len(wanted):
        raise Invalid("Some fields need another look.", {"speaker_ids": "There is no such speaker."})
    return values | {"speakers": found}


def of_its_event(values: Values) -> Values:
    """Check that the presentation belongs to the event."""
    if values["presentation_id"] is not None:
        presentation = session().get(models.Presentation, values["presentation_id"])
        if presentation is None or presentation.event_id != values["event_id"]:
            raise Invalid("Some fields need another look.", {"presentation_id": "This event has no such presentation."})
    return values


whole_presentation = (joinedload(models.Presentation.event), selectinload(models.Presentation.speakers))

resources = (
    Resource("venues", models.Venue, schemas.VenueIn, schemas.VenueOut, lambda: select(models.Venue).order_by("name")),
    Resource("events", models.Event, schemas.EventIn, schemas.EventOut, events),
    Resource("sponsors", models.Sponsor, schemas.SponsorIn, schemas.SponsorOut, sponsors),
    Resource("speakers", models.Speaker, schemas.SpeakerIn, schemas.SpeakerOut, speakers, detail=schemas.SpeakerDetail),
    Resource(
        "presentations",
        models.Presentation,
        schemas.PresentationIn,
        schemas.PresentationOut,
        presentations,
        options=whole_presentation,
        prepare=with_speakers,
    ),
    Resource(
        "schedule",
        models.ScheduleEntry,
        schemas.ScheduleEntryIn,
        schemas.ScheduleEntryOut,
        schedule,
        options=(
            joinedload(models.ScheduleEntry.event),
            joinedload(models.ScheduleEntry.presentation).options(*whole_presentation),
        ),
        prepare=of_its_event,
    ),
)
blueprints = tuple(resource.blueprint() for resource in resources)
