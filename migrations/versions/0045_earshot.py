"""Pairs of clusters of which people say whether they are heard at one place."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0041"


def upgrade() -> None:
    op.create_table(
        "earshot_pairs",
        sa.Column("cluster_id", sa.Integer(), nullable=False),
        sa.Column("other_id", sa.Integer(), nullable=False),
        sa.Column("heard", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("set_by", sa.Integer(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("cluster_id < other_id", name=op.f("ck_earshot_pairs_ordered")),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_earshot_pairs_cluster_id_clusters")
        ),
        sa.ForeignKeyConstraint(
            ["other_id"], ["clusters.id"], name=op.f("fk_earshot_pairs_other_id_clusters")
        ),
        sa.ForeignKeyConstraint(
            ["set_by"], ["accounts.id"], name=op.f("fk_earshot_pairs_set_by_accounts")
        ),
        sa.PrimaryKeyConstraint("cluster_id", "other_id", name=op.f("pk_earshot_pairs")),
    )
    op.create_index(op.f("ix_earshot_pairs_other_id"), "earshot_pairs", ["other_id"])


def downgrade() -> None:
    op.drop_table("earshot_pairs")
