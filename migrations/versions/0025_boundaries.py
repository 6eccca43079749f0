"""Outlines of communes, as the province imports them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0025"
down_revision = "0026"


def upgrade() -> None:
    op.create_table(
        "boundaries",
        sa.Column("area_code", sa.Text(), nullable=False),
        sa.Column("polygons", postgresql.JSONB(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "jsonb_typeof(polygons) = 'array'", name=op.f("ck_boundaries_polygons")
        ),
        sa.PrimaryKeyConstraint("area_code", name=op.f("pk_boundaries")),
    )


def downgrade() -> None:
    op.drop_table("boundaries")
