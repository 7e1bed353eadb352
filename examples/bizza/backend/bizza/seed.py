"""The example conference (seed.json). Its days count from the day of filling, so that it is never over already."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta
from importlib.resources import files
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from bizza import models


def fill(opened: Session) -> bool:
    """Add the example conference unless there are venues already; says whether it did."""
    if opened.scalar(select(models.Venue.id).limit(1)) is not None:
        return False
    content = json.loads(files("bizza").joinpath("seed.json").read_text(encoding="utf-8"))
    venues = {item["name"]: models.Venue(**item) for item in content["venues"]}
    speakers = {item["name"]: models.Speaker(**item) for item in content["speakers"]}
    opened.add_all([*venues.values(), *speakers.values()])
    opened.add_all(models.Sponsor(**item) for item in content["sponsors"])
    for item in content["events"]:
        opened.add_all(_event(item, venues, speakers))
    return True


def moment(day: int, clock: str) -> datetime:
    """`clock` (HH:MM, UTC) on the day that is `day` days from today."""
    return datetime.combine(datetime.now(UTC).date() + timedelta(days=day), time.fromisoformat(clock), UTC)


def _event(
    item: dict[str, Any], venues: dict[str, models.Venue], speakers: dict[str, models.Speaker]
) -> list[models.Identified]:
    day, programme = item.pop("day"), item.pop("programme")
    item["starts_at"], item["ends_at"] = moment(day, item.pop("from")), moment(day, item.pop("to"))
    event = models.Event(**item | {"venue": venues[item["venue"]]})
    rows: list[models.Identified] = [event]
    for slot in programme:
        presentation = None
        if "kind" in slot:
            presentation = models.Presentation(
                event=event,
                title=slot["title"],
                kind=slot["kind"],
                abstract=slot["abstract"],
                speakers=[speakers[name] for name in slot["speakers"]],
            )
        rows.append(
            models.ScheduleEntry(
                event=event,
                presentation=presentation,
                title="" if presentation else slot["title"],
                room=slot["room"],
                starts_at=moment(day, slot["from"]),
                ends_at=moment(day, slot["to"]),
            )
        )
    return rows
