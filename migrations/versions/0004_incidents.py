"""Incidents, and the power feed of a cluster."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def _choice(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=32)


def upgrade() -> None:
    op.add_column("clusters", sa.Column("power_feed", sa.Text(), nullable=True))
    op.create_table(
        "incidents",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "kind",
            _choice("kind", "power_feed", "village", "commune", "operator", "province", "device"),
            nullable=False,
        ),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("within", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("cause", _choice("cause", "power", "network", "area", "device"), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("noticed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recovered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("superseded", sa.Boolean(), nullable=False),
        sa.Column("superseded_by", sa.Integer(), nullable=True),
        sa.Column("devices_count", sa.Integer(), nullable=False),
        sa.Column("down_count", sa.Integer(), nullable=False),
        sa.Column("villages_count", sa.Integer(), nullable=False),
        sa.Column("communes_count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["superseded_by"], ["incidents.id"], name=op.f("fk_incidents_superseded_by_incidents")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
    )
    op.create_index(
        "ix_incidents_open",
        "incidents",
        ["id"],
        unique=False,
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "incident_falls",
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("fell_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("incident_id", sa.Integer(), nullable=False),
        sa.Column("cluster_id", sa.Integer(), nullable=False),
        sa.Column("noticed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("returned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "evidence", _choice("evidence", "power", "network", "box", "none"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_incident_falls_cluster_id_clusters")
        ),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_incident_falls_device_id_devices")
        ),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.id"], name=op.f("fk_incident_falls_incident_id_incidents")
        ),
        sa.PrimaryKeyConstraint("device_id", "fell_at", name=op.f("pk_incident_falls")),
    )
    op.create_index(
        op.f("ix_incident_falls_cluster_id"), "incident_falls", ["cluster_id"], unique=False
    )
    op.create_index(
        op.f("ix_incident_falls_incident_id"), "incident_falls", ["incident_id"], unique=False
    )
    op.create_index(
        "uq_incident_falls_down",
        "incident_falls",
        ["device_id"],
        unique=True,
        postgresql_where=sa.text("returned_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "uq_incident_falls_down",
        table_name="incident_falls",
        postgresql_where=sa.text("returned_at IS NULL"),
    )
    op.drop_index(op.f("ix_incident_falls_incident_id"), table_name="incident_falls")
    op.drop_index(op.f("ix_incident_falls_cluster_id"), table_name="incident_falls")
    op.drop_table("incident_falls")
    op.drop_index(
        "ix_incidents_open",
        table_name="incidents",
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.drop_table("incidents")
    op.drop_column("clusters", "power_feed")
