"""Self-tests as evidence of plays; dead letters of one device are found by an index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_index("ix_dead_letters_device", "dead_letters", ["device_code", "id"], unique=False)
    for column in ("kind", "heard"):
        op.add_column(
            "command_results", sa.Column(column, sa.Text(), nullable=False, server_default="")
        )
        op.alter_column("command_results", column, server_default=None)
    op.create_index(
        "ix_command_results_self_test",
        "command_results",
        ["device_id", "sent_at"],
        unique=False,
        postgresql_where=sa.text("kind = 'self_test'"),
    )


def downgrade() -> None:
    op.drop_index("ix_command_results_self_test", table_name="command_results")
    op.drop_column("command_results", "heard")
    op.drop_column("command_results", "kind")
    op.drop_index("ix_dead_letters_device", table_name="dead_letters")
