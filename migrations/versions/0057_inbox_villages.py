"""Single villages of a commune that a bulletin from above is for; none: all of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0057"
down_revision = "0051"


def upgrade() -> None:
    op.add_column(
        "inbox_items",
        sa.Column("villages", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
    )


def downgrade() -> None:
    op.drop_column("inbox_items", "villages")
