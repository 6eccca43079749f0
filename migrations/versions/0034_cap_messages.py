"""CAP messages of other authorities as they came, and what became of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0034"
down_revision = "0037"

ACTIONS = ("propose", "drill", "bulletin", "cancel", "record", "refuse")
EVENTS = {"insert": "NEW", "update": "NEW", "delete": "OLD"}


def upgrade() -> None:
    op.create_table(
        "cap_messages",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_by", sa.Integer(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=True),
        sa.Column("identifier", sa.Text(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column(
            "action",
            sa.Enum(*ACTIONS, name="action", native_enum=False, length=32, create_constraint=True),
            nullable=False,
        ),
        sa.Column("reasons", postgresql.JSONB(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("texts", postgresql.JSONB(), nullable=False),
        sa.Column("area_codes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=True),
        sa.Column("ended_by_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["received_by"], ["accounts.id"]),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"]),
        sa.ForeignKeyConstraint(["ended_by_id"], ["cap_messages.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("sha256"),
    )
    op.create_index("ix_cap_messages_received_at", "cap_messages", ["received_at", "id"])
    op.create_index("ix_cap_messages_name", "cap_messages", ["sender", "identifier"])
    op.create_index("ix_cap_messages_alert_id", "cap_messages", ["alert_id"])
    op.create_index("ix_cap_messages_ended_by_id", "cap_messages", ["ended_by_id"])
    for event, rows in EVENTS.items():
        op.execute(
            f"CREATE TRIGGER tell_{event} AFTER {event.upper()} ON cap_messages"
            f" REFERENCING {rows} TABLE AS changed"
            f" FOR EACH STATEMENT EXECUTE FUNCTION tell_topic('alerts')"
        )


def downgrade() -> None:
    op.drop_table("cap_messages")
