"""Alerts, what they are prepared from, drills, and whom to call in a village.

That a drill never sounds as an actual alert, and no actual alert as a drill, is kept by keys and
checks: an alert has the mode of its drill, of its occurrence, and of what its sound says.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0033"
down_revision = "0035"

MODES = ("actual", "exercise", "test")
KINDS = ("alert", "update", "all_clear")
EVENTS_OF_ALERTS = (
    "storm", "flood", "dam_release", "landslide", "tsunami", "earthquake", "fire", "epidemic",
    "security", "other",
)  # fmt: skip
STATES = (
    "prepared", "proposed", "authorised", "active", "updated", "all_clear", "cancelled", "expired",
)  # fmt: skip
STATES_BEFORE = ("proposed", "active", "ended", "withdrawn")
TOPICS = {"alerts": ("alerts", "alert_templates", "drills"), "registry": ("village_contacts",)}
EVENTS = {"insert": "NEW", "update": "NEW", "delete": "OLD"}


def _enum(values: tuple[str, ...], name: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=32)


def _schedule_states(*states: str) -> None:
    op.drop_constraint(op.f("ck_schedules_schedulestate"), "schedules")
    op.create_check_constraint(
        op.f("ck_schedules_schedulestate"), "schedules", sa.column("state").in_(states)
    )


def upgrade() -> None:
    op.add_column(
        "bulletin_revisions",
        sa.Column("is_drill", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.create_unique_constraint(
        op.f("uq_bulletin_revisions_bulletin_id_number_is_drill"),
        "bulletin_revisions",
        ["bulletin_id", "number", "is_drill"],
    )
    op.add_column(
        "bulletins",
        sa.Column("kept_ready", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column(
        "occurrences",
        sa.Column(
            "alert_mode",
            sa.Enum(*MODES, native_enum=False, length=32),
            nullable=True,
        ),
    )
    op.create_check_constraint(
        op.f("ck_occurrences_alert_mode"), "occurrences", sa.column("alert_mode").in_(MODES)
    )
    op.create_index(
        "ix_occurrences_alerts",
        "occurrences",
        ["ends_by"],
        unique=False,
        postgresql_where=sa.text("alert_mode IS NOT NULL AND carried_scopes <> '{}'"),
    )
    op.create_unique_constraint(
        op.f("uq_occurrences_id_alert_mode"), "occurrences", ["id", "alert_mode"]
    )
    op.add_column(
        "preparations",
        sa.Column("framing", postgresql.JSONB(none_as_null=True), nullable=True),
    )
    op.add_column(
        "programme_revisions",
        sa.Column("kind", sa.Text(), server_default="programme", nullable=False),
    )
    op.drop_constraint(op.f("pk_programme_revisions"), "programme_revisions")
    op.create_primary_key(
        op.f("pk_programme_revisions"), "programme_revisions", ["scope", "kind", "revision"]
    )
    _schedule_states(*STATES_BEFORE, "alert")
    op.create_table(
        "drills",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column(
            "mode",
            _enum(MODES, "mode"),
            nullable=False,
        ),
        sa.Column("area_code", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reserve_on", sa.Date(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("mode <> 'actual'", name=op.f("ck_drills_never_actual")),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_drills_span")),
        sa.ForeignKeyConstraint(
            ["created_by"], ["accounts.id"], name=op.f("fk_drills_created_by_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drills")),
        sa.UniqueConstraint("id", "mode", name=op.f("uq_drills_id_mode")),
    )
    op.create_index(op.f("ix_drills_starts_at"), "drills", ["starts_at"], unique=False)
    op.create_table(
        "village_contacts",
        sa.Column("village_code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("changed_by", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["changed_by"], ["accounts.id"], name=op.f("fk_village_contacts_changed_by_accounts")
        ),
        sa.PrimaryKeyConstraint("village_code", name=op.f("pk_village_contacts")),
    )
    op.create_table(
        "alert_templates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column(
            "event",
            _enum(EVENTS_OF_ALERTS, "event"),
            nullable=False,
        ),
        sa.Column("area_code", sa.Text(), nullable=False),
        sa.Column("texts", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("languages", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("tone", sa.Boolean(), nullable=False),
        sa.Column("repeats", sa.SmallInteger(), nullable=False),
        sa.Column("valid_minutes", sa.SmallInteger(), nullable=False),
        sa.Column("bulletin_id", sa.Uuid(), nullable=False),
        sa.Column("created_by", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["bulletin_id"],
            ["bulletins.id"],
            name=op.f("fk_alert_templates_bulletin_id_bulletins"),
        ),
        sa.ForeignKeyConstraint(
            ["created_by"], ["accounts.id"], name=op.f("fk_alert_templates_created_by_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_templates")),
    )
    op.create_index(
        op.f("ix_alert_templates_created_at"), "alert_templates", ["created_at"], unique=False
    )
    op.create_table(
        "alerts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            _enum(KINDS, "kind"),
            nullable=False,
        ),
        sa.Column("replaces_id", sa.Uuid(), nullable=True),
        sa.Column(
            "mode",
            _enum(MODES, "mode"),
            nullable=False,
        ),
        sa.Column("drill_id", sa.Uuid(), nullable=True),
        sa.Column(
            "event",
            _enum(EVENTS_OF_ALERTS, "event"),
            nullable=False,
        ),
        sa.Column("headline", sa.Text(), nullable=False),
        sa.Column("texts", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("area_code", sa.Text(), nullable=False),
        sa.Column("targets", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("targets_on", sa.Date(), nullable=False),
        sa.Column("template_id", sa.Uuid(), nullable=True),
        sa.Column("bulletin_id", sa.Uuid(), nullable=False),
        sa.Column("bulletin_revision", sa.Integer(), nullable=False),
        sa.Column("is_drill", sa.Boolean(), nullable=False),
        sa.Column("tone", sa.Boolean(), nullable=False),
        sa.Column("repeats", sa.SmallInteger(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("volume", sa.SmallInteger(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_minutes", sa.SmallInteger(), nullable=False),
        sa.Column("ends_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "state",
            _enum(STATES, "state"),
            nullable=False,
        ),
        sa.Column("occurrence_id", sa.Uuid(), nullable=True),
        sa.Column("created_by", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proposed_by", sa.Integer(), nullable=True),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("authorised_by", sa.Integer(), nullable=True),
        sa.Column("authorised_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_alone", sa.Boolean(), nullable=False),
        sa.Column("alone_reason", sa.Text(), nullable=False),
        sa.Column("ended_by", sa.Integer(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_note", sa.Text(), nullable=False),
        sa.Column("debriefed_by", sa.Integer(), nullable=True),
        sa.Column("debriefed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("debrief", sa.Text(), nullable=False),
        sa.CheckConstraint("(mode = 'actual') = (drill_id IS NULL)", name=op.f("ck_alerts_drill")),
        sa.CheckConstraint("is_drill = (mode <> 'actual')", name=op.f("ck_alerts_sound")),
        sa.CheckConstraint(
            "state NOT IN ('active', 'expired')", name=op.f("ck_alerts_stored_state")
        ),
        sa.CheckConstraint(
            "(authorised_by IS NULL) = (occurrence_id IS NULL) AND (authorised_by IS NULL) = (ends_by IS NULL)",
            name=op.f("ck_alerts_authorised"),
        ),
        sa.CheckConstraint(
            "is_alone OR authorised_by <> proposed_by", name=op.f("ck_alerts_two_people")
        ),
        sa.ForeignKeyConstraint(
            ["authorised_by"], ["accounts.id"], name=op.f("fk_alerts_authorised_by_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["bulletin_id", "bulletin_revision", "is_drill"],
            [
                "bulletin_revisions.bulletin_id",
                "bulletin_revisions.number",
                "bulletin_revisions.is_drill",
            ],
            name="fk_alerts_revision",
        ),
        sa.ForeignKeyConstraint(
            ["created_by"], ["accounts.id"], name=op.f("fk_alerts_created_by_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["debriefed_by"], ["accounts.id"], name=op.f("fk_alerts_debriefed_by_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["drill_id", "mode"], ["drills.id", "drills.mode"], name="fk_alerts_drill"
        ),
        sa.ForeignKeyConstraint(
            ["ended_by"], ["accounts.id"], name=op.f("fk_alerts_ended_by_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["occurrence_id", "mode"],
            ["occurrences.id", "occurrences.alert_mode"],
            name="fk_alerts_occurrence",
        ),
        sa.ForeignKeyConstraint(
            ["proposed_by"], ["accounts.id"], name=op.f("fk_alerts_proposed_by_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["replaces_id"], ["alerts.id"], name=op.f("fk_alerts_replaces_id_alerts")
        ),
        sa.ForeignKeyConstraint(
            ["template_id"],
            ["alert_templates.id"],
            name=op.f("fk_alerts_template_id_alert_templates"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
    )
    op.create_index("ix_alerts_created_at", "alerts", ["created_at", "id"], unique=False)
    op.create_index("ix_alerts_replaces", "alerts", ["replaces_id"], unique=False)
    for topic, tables in TOPICS.items():
        for table in tables:
            for event, rows in EVENTS.items():
                op.execute(
                    f"CREATE TRIGGER tell_{event} AFTER {event.upper()} ON {table}"
                    f" REFERENCING {rows} TABLE AS changed"
                    f" FOR EACH STATEMENT EXECUTE FUNCTION tell_topic('{topic}')"
                )


def downgrade() -> None:
    for table in ("alerts", "alert_templates", "village_contacts", "drills"):
        op.drop_table(table)
    op.execute(
        "DELETE FROM plays WHERE occurrence_id IN (SELECT id FROM occurrences WHERE alert_mode IS NOT NULL)"
    )
    op.execute("DELETE FROM occurrences WHERE alert_mode IS NOT NULL")
    op.execute("DELETE FROM schedules WHERE state = 'alert'")
    _schedule_states(*STATES_BEFORE)
    op.execute("DELETE FROM programme_revisions WHERE kind <> 'programme'")
    op.drop_constraint(op.f("pk_programme_revisions"), "programme_revisions")
    op.drop_column("programme_revisions", "kind")
    op.create_primary_key(
        op.f("pk_programme_revisions"), "programme_revisions", ["scope", "revision"]
    )
    op.drop_column("preparations", "framing")
    op.drop_column("occurrences", "alert_mode")
    op.drop_column("bulletins", "kept_ready")
    op.drop_column("bulletin_revisions", "is_drill")
