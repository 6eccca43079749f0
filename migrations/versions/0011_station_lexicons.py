"""How stations say words, and the script that a revision's sound was made of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "lexicon_entries",
        sa.Column("area_code", sa.Text(), nullable=False),
        sa.Column("written", sa.Text(), nullable=False),
        sa.Column("spoken", sa.Text(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("area_code", "written", name=op.f("pk_lexicon_entries")),
    )
    op.add_column("bulletin_revisions", sa.Column("spoken", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("bulletin_revisions", "spoken")
    op.drop_table("lexicon_entries")
