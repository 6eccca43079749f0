"""Ends of faults that came before their openings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0061"
down_revision = "0060"


def upgrade() -> None:
    op.create_table(
        "fault_ends",
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_fault_ends_device_id_devices")
        ),
        sa.PrimaryKeyConstraint("device_id", "kind", name=op.f("pk_fault_ends")),
    )


def downgrade() -> None:
    op.drop_table("fault_ends")
