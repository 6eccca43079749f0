"""Portals of communes: register, looks, items, and what counts as regularly updated."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0062"
down_revision = "0061"


def upgrade() -> None:
    op.create_table(
        "portal_update_rules",
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Integer(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "items >= 1 AND days >= 1", name=op.f("ck_portal_update_rules_positive")
        ),
        sa.ForeignKeyConstraint(
            ["decided_by"],
            ["accounts.id"],
            name=op.f("fk_portal_update_rules_decided_by_accounts"),
        ),
        sa.PrimaryKeyConstraint("valid_from", name=op.f("pk_portal_update_rules")),
    )
    op.create_table(
        "portals",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("area_code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("source_url", sa.Text(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "feed",
                "sitemap",
                "list",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("item_class", sa.Text(), nullable=False),
        sa.Column("date_class", sa.Text(), nullable=False),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("folded_tags", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.Column("entered_by", sa.Integer(), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_since", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(kind = 'list') = (item_class <> '')", name=op.f("ck_portals_rule")),
        sa.CheckConstraint(
            "ended_on IS NULL OR ended_on >= valid_from", name=op.f("ck_portals_span")
        ),
        sa.ForeignKeyConstraint(
            ["entered_by"], ["accounts.id"], name=op.f("fk_portals_entered_by_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_portals")),
    )
    op.create_index(op.f("ix_portals_area_code"), "portals", ["area_code"], unique=False)
    op.create_table(
        "portal_checks",
        sa.Column("portal_id", sa.Integer(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "outcome",
            sa.Enum(
                "answered",
                "unchanged",
                "forbidden",
                "unreachable",
                "unreadable",
                "empty",
                name="outcome",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("listed", sa.Integer(), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("etag", sa.Text(), nullable=False),
        sa.Column("modified", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["portal_id"],
            ["portals.id"],
            name=op.f("fk_portal_checks_portal_id_portals"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("portal_id", "checked_at", name=op.f("pk_portal_checks")),
    )
    op.create_table(
        "portal_items",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("portal_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("folded_tags", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_old", sa.Boolean(), nullable=False),
        sa.Column("is_essential", sa.Boolean(), nullable=True),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(decided_by IS NULL) = (is_essential IS NULL)", name=op.f("ck_portal_items_decided")
        ),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["accounts.id"], name=op.f("fk_portal_items_decided_by_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["portal_id"],
            ["portals.id"],
            name=op.f("fk_portal_items_portal_id_portals"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_portal_items")),
        sa.UniqueConstraint("portal_id", "key", name=op.f("uq_portal_items_portal_id_key")),
    )
    op.create_index(
        "ix_portal_items_published",
        "portal_items",
        ["portal_id", sa.text("coalesce(published_at, seen_at)")],
    )
    for table in ("portals", "portal_update_rules"):
        op.execute(
            f"CREATE TRIGGER mark_register AFTER INSERT OR UPDATE OR DELETE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION mark_register()"
        )


def downgrade() -> None:
    op.drop_table("portal_items")
    op.drop_table("portal_checks")
    op.drop_index(op.f("ix_portals_area_code"), table_name="portals")
    op.drop_table("portals")
    op.drop_table("portal_update_rules")
