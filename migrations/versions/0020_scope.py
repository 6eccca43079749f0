"""Scope: decisions on grants after a merger, and who needs a second person for an approval."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0021"


def upgrade() -> None:
    op.create_table(
        "grant_decisions",
        sa.Column("grant_id", sa.Integer(), nullable=False),
        sa.Column("area_code", sa.Text(), nullable=False),
        sa.Column("is_confirmed", sa.Boolean(), nullable=False),
        sa.Column("decided_by", sa.Integer(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["accounts.id"], name=op.f("fk_grant_decisions_decided_by_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["grants.id"], name=op.f("fk_grant_decisions_grant_id_grants")
        ),
        sa.PrimaryKeyConstraint("grant_id", "area_code", name=op.f("pk_grant_decisions")),
    )
    op.create_table(
        "approval_rules",
        sa.Column("area_code", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("second_person", sa.Boolean(), nullable=False),
        sa.Column("set_by", sa.Integer(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["set_by"], ["accounts.id"], name=op.f("fk_approval_rules_set_by_accounts")
        ),
        sa.PrimaryKeyConstraint("area_code", "valid_from", name=op.f("pk_approval_rules")),
    )


def downgrade() -> None:
    op.drop_table("approval_rules")
    op.drop_table("grant_decisions")
