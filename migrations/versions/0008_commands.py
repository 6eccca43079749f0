"""Commands that people give to devices, and which command a refusal is about."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "commands",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("command_id", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "volume",
                "reboot",
                "identify",
                "self_test",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("volume", sa.SmallInteger(), nullable=True),
        sa.Column("ordered_by", sa.Text(), nullable=False),
        sa.Column("ordered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(kind = 'volume') = (volume IS NOT NULL)", name=op.f("ck_commands_volume")
        ),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_commands_device_id_devices")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commands")),
        sa.UniqueConstraint("command_id", name=op.f("uq_commands_command_id")),
    )
    op.create_index("ix_commands_device", "commands", ["device_id", "kind", "id"])
    op.create_index(
        "ix_commands_unpublished",
        "commands",
        ["not_after"],
        postgresql_where=sa.text("published_at IS NULL"),
    )
    op.add_column("refusals", sa.Column("command_id", sa.Text(), nullable=True))
    op.create_index(
        "ix_refusals_command",
        "refusals",
        ["device_id", "command_id"],
        postgresql_where=sa.text("command_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_refusals_command", table_name="refusals")
    op.drop_column("refusals", "command_id")
    op.drop_table("commands")
