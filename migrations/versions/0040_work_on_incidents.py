"""Incidents as work: who sees to one, what people did about it, and their closing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0028"

KINDS = ("assigned", "released", "noted", "closed", "reopened")
REASONS = ("repaired", "others", "planned", "removed", "false_alarm", "other")


def upgrade() -> None:
    op.add_column("incidents", sa.Column("assignee_id", sa.Integer(), nullable=True))
    op.create_foreign_key(
        op.f("fk_incidents_assignee_id_accounts"), "incidents", "accounts", ["assignee_id"], ["id"]
    )
    op.add_column(
        "incidents", sa.Column("closed_by_hand_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column(
        "incidents", sa.Column("version", sa.Integer(), server_default="1", nullable=False)
    )
    op.create_table(
        "incident_steps",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("incident_id", sa.Integer(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(*KINDS, name="kind", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.Integer(), nullable=True),
        sa.Column("assignee_id", sa.Integer(), nullable=True),
        sa.Column(
            "reason",
            sa.Enum(*REASONS, name="reason", native_enum=False, create_constraint=True, length=32),
            nullable=True,
        ),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("devices_count", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.id"], name=op.f("fk_incident_steps_incident_id_incidents")
        ),
        sa.ForeignKeyConstraint(
            ["actor_id"], ["accounts.id"], name=op.f("fk_incident_steps_actor_id_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["assignee_id"], ["accounts.id"], name=op.f("fk_incident_steps_assignee_id_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident_steps")),
    )
    op.create_index(
        op.f("ix_incident_steps_incident_id"), "incident_steps", ["incident_id"], unique=False
    )
    op.execute(
        "CREATE TRIGGER tell_insert AFTER INSERT ON incident_steps"
        " REFERENCING NEW TABLE AS changed"
        " FOR EACH STATEMENT EXECUTE FUNCTION tell_topic('incidents')"
    )


def downgrade() -> None:
    op.drop_table("incident_steps")
    op.drop_column("incidents", "version")
    op.drop_column("incidents", "closed_by_hand_at")
    op.drop_column("incidents", "assignee_id")
