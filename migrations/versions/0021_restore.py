"""After a restore: marks, what others hold newer than us, decisions, and spans of lost proof."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0022"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "database_marks",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("installation", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_database_marks_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_database_marks")),
    )
    causes = sa.Enum(
        "command", "mark", "broker",
        name="restore_cause", native_enum=False, create_constraint=True, length=32,
    )  # fmt: skip
    op.create_table(
        "restores",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("cause", causes, nullable=False),
        sa.Column("found_at", moment, nullable=False),
        sa.Column("lost_since", moment, nullable=False),
        sa.Column("broker_read_at", moment),
        sa.Column("credentials", sa.Text()),
        sa.Column("accepted_at", moment),
        sa.Column("accepted_by", sa.Integer()),
        sa.ForeignKeyConstraint(
            ["accepted_by"], ["accounts.id"], name=op.f("fk_restores_accepted_by_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_restores")),
    )
    op.create_index(
        "uq_restores_open", "restores", [sa.text("(accepted_at IS NULL)")],
        unique=True, postgresql_where=sa.text("accepted_at IS NULL"),
    )  # fmt: skip
    op.create_table(
        "newer_documents",
        sa.Column("restore_id", sa.Integer(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["restore_id"], ["restores.id"], name=op.f("fk_newer_documents_restore_id_restores")
        ),
        sa.PrimaryKeyConstraint("restore_id", "scope", "kind", name=op.f("pk_newer_documents")),
    )
    op.create_table(
        "restore_decisions",
        sa.Column("restore_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("choice", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["restore_id"], ["restores.id"], name=op.f("fk_restore_decisions_restore_id_restores")
        ),
        sa.PrimaryKeyConstraint("restore_id", "name", name=op.f("pk_restore_decisions")),
    )
    op.create_table(
        "lost_spans",
        sa.Column("since", moment, nullable=False),
        sa.Column("until", moment, nullable=False),
        sa.CheckConstraint("until > since", name=op.f("ck_lost_spans_span")),
        sa.PrimaryKeyConstraint("since", name=op.f("pk_lost_spans")),
    )
    op.add_column(
        "dirty_scopes",
        sa.Column("above", sa.BigInteger(), server_default="0", nullable=False),
    )


def downgrade() -> None:
    op.drop_column("dirty_scopes", "above")
    for table in (
        "lost_spans", "restore_decisions", "newer_documents", "restores", "database_marks",
    ):  # fmt: skip
        op.drop_table(table)
