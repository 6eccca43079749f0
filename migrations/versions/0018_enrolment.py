"""What devices connect with: claim codes, certificates, passwords, revocation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "device_claims",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("code_sha256", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("key_sha256", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_device_claims_device_id_devices")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device_claims")),
        sa.UniqueConstraint("code_sha256", name=op.f("uq_device_claims_code_sha256")),
    )
    op.create_index(op.f("ix_device_claims_device_id"), "device_claims", ["device_id"])
    op.create_table(
        "device_certificates",
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("claim_id", sa.Integer(), nullable=True),
        sa.Column("key_sha256", sa.Text(), nullable=False),
        sa.Column("pem", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "revoked_because",
            sa.Enum(
                "superseded",
                "retired",
                "ordered",
                name="because",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=True,
        ),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_device_certificates_device_id_devices")
        ),
        sa.ForeignKeyConstraint(
            ["claim_id"], ["device_claims.id"],
            name=op.f("fk_device_certificates_claim_id_device_claims"),
        ),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_device_certificates")),
    )  # fmt: skip
    for column in ("device_id", "claim_id"):
        op.create_index(op.f(f"ix_device_certificates_{column}"), "device_certificates", [column])
    op.create_table(
        "device_passwords",
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_device_passwords_device_id_devices")
        ),
        sa.PrimaryKeyConstraint("device_id", name=op.f("pk_device_passwords")),
    )
    op.create_table(
        "renewal_requests",
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("csr", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_renewal_requests_device_id_devices")
        ),
        sa.PrimaryKeyConstraint("device_id", name=op.f("pk_renewal_requests")),
    )
    op.create_table(
        "revocation_lists",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("pem", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_revocation_lists")),
    )


def downgrade() -> None:
    op.drop_table("revocation_lists")
    op.drop_table("renewal_requests")
    op.drop_table("device_passwords")
    op.drop_table("device_certificates")
    op.drop_table("device_claims")
