"""Relays as items of sessions: their hour, and what finds no room beside one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0052"
down_revision = "0057"

BEFORE, AFTER = "'no_time', 'quiet_hours'", "'no_time', 'quiet_hours', 'relay'"


def upgrade() -> None:
    op.add_column("air_items", sa.Column("relay_at", sa.Time(), nullable=True))
    op.create_check_constraint(
        op.f("ck_air_items_relay"), "air_items", "relay_at IS NULL OR kind = 'relay'"
    )
    _reasons(AFTER)


def downgrade() -> None:
    op.execute("DELETE FROM air_drops WHERE reason = 'relay'")
    _reasons(BEFORE)
    op.drop_constraint(op.f("ck_air_items_relay"), "air_items")
    op.drop_column("air_items", "relay_at")


def _reasons(known: str) -> None:
    op.drop_constraint(op.f("ck_air_drops_reason"), "air_drops")
    op.create_check_constraint(op.f("ck_air_drops_reason"), "air_drops", f"reason IN ({known})")
