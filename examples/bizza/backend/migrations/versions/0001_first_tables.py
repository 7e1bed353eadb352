"""The first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    # An extension that the owner of a database may add: it lets "one room holds one thing at a time" be a constraint.
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    _things()
    _people()
    _events()
    _tickets()
    _programme()


def _things() -> None:
    op.create_table(
        "messages",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
    )
    op.create_index("ix_messages_sent_at", "messages", ["sent_at"], unique=False)
    op.create_table(
        "speakers",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("position", sa.String(), server_default="", nullable=False),
        sa.Column("organisation", sa.String(), server_default="", nullable=False),
        sa.Column("biography", sa.String(), server_default="", nullable=False),
        sa.Column("website", sa.String(), server_default="", nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_speakers")),
    )
    op.create_index(op.f("ix_speakers_name"), "speakers", ["name"], unique=False)
    op.create_table(
        "sponsors",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("tier", sa.String(), nullable=False),
        sa.Column("website", sa.String(), server_default="", nullable=False),
        sa.Column("description", sa.String(), server_default="", nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.CheckConstraint("tier IN ('gold', 'silver', 'bronze')", name=op.f("ck_sponsors_tier")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sponsors")),
        sa.UniqueConstraint("name", name=op.f("uq_sponsors_name")),
    )


def _people() -> None:
    op.create_table(
        "users",
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("role", sa.String(), server_default="attendee", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.CheckConstraint("role IN ('attendee', 'organiser')", name=op.f("ck_users_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
    )
    op.create_table(
        "venues",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("city", sa.String(), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("description", sa.String(), server_default="", nullable=False),
        sa.Column("accessibility", sa.String(), server_default="", nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.CheckConstraint("capacity > 0", name=op.f("ck_venues_capacity")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_venues")),
        sa.UniqueConstraint("name", name=op.f("uq_venues_name")),
    )
    op.create_table(
        "attendees",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("badge_name", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), server_default="", nullable=False),
        sa.Column("needs", sa.String(), server_default="", nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_attendees_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attendees")),
        sa.UniqueConstraint("user_id", name=op.f("uq_attendees_user_id")),
    )


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("summary", sa.String(), nullable=False),
        sa.Column("description", sa.String(), server_default="", nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("tickets_taken", sa.Integer(), server_default="0", nullable=False),
        sa.Column("venue_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_events_times")),
        sa.CheckConstraint("tickets_taken BETWEEN 0 AND capacity", name=op.f("ck_events_tickets")),
        sa.ForeignKeyConstraint(["venue_id"], ["venues.id"], name=op.f("fk_events_venue_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_starts_at"), "events", ["starts_at"], unique=False)
    op.create_index(op.f("ix_events_venue_id"), "events", ["venue_id"], unique=False)
    op.create_table(
        "log_ins",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_log_ins_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_ins")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_log_ins_token_hash")),
    )
    op.create_index(op.f("ix_log_ins_user_id"), "log_ins", ["user_id"], unique=False)
    op.create_table(
        "presentations",
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), server_default="talk", nullable=False),
        sa.Column("abstract", sa.String(), server_default="", nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('talk', 'workshop', 'panel', 'keynote')", name=op.f("ck_presentations_kind")),
        sa.ForeignKeyConstraint(
            ["event_id"], ["events.id"], name=op.f("fk_presentations_event_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_presentations")),
    )
    op.create_index(op.f("ix_presentations_event_id"), "presentations", ["event_id"], unique=False)


def _tickets() -> None:
    op.create_table(
        "tickets",
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("attendee_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["attendee_id"], ["attendees.id"], name=op.f("fk_tickets_attendee_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_tickets_event_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tickets")),
        sa.UniqueConstraint("code", name=op.f("uq_tickets_code")),
        sa.UniqueConstraint("event_id", "attendee_id", name=op.f("uq_tickets_event_id_attendee_id")),
    )
    op.create_index(op.f("ix_tickets_attendee_id"), "tickets", ["attendee_id"], unique=False)


def _programme() -> None:
    op.create_table(
        "presentation_speakers",
        sa.Column("presentation_id", sa.Integer(), nullable=False),
        sa.Column("speaker_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["presentation_id"],
            ["presentations.id"],
            name=op.f("fk_presentation_speakers_presentation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["speaker_id"], ["speakers.id"], name=op.f("fk_presentation_speakers_speaker_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("presentation_id", "speaker_id", name=op.f("pk_presentation_speakers")),
    )
    op.create_index(op.f("ix_presentation_speakers_speaker_id"), "presentation_speakers", ["speaker_id"], unique=False)
    op.create_table(
        "schedule_entries",
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("presentation_id", sa.Integer(), nullable=True),
        sa.Column("title", sa.String(), server_default="", nullable=False),
        sa.Column("room", sa.String(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("event_id"), "="),
            (sa.column("room"), "="),
            (sa.literal_column("tstzrange(starts_at, ends_at)"), "&&"),
            using="gist",
            name="ex_schedule_entries_room",
        ),
        sa.CheckConstraint("presentation_id IS NOT NULL OR title <> ''", name=op.f("ck_schedule_entries_subject")),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_schedule_entries_times")),
        sa.ForeignKeyConstraint(
            ["event_id"], ["events.id"], name=op.f("fk_schedule_entries_event_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["presentation_id"],
            ["presentations.id"],
            name=op.f("fk_schedule_entries_presentation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule_entries")),
    )
    op.create_index(op.f("ix_schedule_entries_event_id"), "schedule_entries", ["event_id"], unique=False)
    op.create_index(op.f("ix_schedule_entries_presentation_id"), "schedule_entries", ["presentation_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_schedule_entries_presentation_id"), table_name="schedule_entries")
    op.drop_index(op.f("ix_schedule_entries_event_id"), table_name="schedule_entries")
    op.drop_table("schedule_entries")
    op.drop_index(op.f("ix_presentation_speakers_speaker_id"), table_name="presentation_speakers")
    op.drop_table("presentation_speakers")
    op.drop_index(op.f("ix_tickets_attendee_id"), table_name="tickets")
    op.drop_table("tickets")
    op.drop_index(op.f("ix_presentations_event_id"), table_name="presentations")
    op.drop_table("presentations")
    op.drop_index(op.f("ix_log_ins_user_id"), table_name="log_ins")
    op.drop_table("log_ins")
    op.drop_index(op.f("ix_events_venue_id"), table_name="events")
    op.drop_index(op.f("ix_events_starts_at"), table_name="events")
    op.drop_table("events")
    op.drop_table("attendees")
    op.drop_table("venues")
    op.drop_table("users")
    op.drop_table("sponsors")
    op.drop_index(op.f("ix_speakers_name"), table_name="speakers")
    op.drop_table("speakers")
    op.drop_index("ix_messages_sent_at", table_name="messages")
    op.drop_table("messages")
