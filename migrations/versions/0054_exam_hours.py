"""An exam is silent for hours of its days, so that what sounds before and after them is heard."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0054"
down_revision = "0053"

TABLE = "calendar_days"


def upgrade() -> None:
    op.add_column(TABLE, sa.Column("from_time", sa.Text(), nullable=True))
    op.add_column(TABLE, sa.Column("until_time", sa.Text(), nullable=True))
    op.create_check_constraint(
        op.f("ck_calendar_days_hours"),
        TABLE,
        "(from_time IS NULL) = (until_time IS NULL) AND from_time < until_time",
    )
    op.create_check_constraint(
        op.f("ck_calendar_days_exam_hours"), TABLE, "from_time IS NULL OR kind = 'exam'"
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_calendar_days_exam_hours"), TABLE)
    op.drop_constraint(op.f("ck_calendar_days_hours"), TABLE)
    op.drop_column(TABLE, "until_time")
    op.drop_column(TABLE, "from_time")
