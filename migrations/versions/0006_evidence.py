"""Dead letters of one device are found by an index."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0001"


def upgrade() -> None:
    op.create_index("ix_dead_letters_device", "dead_letters", ["device_code", "id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_dead_letters_device", table_name="dead_letters")
