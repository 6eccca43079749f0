"""Sources of streams whose last day is known."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0042"


def upgrade() -> None:
    op.add_column("stream_sources", sa.Column("last_day", sa.Date(), nullable=True))


def downgrade() -> None:
    op.drop_column("stream_sources", "last_day")
