"""Why a dead letter could not be taken, as a word that can be explained."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0025"


def upgrade() -> None:
    op.add_column("dead_letters", sa.Column("reject_reason", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("dead_letters", "reject_reason")
