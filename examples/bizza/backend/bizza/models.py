"""The tables. Alembic's migrations make them; `tests/test_migrations.py` holds the two together."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, Column, DateTime, ForeignKey, Index, MetaData, Table, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.sql import literal_column


class Base(DeclarativeBase):
    """Times carry their zone; constraints have predictable names, so that migrations and errors can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: DateTime(timezone=True)}  # noqa: RUF012 (SQLAlchemy reads it from the class)


class Role(StrEnum):
    """What a user may do."""

    ATTENDEE = "attendee"
    ORGANISER = "organiser"


class Identified(Base):
    """Rows with a number of their own."""

    __abstract__ = True
    id: Mapped[int] = mapped_column(primary_key=True)


class User(Identified):
    """Somebody who can log in; `email` is kept in lower case."""

    __tablename__ = "users"
    __table_args__ = (CheckConstraint("role IN ('attendee', 'organiser')", name="role"),)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    password_hash: Mapped[str]
    role: Mapped[str] = mapped_column(server_default=Role.ATTENDEE)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class LogIn(Identified):
    """A session in a browser: the table knows only the hash of the token that the cookie holds."""

    __tablename__ = "log_ins"
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[datetime]
    user: Mapped[User] = relationship(lazy="joined")


class Venue(Identified):
    """A place where events are held."""

    __tablename__ = "venues"
    __table_args__ = (CheckConstraint("capacity > 0", name="capacity"),)
    name: Mapped[str] = mapped_column(unique=True)
    address: Mapped[str]
    city: Mapped[str]
    capacity: Mapped[int]
    description: Mapped[str] = mapped_column(server_default="")
    accessibility: Mapped[str] = mapped_column(server_default="")


class Event(Identified):
    """Something one gets a ticket for. The database itself refuses to hand out more tickets than places."""

    __tablename__ = "events"
    __table_args__ = (
        CheckConstraint("ends_at > starts_at", name="times"),
        CheckConstraint("tickets_taken BETWEEN 0 AND capacity", name="tickets"),
    )
    title: Mapped[str]
    summary: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    starts_at: Mapped[datetime] = mapped_column(index=True)
    ends_at: Mapped[datetime]
    capacity: Mapped[int]
    tickets_taken: Mapped[int] = mapped_column(server_default="0")
    venue_id: Mapped[int] = mapped_column(ForeignKey("venues.id", ondelete="RESTRICT"), index=True)
    venue: Mapped[Venue] = relationship(lazy="joined")


presentation_speakers = Table(
    "presentation_speakers",
    Base.metadata,
    Column("presentation_id", ForeignKey("presentations.id", ondelete="CASCADE"), primary_key=True),
    Column("speaker_id", ForeignKey("speakers.id", ondelete="CASCADE"), primary_key=True, index=True),
)


class Speaker(Identified):
    """Somebody who presents."""

    __tablename__ = "speakers"
    name: Mapped[str] = mapped_column(index=True)
    position: Mapped[str] = mapped_column(server_default="")
    organisation: Mapped[str] = mapped_column(server_default="")
    biography: Mapped[str] = mapped_column(server_default="")
    website: Mapped[str] = mapped_column(server_default="")
    presentations: Mapped[list[Presentation]] = relationship(
        secondary=presentation_speakers, back_populates="speakers", order_by="Presentation.title"
    )


class Presentation(Identified):
    """A talk, workshop or panel of an event."""

    __tablename__ = "presentations"
    __table_args__ = (CheckConstraint("kind IN ('talk', 'workshop', 'panel', 'keynote')", name="kind"),)
    event_id: Mapped[int] = mapped_column(ForeignKey("events.id", ondelete="CASCADE"), index=True)
    title: Mapped[str]
    kind: Mapped[str] = mapped_column(server_default="talk")
    abstract: Mapped[str] = mapped_column(server_default="")
    event: Mapped[Event] = relationship()
    speakers: Mapped[list[Speaker]] = relationship(
        secondary=presentation_speakers, back_populates="presentations", order_by="Speaker.name"
    )


class ScheduleEntry(Identified):
    """When and where something of an event takes place; one room holds one thing at a time."""

    __tablename__ = "schedule_entries"
    __table_args__ = (
        CheckConstraint("ends_at > starts_at", name="times"),
        CheckConstraint("presentation_id IS NOT NULL OR title <> ''", name="subject"),
        ExcludeConstraint(
            ("event_id", "="),
            ("room", "="),
            (literal_column("tstzrange(starts_at, ends_at)"), "&&"),
            name="ex_schedule_entries_room",
            using="gist",
        ),
    )
    event_id: Mapped[int] = mapped_column(ForeignKey("events.id", ondelete="CASCADE"), index=True)
    presentation_id: Mapped[int | None] = mapped_column(ForeignKey("presentations.id", ondelete="CASCADE"), index=True)
    title: Mapped[str] = mapped_column(server_default="")
    room: Mapped[str]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    event: Mapped[Event] = relationship()
    presentation: Mapped[Presentation | None] = relationship()


class Sponsor(Identified):
    """A company that supports the conference."""

    __tablename__ = "sponsors"
    __table_args__ = (CheckConstraint("tier IN ('gold', 'silver', 'bronze')", name="tier"),)
    name: Mapped[str] = mapped_column(unique=True)
    tier: Mapped[str]
    website: Mapped[str] = mapped_column(server_default="")
    description: Mapped[str] = mapped_column(server_default="")


class Attendee(Identified):
    """What a user's badge says, and what the organisers should know."""

    __tablename__ = "attendees"
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), unique=True)
    badge_name: Mapped[str]
    organisation: Mapped[str] = mapped_column(server_default="")
    needs: Mapped[str] = mapped_column(server_default="")
    user: Mapped[User] = relationship(lazy="joined")


class Ticket(Identified):
    """A place at an event, one for each attendee; `code` is what is shown at the door."""

    __tablename__ = "tickets"
    __table_args__ = (UniqueConstraint("event_id", "attendee_id"),)
    event_id: Mapped[int] = mapped_column(ForeignKey("events.id", ondelete="RESTRICT"))
    attendee_id: Mapped[int] = mapped_column(ForeignKey("attendees.id", ondelete="RESTRICT"), index=True)
    code: Mapped[str] = mapped_column(unique=True)
    issued_at: Mapped[datetime] = mapped_column(server_default=func.now())
    event: Mapped[Event] = relationship(lazy="joined")
    attendee: Mapped[Attendee] = relationship(lazy="joined")


class Message(Identified):
    """What somebody wrote by the contact form."""

    __tablename__ = "messages"
    __table_args__ = (Index("ix_messages_sent_at", "sent_at"),)
    name: Mapped[str]
    email: Mapped[str]
    text: Mapped[str]
    sent_at: Mapped[datetime] = mapped_column(server_default=func.now())
