"""Dead letters that are counted on an earlier one of the same sender; how each role is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column(
        "dead_letters", sa.Column("more", sa.Integer(), server_default="0", nullable=False)
    )
    op.create_table(
        "role_states",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("trouble", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_role_states")),
    )


def downgrade() -> None:
    op.drop_table("role_states")
    op.drop_column("dead_letters", "more")
