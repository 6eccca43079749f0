"""Inboxes of communes, who comes first there, and the order of authorities.

Schedules of normal bulletins from above that there are already keep sounding until they end: the
communes have heard them so far, and nobody is to find silence where he expects a voice
(docs/decisions/0066).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0037"
down_revision = "0033"

EVENTS = {"insert": "NEW", "update": "NEW", "delete": "OLD"}
TABLES = ("inbox_items", "inbox_orders")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "authority_orders",
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("levels", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("set_by", sa.Integer(), nullable=False),
        sa.Column("set_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["set_by"], ["accounts.id"], name=op.f("fk_authority_orders_set_by_accounts")
        ),
        sa.PrimaryKeyConstraint("valid_from", name=op.f("pk_authority_orders")),
    )
    op.create_table(
        "inbox_items",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("bulletin_id", sa.Uuid(), nullable=False),
        sa.Column("commune_code", sa.Text(), nullable=False),
        sa.Column("meant_on", sa.Date(), nullable=False),
        sa.Column("useful_until", MOMENT, nullable=False),
        sa.Column("sent_by", sa.Integer(), nullable=False),
        sa.Column("sent_at", MOMENT, nullable=False),
        sa.Column(
            "answer",
            sa.Enum("picked", "declined", "placed", native_enum=False, length=32),
            nullable=True,
        ),
        sa.Column("answered_by", sa.Integer(), nullable=True),
        sa.Column("answered_at", MOMENT, nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("schedule_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "answer IN ('picked', 'declined', 'placed')", name=op.f("ck_inbox_items_inbox_answer")
        ),
        sa.CheckConstraint(
            "(answer IS NULL) = (answered_at IS NULL)", name=op.f("ck_inbox_items_answered")
        ),
        sa.CheckConstraint(
            "(answer IS NOT DISTINCT FROM 'declined') = (reason <> '')",
            name=op.f("ck_inbox_items_reasoned"),
        ),
        sa.ForeignKeyConstraint(
            ["bulletin_id"], ["bulletins.id"], name=op.f("fk_inbox_items_bulletin_id_bulletins")
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedules.id"], name=op.f("fk_inbox_items_schedule_id_schedules")
        ),
        sa.ForeignKeyConstraint(
            ["sent_by"], ["accounts.id"], name=op.f("fk_inbox_items_sent_by_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["answered_by"], ["accounts.id"], name=op.f("fk_inbox_items_answered_by_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox_items")),
        sa.UniqueConstraint(
            "bulletin_id", "commune_code", name=op.f("uq_inbox_items_bulletin_id_commune_code")
        ),
    )
    op.create_index("ix_inbox_items_commune", "inbox_items", ["commune_code", "sent_at"])
    op.create_index(op.f("ix_inbox_items_schedule_id"), "inbox_items", ["schedule_id"])
    op.create_table(
        "inbox_orders",
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("begins_at", MOMENT, nullable=False),
        sa.Column("deadline_at", MOMENT, nullable=False),
        sa.Column("own", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("source_first", sa.Boolean(), nullable=False),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.Column("decided_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["item_id"], ["inbox_items.id"], name=op.f("fk_inbox_orders_item_id_inbox_items")
        ),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["accounts.id"], name=op.f("fk_inbox_orders_decided_by_accounts")
        ),
        sa.PrimaryKeyConstraint("item_id", name=op.f("pk_inbox_orders")),
    )
    for table in TABLES:
        for event, rows in EVENTS.items():
            op.execute(
                f"CREATE TRIGGER tell_{event} AFTER {event.upper()} ON {table}"
                f" REFERENCING {rows} TABLE AS changed"
                " FOR EACH STATEMENT EXECUTE FUNCTION tell_topic('inbox')"
            )


def downgrade() -> None:
    for table in ("inbox_orders", "inbox_items", "authority_orders"):
        op.drop_table(table)
