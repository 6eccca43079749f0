"""Dead letters that are counted on an earlier one of the same sender."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0008"


def upgrade() -> None:
    op.add_column(
        "dead_letters", sa.Column("more", sa.Integer(), server_default="0", nullable=False)
    )


def downgrade() -> None:
    op.drop_column("dead_letters", "more")
