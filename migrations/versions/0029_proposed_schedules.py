"""Schedules that are proposed while their revision awaits approval."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0032"

CHECK = "ck_schedules_schedulestate"


def upgrade() -> None:
    op.drop_constraint(op.f(CHECK), "schedules", type_="check")
    op.create_check_constraint(
        op.f(CHECK), "schedules", "state IN ('proposed', 'active', 'ended', 'withdrawn')"
    )


def downgrade() -> None:
    op.execute(sa.text("UPDATE schedules SET state = 'withdrawn' WHERE state = 'proposed'"))
    op.drop_constraint(op.f(CHECK), "schedules", type_="check")
    op.create_check_constraint(
        op.f(CHECK), "schedules", "state IN ('active', 'ended', 'withdrawn')"
    )
