"""Signing keys by their thumbprints, and which of them each config names.

The keys themselves are registered by the first start, which knows where they lie.

Revision ID: 0019
Revises: 0016
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("use", sa.Text(), nullable=False),
        sa.Column("x", sa.Text(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "announced", "signing", "replaced", "retired",
                name="state", native_enum=False, create_constraint=True, length=32,
            ),
            nullable=False,
        ),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signing_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_signing_keys")),
    )  # fmt: skip
    op.create_index(
        "uq_signing_keys_signing", "signing_keys", ["use"],
        unique=True, postgresql_where=sa.text("state = 'signing'"),
    )  # fmt: skip
    op.create_table(
        "device_keys",
        sa.Column("device_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("signs", sa.Boolean(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_device_keys_device_id_devices")
        ),
        sa.ForeignKeyConstraint(
            ["kid"], ["signing_keys.kid"], name=op.f("fk_device_keys_kid_signing_keys")
        ),
        sa.PrimaryKeyConstraint("device_id", name=op.f("pk_device_keys")),
    )
    op.create_table(
        "config_keys",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("kids", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("scope", "revision", name=op.f("pk_config_keys")),
    )
    op.add_column("documents", sa.Column("kid", sa.Text(), server_default="", nullable=False))
    op.add_column(
        "documents", sa.Column("key_since", sa.BigInteger(), server_default="0", nullable=False)
    )


def downgrade() -> None:
    op.drop_column("documents", "key_since")
    op.drop_column("documents", "kid")
    op.drop_table("config_keys")
    op.drop_table("device_keys")
    op.drop_index("uq_signing_keys_signing", table_name="signing_keys")
    op.drop_table("signing_keys")
