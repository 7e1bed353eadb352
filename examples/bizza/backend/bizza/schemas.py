"""What requests must look like, and what answers look like. Text is trimmed; unknown fields are refused."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    EmailStr,
    Field,
    StringConstraints,
    model_validator,
)

Line = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
OptionalLine = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f]*$")]
Text = Annotated[str, StringConstraints(max_length=5000, pattern=r"^[^\x00]*$")]
Number = Annotated[int, Field(ge=1, le=2**31 - 1)]


def _web_address(value: str) -> str:
    if value and not value.startswith(("https://", "http://")):
        raise ValueError("a web address begins with https:// or http://")
    return value


Website = Annotated[OptionalLine, AfterValidator(_web_address)]
Email = Annotated[EmailStr, BeforeValidator(lambda text: text.strip() if isinstance(text, str) else text)]


class Incoming(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class Outgoing(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: int


class Between(BaseModel):
    """Something that begins and ends, in that order."""

    starts_at: AwareDatetime
    ends_at: AwareDatetime

    @model_validator(mode="after")
    def _in_order(self) -> Between:
        if self.ends_at <= self.starts_at:
            raise ValueError("the end must come after the beginning")
        return self


class SignUp(Incoming):
    name: Line
    email: Email
    password: Annotated[str, StringConstraints(strip_whitespace=False, min_length=10, max_length=200)]


class Credentials(Incoming):
    email: Annotated[str, StringConstraints(max_length=320)]
    password: Annotated[str, StringConstraints(strip_whitespace=False, max_length=200)]


class UserOut(Outgoing):
    name: str
    email: str
    role: str


class VenueIn(Incoming):
    name: Line
    address: Line
    city: Line
    capacity: Number
    description: Text = ""
    accessibility: Text = ""


class VenueOut(Outgoing):
    name: str
    address: str
    city: str
    capacity: int
    description: str
    accessibility: str


class EventIn(Incoming, Between):
    title: Line
    summary: Line
    description: Text = ""
    capacity: Number
    venue_id: Number


class EventBrief(Outgoing):
    title: str
    starts_at: datetime
    ends_at: datetime


class EventOut(EventBrief):
    summary: str
    description: str
    capacity: int
    tickets_taken: int
    venue: VenueOut


class SpeakerIn(Incoming):
    name: Line
    position: OptionalLine = ""
    organisation: OptionalLine = ""
    biography: Text = ""
    website: Website = ""


class SpeakerOut(Outgoing):
    name: str
    position: str
    organisation: str
    biography: str
    website: str


class PresentationIn(Incoming):
    event_id: Number
    title: Line
    kind: Literal["talk", "workshop", "panel", "keynote"] = "talk"
    abstract: Text = ""
    speaker_ids: Annotated[list[Number], Field(max_length=50)] = []


class PresentationOut(Outgoing):
    title: str
    kind: str
    abstract: str
    event: EventBrief
    speakers: list[SpeakerOut]


class SpeakerDetail(SpeakerOut):
    presentations: list[PresentationOut]


class ScheduleEntryIn(Incoming, Between):
    event_id: Number
    presentation_id: Number | None = None
    title: OptionalLine = ""
    room: Line

    @model_validator(mode="after")
    def _has_subject(self) -> ScheduleEntryIn:
        if self.presentation_id is None and not self.title:
            raise ValueError("give a presentation or a title")
        return self


class ScheduleEntryOut(Outgoing):
    event: EventBrief
    presentation: PresentationOut | None
    title: str
    room: str
    starts_at: datetime
    ends_at: datetime


class SponsorIn(Incoming):
    name: Line
    tier: Literal["gold", "silver", "bronze"]
    website: Website = ""
    description: Text = ""


class SponsorOut(Outgoing):
    name: str
    tier: str
    website: str
    description: str


class AttendeeIn(Incoming):
    badge_name: Line
    organisation: OptionalLine = ""
    needs: Text = ""


class AttendeeOut(Outgoing):
    badge_name: str
    organisation: str
    needs: str


class TicketOut(Outgoing):
    code: str
    issued_at: datetime
    event: EventOut
    attendee: AttendeeOut


class MessageIn(Incoming):
    name: Line
    email: Email
    text: Annotated[Text, StringConstraints(min_length=1)]


class MessageOut(Outgoing):
    name: str
    email: str
    text: str
    sent_at: datetime


class Page(BaseModel):
    """Which part of a list is asked for."""

    limit: Annotated[int, Field(ge=1, le=200)] = 100
    offset: Annotated[int, Field(ge=0, le=2**31)] = 0


def shown(schema: type[BaseModel], row: object) -> dict[str, Any]:
    """A row as JSON can hold it."""
    return schema.model_validate(row).model_dump(mode="json")
