"""Alerts made of a warning of another authority end when that expires; of older ones it is unknown."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0059"
down_revision = "0054"


def upgrade() -> None:
    op.add_column("alerts", sa.Column("not_after", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("alerts", "not_after")
