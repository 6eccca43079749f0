"""Sessions of screens that only show the wall."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0060"
down_revision = "0058"


def upgrade() -> None:
    op.add_column(
        "sessions",
        sa.Column("is_screen", sa.Boolean(), server_default=sa.false(), nullable=False),
    )


def downgrade() -> None:
    op.drop_column("sessions", "is_screen")
